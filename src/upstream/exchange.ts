/*
 * One question, asked until it is answered: which server, over what, when again, and when it is enough.
 *
 *   - at most `maxSends` packets leave for it, over all transports and servers (RFC 9520 §3.1);
 *   - no reply in time: sent again, to another server if one is up, while the first may still answer;
 *   - a lost connection or a closed port: sent again at once elsewhere, after a moment where there is no elsewhere;
 *   - TC over UDP: over TCP. A guessed-at socket: over TCP;
 *   - SERVFAIL or REFUSED: a second opinion, for it may be the server's own overload; then it stands;
 *   - FORMERR without OPT: once more without EDNS (RFC 6891 §7).
 */
import type { Clock } from "../runtime/clock.ts";
import { Rcode } from "../wire/codes.ts";
import { optSizeBytes } from "../wire/edns.ts";
import { Flag, HeaderOffset } from "../wire/header.ts";
import { writeU16 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { Cancel, LossReason } from "./flow.ts";
import type { Server } from "./server.ts";
import { type Transport, transports } from "./transport.ts";

/** What came of a question: a reply that repeats it, or why there is none. */
export type ExchangeResult = { readonly reply: Reply } | { readonly failure: LossReason };

/** Limits of an exchange (settings: upstream). */
export interface ExchangeLimits {
  readonly maxSends: number;
  /** When the whole exchange is given up. */
  readonly deadlineMs: number;
  /** After how long without a reply the question is sent again; the wait doubles with each sending. */
  readonly retransmitMs: Record<Transport, number>;
}

/** With only one server there is no use in asking again in the same millisecond. */
const sameServerPauseMs = 150;

/** Asks `servers`, in their order of preference, over `transport` first. Never rejects, and takes at most `deadlineMs`. */
export function exchange(
  question: Question,
  servers: readonly Server[],
  transport: Transport,
  limits: ExchangeLimits,
  clock: Clock,
): Promise<ExchangeResult> {
  return new Promise((resolve) => {
    const packet = composeQuery(question);
    const cancels = new Set<Cancel>();
    const asked = new Set<Server>();
    let sends = 0;
    let open = 0;
    let isDone = false;
    let lastFailure: LossReason = "timeout";
    // A reply that is better than none: truncated, or a refusal that a second server may overrule.
    let fallback: Reply | undefined;

    function finish(result: ExchangeResult): void {
      if (isDone) return;
      isDone = true;
      for (const cancel of cancels) cancel();
      resolve(result);
    }

    function finishWithWhatThereIs(): void {
      finish(fallback === undefined ? { failure: lastFailure } : { reply: fallback });
    }

    /** Sends once more, or ends the exchange when nothing may be sent and nothing is awaited. */
    function sendAgain(via: Transport, server: Server, query: Uint8Array = packet): void {
      if (isDone) return;
      if (sends < limits.maxSends) send(via, server, query);
      else if (open === 0) finishWithWhatThereIs();
    }

    function send(via: Transport, server: Server, query: Uint8Array): void {
      const sentAtMs = clock.nowMs();
      let isOpen = true;
      sends += 1;
      open += 1;
      asked.add(server);
      const close = () => {
        if (isOpen) open -= 1;
        isOpen = false;
      };
      const attempt = {
        question,
        packet: query,
        onReply(reply: Reply) {
          close();
          onReply(reply, via, server, query);
        },
        onLost(reason: LossReason) {
          close();
          onLost(reason, via, server, query);
        },
      };
      const onTimeout = () => {
        if (!isOpen || isDone) return;
        lastFailure = "timeout";
        server.noteTimeout(via, sentAtMs);
        // A connection that was given up for it has reported the loss, and with that the question is on its way again.
        if (isOpen) sendToNext(via, nextServer(servers, asked, server), server, query);
      };
      // A pool may report a loss from within `send`: the timer must exist before.
      cancels.add(clock.after(limits.retransmitMs[via] * 2 ** (sends - 1), onTimeout));
      cancels.add(server.send(attempt, via));
    }

    /** A server that was found to know no EDNS is not asked with it again. */
    function sendToNext(via: Transport, next: Server, server: Server, query: Uint8Array): void {
      sendAgain(via, next, next === server ? query : packet);
    }

    function onLost(reason: LossReason, via: Transport, server: Server, query: Uint8Array): void {
      lastFailure = reason;
      if (reason === "stopped") {
        finish({ failure: "stopped" });
        return;
      }
      const next = nextServer(servers, asked, server);
      if (reason === "forgery") sendAgain(transports[via].fallback, server, query);
      else if (next !== server || reason === "closed" || reason === "timeout") sendToNext(via, next, server, query);
      else cancels.add(clock.after(sameServerPauseMs * sends, () => sendAgain(via, next, query)));
    }

    function onReply(reply: Reply, via: Transport, server: Server, query: Uint8Array): void {
      if ((reply.flags & Flag.TC) !== 0 && transports[via].mayTruncate) {
        fallback = reply;
        sendAgain(transports[via].fallback, server, query);
      } else if (reply.rcode === Rcode.FORMERR && !reply.hasEdns && query === packet) {
        fallback = reply;
        sendAgain(via, server, withoutEdns(packet));
      } else if (isRefusal(reply) && (fallback === undefined || !isRefusal(fallback))) {
        // A FORMERR before was about EDNS, and says less.
        if (fallback === undefined || fallback.rcode === Rcode.FORMERR) fallback = reply;
        sendToNext(via, nextServer(servers, asked, server), server, query);
      } else {
        finish({ reply });
      }
    }

    cancels.add(clock.after(limits.deadlineMs, finishWithWhatThereIs));
    const first = nextServer(servers, asked, undefined);
    if (first === undefined) finish({ failure: "stopped" });
    else send(transport, first, packet);
  });
}

/**
 * The server to ask next: the first that is up and was not asked yet; then the first that is up, other than `current`; then
 * any that was not asked; and the same again where there is no other.
 */
function nextServer(servers: readonly Server[], asked: ReadonlySet<Server>, current: Server): Server;
function nextServer(servers: readonly Server[], asked: ReadonlySet<Server>, current: undefined): Server | undefined;
function nextServer(
  servers: readonly Server[],
  asked: ReadonlySet<Server>,
  current: Server | undefined,
): Server | undefined {
  return (
    servers.find((server) => server.health.isUp() && !asked.has(server)) ??
    servers.find((server) => server.health.isUp() && server !== current) ??
    servers.find((server) => !asked.has(server)) ??
    current
  );
}

function isRefusal(reply: Reply): boolean {
  return reply.rcode === Rcode.SERVFAIL || reply.rcode === Rcode.REFUSED;
}

/** The query without its OPT record, which is the last and bears no option. */
function withoutEdns(packet: Uint8Array): Uint8Array {
  const plain = packet.slice(0, packet.length - optSizeBytes);
  writeU16(plain, HeaderOffset.additionalCount, 0);
  return plain;
}
