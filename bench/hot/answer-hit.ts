/*
 * A hit as a socket has it: from the packet to the reply, without the kernel. With and without the onlooker, so that the difference of the two is
 * what it costs, and its share.
 */
import { createQueryAnswerer, type Front, maxUdpReplyRoomBytes } from "../../src/listen/answer-query.ts";
import { createListenCounters } from "../../src/listen/listen-counters.ts";
import { createHealthQuestion } from "../../src/listen/health-question.ts";
import { createMissQueue } from "../../src/resolve/miss-queue.ts";
import { setPort, socketAddress } from "../../src/runtime/socket-address.ts";
import { wireName } from "../../src/wire/name-text.ts";
import { benchClock, benchNowMs, createFilledChain } from "./filled-chain.ts";
import { clusterZone } from "./inputs.ts";
import { hashSeed } from "./read-lookup.ts";
import { createBenchSeen, inPairs } from "./see-query.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

const clients = Array.from({ length: 100 }, (_, index) => socketAddress({ host: `10.244.3.${index + 1}`, port: 0 }));

/** The mix of a node, A and AAAA from one socket, as libc sends them. */
export const cases: HotCases = async ({ mixed }) => {
  const { resolver } = await createFilledChain(mixed);
  const packets = inPairs(mixed).map(({ plainQuery }) => plainQuery);
  const target = new Uint8Array(maxUdpReplyRoomBytes);

  function answerer(onlooker: Front["onlooker"]) {
    const { answerNow } = createQueryAnswerer(
      {
        accessList: () => true,
        maxUdpReplySizeBytes: 1232,
        queryLog: undefined,
        onlooker,
        resolver,
        misses: createMissQueue(benchClock),
        health: createHealthQuestion(wireName(clusterZone), "bench"),
        clock: benchClock,
        hashSeed,
      },
      createListenCounters({ host: "127.0.0.1", port: 53 }, "udp"),
    );
    const answer = (turn: number) => {
      const packet = itemFor(packets, turn);
      const pair = turn >> 1;
      const client = itemFor(clients, pair);
      setPort(client, pair & 0xffff);
      return answerNow(packet, packet.length, client, target, benchNowMs + (turn >> 4));
    };
    checkTurns("a hit", packets.length, (turn) => answer(turn) > 0);
    return answer;
  }

  return { "with the onlooker": answerer(createBenchSeen()), "without it": answerer(undefined) };
};
