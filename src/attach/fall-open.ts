/*
 * Own addresses that fall open: pods ask nodens by an address of its own, and the kernel sends their questions on to the Service while
 * no replies to test packets leave from that address. Here are the test packets; own-address-table.ts has the rules.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { OwnAddress } from "./own-address-table.ts";
import type { SetupProblem } from "./setup-problem.ts";

/** What the test packets need. */
export interface FallOpenOptions {
  readonly own: readonly OwnAddress[];
  readonly clock: Clock;
  /** Whether a question to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /** Whether pods had better come here than ask the Service. */
  mayAnswer(service: string): boolean;
  /** Called with what is wrong now, empty when nothing is. It may be called when nothing has changed. */
  report(problems: readonly SetupProblem[]): void;
}

/** Test packets for own addresses, until closed. */
export interface FallOpen {
  /** Whether pods' questions to every one of the addresses come here, as far as test packets tell. */
  isAnswering(): boolean;
  /** Asks over TCP too. Call it every minute or so. */
  verify(): Promise<void>;
  /** Sends no more. Two seconds later pods ask the Service, unless another nodens answers on the address. */
  close(): void;
}

const beatMs = 500;

/** Starts the test packets for those of the addresses that have a Service to fall back to. */
export function startFallOpen({ own, clock, answers, mayAnswer, report }: FallOpenOptions): FallOpen {
  const hearts = own.flatMap(({ address: host, service }) => {
    if (service === undefined) return [];
    return createHeartbeat({ target: { virtualAddress: service, host, port: 53, probePort: 53 }, clock, answers });
  });
  let isClosed = false;
  let cancelTimer = clock.after(0, tick);

  function tick(): void {
    cancelTimer = clock.after(beatMs, tick);
    for (const heart of hearts) {
      if (mayAnswer(heart.target.virtualAddress)) void heart.beat().then(tell);
      else heart.forget();
    }
  }

  function tell(): void {
    if (!isClosed) report(hearts.flatMap((heart) => heart.problem() ?? []));
  }

  return {
    isAnswering: () => hearts.every((heart) => heart.isInForce()),
    async verify() {
      await Promise.all(hearts.map((heart) => heart.beatOverTcp()));
      tell();
    },
    close() {
      isClosed = true;
      cancelTimer();
    },
  };
}
