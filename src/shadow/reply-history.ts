/*
 * What upstream has lately said of names, to tell an answer that was right a moment ago from one that never was.
 */
import { Rcode } from "../wire/codes.ts";
import { relationOf, type ReplyDigest } from "./compare-replies.ts";

/** The last replies of upstream. Moments are monotonic milliseconds. */
export interface ReplyHistory {
  /** Upstream has given this reply for a type of the name with this hash. */
  note(nameHash: number, type: number, reply: ReplyDigest, nowMs: number): void;
  /**
   * Whether upstream has said the same as `reply` for this type so lately that it may still be given, or, of a name that `reply` denies, has
   * denied it for another type.
   */
  saidSo(nameHash: number, type: number, reply: ReplyDigest, nowMs: number): boolean;
}

interface Said {
  readonly type: number;
  readonly reply: ReplyDigest;
  untilMs: number;
}

const mostNames = 4096;
const mostPerName = 8;

/** A reply is believed as long as its TTL says, rounded up, and the time that it takes to get through. */
const slackMs = 2000;

/** Creates it, empty. It holds 4,096 names with 8 replies each. */
export function createReplyHistory(): ReplyHistory {
  const names = new Map<number, Said[]>();

  function note(nameHash: number, type: number, reply: ReplyDigest, nowMs: number): void {
    const before = names.get(nameHash) ?? [];
    const untilMs = nowMs + reply.lifeSeconds * 1000 + slackMs;
    const known = before.find((said) => said.type === type && relationOf(said.reply, reply) === "same");
    if (known !== undefined) {
      known.untilMs = Math.max(known.untilMs, untilMs);
      return;
    }
    const kept = before.filter((said) => said.untilMs > nowMs).slice(1 - mostPerName);
    names.delete(nameHash);
    names.set(nameHash, [...kept, { type, reply, untilMs }]);
    if (names.size > mostNames) forgetOldest();
  }

  function forgetOldest(): void {
    for (const nameHash of names.keys()) {
      names.delete(nameHash);
      return;
    }
  }

  return {
    note,
    saidSo(nameHash, type, reply, nowMs) {
      const isDenial = reply.rcode === Rcode.NXDOMAIN;
      return (names.get(nameHash) ?? []).some((said) => {
        if (said.untilMs <= nowMs) return false;
        if (isDenial && said.reply.rcode === Rcode.NXDOMAIN) return true;
        return said.type === type && relationOf(said.reply, reply) !== "different";
      });
    },
  };
}
