/*
 * The socket for copies of packets: opened as soon as that is allowed, and read again and again until it is closed.
 */
import { type Clock, wallTime } from "../runtime/clock.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Log } from "../runtime/log.ts";
import { keptSizeBytes, mostAtOnce, openPacketSocket, type PacketSocket } from "../runtime/packet-socket.ts";
import { copyFilter } from "../shadow/copy-filter.ts";

/** Where copies go, and whom it is told that they come. */
export interface CopyReaderParts {
  /** The addresses whose queries and replies are copied. */
  readonly addresses: readonly string[];
  readonly lifeCycle: Pick<LifeCycle, "becomeReady" | "explain">;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes a copy, from the IP header on, during the call. */
  take(octets: Uint8Array, sizeBytes: number, isReply: boolean, atMs: number): void;
}

/** Reads copies. */
export interface CopyReader {
  isOpen(): boolean;
  /** How often the socket could not be opened, each reason once. */
  problemCount(): number;
  droppedCount(): number;
  close(): void;
}

const retryMs = 5000;
/** Copies are read in batches: so many wake-ups a second cost less than one for each, and the queue holds more than comes meanwhile. */
const busyMs = 5;
const quietMs = 20;
/** The wall clock is read in whole milliseconds, and is set now and then. */
const clockSlackMs = 5;

/** Opens the socket, or tries again until that succeeds; nodens is ready from then on. Never throws. */
export function readCopies({ addresses, lifeCycle, clock, log, take }: CopyReaderParts): CopyReader {
  let socket: PacketSocket | undefined;
  let problem: string | undefined;
  let problemCount = 0;
  let wallOffsetMs = 0;
  let cancel = () => {};
  let isClosed = false;

  function open(): void {
    if (isClosed) return;
    try {
      socket = openPacketSocket(copyFilter(addresses, keptSizeBytes));
    } catch (error) {
      complain(error as NodeJS.ErrnoException);
      cancel = clock.after(retryMs, open);
      return;
    }
    if (problem !== undefined) log.info({}, `no longer: ${problem}`);
    log.info({ addresses }, "watching what pods ask these addresses; nobody is answered");
    lifeCycle.becomeReady();
    read();
  }

  function complain({ code, message }: NodeJS.ErrnoException): void {
    const text = `cannot read copies of packets: ${code === "EPERM" ? "the capability NET_RAW is missing" : message}`;
    if (text === problem) return;
    problem = text;
    problemCount += 1;
    lifeCycle.explain(text);
    log.warn({ kind: "permission" }, text);
  }

  function read(): void {
    if (isClosed || socket === undefined) return;
    const nowMs = clock.nowMs();
    const offsetMs = wallTime().getTime() - nowMs;
    if (Math.abs(offsetMs - wallOffsetMs) > clockSlackMs) wallOffsetMs = offsetMs;
    const count = socket.read(({ octets, sizeBytes, isOutgoing, stampMs }) => {
      const atMs = stampMs === 0 ? nowMs : Math.min(nowMs, stampMs - wallOffsetMs);
      take(octets, sizeBytes, isOutgoing, atMs);
    });
    if (count >= mostAtOnce) clock.afterIo(read);
    else cancel = clock.after(count > 0 ? busyMs : quietMs, read);
  }

  open();
  return {
    isOpen: () => socket !== undefined && !isClosed,
    problemCount: () => problemCount,
    droppedCount: () => socket?.droppedCount() ?? 0,
    close() {
      isClosed = true;
      cancel();
      socket?.close();
    },
  };
}
