/*
 * nodens in the shadow, in memory: copies of packets go in that pods and kube-dns send to each other, as a test says, on a clock that it moves.
 */
import { mutableLimitsOf } from "../../../src/app/parts-of-settings.ts";
import { ReplySource, replySourceNames } from "../../../src/listen/listen-counters.ts";
import { createChain } from "../../../src/resolve/create-chain.ts";
import { firstNames } from "../../../src/seen/repeats.ts";
import { createSeen } from "../../../src/seen/seen.ts";
import { waitBuckets } from "../../../src/seen/waits.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { type ShadowPicture, takeShadowPicture } from "../../../src/shadow/picture.ts";
import { createShadow } from "../../../src/shadow/shadow.ts";
import { createWireUpstream } from "../../../src/shadow/wire-upstream.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { buildPacket, podAddress, serviceAddress, type TestPacket } from "../messages/ip-packets.ts";
import { buildQuery, concat, nameBytes, replyTo, Type, u16 } from "../messages/messages.ts";
import { hashSeed } from "../messages/parsed-messages.ts";
import { createFakeClock } from "../program/fake-clock.ts";
import type { TypeName, UpstreamReply } from "./create-world.ts";

/** How a pod asks. Left out: 10.244.1.10 from port 40000 asks 10.96.0.10, with ID 1234, over UDP. */
export interface WireDetails {
  readonly client?: string;
  readonly server?: string;
  readonly port?: number;
  readonly id?: number;
  /** Over TCP, on a connection that begins with this query. */
  readonly overTcp?: boolean;
}

/** A query on the wire. */
export interface WireQuery {
  /** kube-dns's reply leaves for the pod. */
  gets(reply: UpstreamReply): Promise<void>;
  /** The same query passes again, with the same ID and port. */
  again(): Promise<void>;
}

/** A shadow without sockets. The cluster zone is cluster.local. */
export type ShadowWorld = ReturnType<typeof createShadowWorld>;

/** Creates a world in which nothing has passed yet. */
export function createShadowWorld() {
  const clock = createFakeClock();
  const settings = defaultSettings();
  const zone = nameBytes("cluster.local");
  const wire = createWireUpstream({ zone, clock, hashSeed, deadlineMs: () => settings.upstream.deadlineMs });
  const asked: string[] = [];
  const verdicts: string[] = [];
  const chain = createChain({
    limits: mutableLimitsOf(settings),
    clock,
    zone,
    suffixes: [],
    loopSecret: "5ec2e7",
    hashSeed,
    random: () => 0.5,
    isTopLevelDomain: (label) => label === "com" || label === "dev",
    ask(question, tell) {
      const type = Object.entries(Type).find(([, value]) => value === question.type)?.[0];
      asked.push(`${nameToText(question.name)} ${type}`);
      void wire.ask(question).then(tell);
    },
    learnZone: () => Promise.resolve(),
    onRuleOff: () => {},
    routeOf: () => ({ route: "cluster", transport: "udp" }),
    isAway: () => false,
    answersAtOnce: () => true,
  });
  const seen = createSeen({
    recordedQueries: 4096,
    keepsNames: true,
    suffixes: [zone],
    isFromUpstream: (source) => source === ReplySource.upstream,
    isClusterName: () => true,
    isHit: (source) => source === ReplySource.cache || source === ReplySource.rule,
    seed: hashSeed,
  });
  const shadow = createShadow({
    resolver: chain.resolver,
    wire,
    knowledge: chain.knowledge,
    seen,
    clock,
    zone,
    hashSeed,
    sourceCount: replySourceNames.length,
    maxUdpReplySizeBytes: () => settings.listen.maxUdpReplyBytes,
    isAnsweredHere: (address) => address === "169.254.20.10",
    onVerdict: (verdict, { name, source }) =>
      verdicts.push(`${nameToText(name)} ${replySourceNames[source]}: ${verdict}`),
    onReply: () => {},
  });

  /** A packet passes. `isReply`: it leaves for the pod. */
  async function passes(packet: TestPacket, isReply: boolean): Promise<void> {
    await sees(buildPacket(packet), isReply);
  }

  async function sees(octets: Uint8Array, isReply: boolean): Promise<void> {
    shadow.take(octets, octets.length, isReply, clock.nowMs());
    await clock.advance(0);
    await clock.advance(0);
  }

  async function asks(name: string, type: TypeName = "A", details: WireDetails = {}): Promise<WireQuery> {
    const { client = podAddress, server = serviceAddress, port = 40_000, id = 0x1234, overTcp = false } = details;
    const query = buildQuery(name, Type[type], { id });
    const toServer = { from: client, to: server, fromPort: port };
    const toClient = { from: server, to: client, fromPort: 53, toPort: port };
    const sends = () => passes({ ...toServer, ...segment(query, overTcp) }, false);
    if (overTcp) {
      await passes({ ...toServer, tcp: { sequence: firstOctet - 1, flags: 0x02 } }, false);
      await passes({ ...toClient, tcp: { sequence: firstOctet - 1, flags: 0x12 } }, true);
    }
    await sends();
    return {
      again: sends,
      gets: (reply) => passes({ ...toClient, ...segment(replyTo(query, reply), overTcp) }, true),
    };
  }

  /** What was found out so far. */
  function picture(): ShadowPicture {
    return takeShadowPicture({
      figures: shadow.figures,
      sources: replySourceNames,
      upstreamQuestions: shadow.upstreamQuestions(),
      droppedCopies: 0,
      lostStreams: shadow.lostStreams(),
      forSeconds: 60,
      waits: firstNames.flatMap((first, at) =>
        waitBuckets.map((after, bucket) => ({ after, first, count: seen.waits.count(at, bucket) })),
      ),
      differences: [],
    });
  }

  /** Time passes, in steps of the tick that gives queries up. */
  async function waits(seconds: number): Promise<void> {
    for (let leftMs = seconds * 1000; leftMs > 0; leftMs -= 1000) {
      await clock.advance(Math.min(1000, leftMs));
      shadow.tick(clock.nowMs());
    }
    await clock.advance(0);
  }

  return { asks, passes, sees, waits, picture, asked, verdicts, clock, shadow, chain };
}

/** The number of a stream's first octet. */
const firstOctet = 1000;

function segment(message: Uint8Array, overTcp: boolean): Pick<TestPacket, "payload" | "tcp"> {
  if (!overTcp) return { payload: message };
  return { payload: concat([u16(message.length), message]), tcp: { sequence: firstOctet } };
}
