/*
 * UDP towards pods: in batches where the machine and Node allow it, otherwise through node:dgram.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Front } from "./front.ts";
import { canListenInBatches, listenInBatches } from "./batch-listener.ts";
import { listenByDgram } from "./dgram-listener.ts";
import type { Listener } from "./listener.ts";

/** Whether datagrams are taken in batches (setting: listen.batch). */
export type BatchChoice = "auto" | "off";

/** Binds `address` (the kernel picks a port for 0) and answers on it. Rejects with the system's error if it cannot be bound. */
export async function listenUdp(address: ServerAddress, front: Front, batch: BatchChoice): Promise<Listener> {
  return batch === "auto" && canListenInBatches() ? listenInBatches(address, front) : listenByDgram(address, front);
}
