/*
 * A hit as a socket has it: from the packet to the reply, without the kernel.
 */
import { createQueryAnswerer, maxUdpReplyRoomBytes } from "../../src/listen/answer-query.ts";
import type { Front } from "../../src/listen/front.ts";
import { createListenCounters } from "../../src/listen/listen-counters.ts";
import { createHealthQuestion } from "../../src/listen/health-question.ts";
import { createMissQueue } from "../../src/resolve/miss-queue.ts";
import { setPort, socketAddress } from "../../src/runtime/socket-address.ts";
import { wireName } from "../../src/wire/name-text.ts";
import { benchClock, benchNowMs, createFilledChain } from "./filled-chain.ts";
import { clusterZone, type HotInputs } from "./inputs.ts";
import { hashSeed } from "./read-lookup.ts";
import { inPairs } from "./see-query.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCall } from "./hot-bench.ts";

const clients = Array.from({ length: 100 }, (_, index) => socketAddress({ host: `10.244.3.${index + 1}`, port: 0 }));

/** Answers the mix of a node out of a filled cache: A and AAAA from one socket, as libc sends them. */
export async function createAnswerer({ mixed }: HotInputs, onlooker: Front["onlooker"]): Promise<HotCall> {
  const { resolver } = await createFilledChain(mixed);
  const packets = inPairs(mixed).map(({ plainQuery }) => plainQuery);
  const target = new Uint8Array(maxUdpReplyRoomBytes);
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
