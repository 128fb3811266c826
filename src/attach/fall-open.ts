/*
 * Own addresses that fall open: pods ask nodens by an address of its own, and the kernel sends their questions on to the Service while
 * no replies to test packets leave from that address. Here are the test packets, and questions that show whether what is sent on is
 * answered: rules alone do not, where something translates the Service's address before they see a packet. own-address-table.ts has the
 * rules.
 */
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import type { OwnAddress } from "./own-address-table.ts";
import type { SetupProblem } from "./setup-problem.ts";

/** What the test packets need. */
export interface FallOpenOptions {
  readonly own: readonly OwnAddress[];
  readonly clock: Clock;
  /** Whether a question to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /** Whether a question to this address was answered that the rules send on to the Service; undefined where silence says nothing. */
  answersAway(host: string, service: string): Promise<boolean | undefined>;
  /** Whether pods had better come here than ask the Service. */
  mayAnswer(service: string): boolean;
  /** Called with what is wrong now, empty when nothing is. It may be called when nothing has changed. */
  report(problems: readonly SetupProblem[]): void;
  /** Called when it turns out that what is sent on to the Service is not answered, or is again, with a message for people. */
  tellAway(isAnswered: boolean, message: string): void;
}

/** Test packets for own addresses, until closed. */
export interface FallOpen {
  /** Whether pods' questions to every one of the addresses come here, as far as test packets tell. */
  isAnswering(): boolean;
  /** Whether what pods ask the addresses would be answered by the Service while nodens is away: false where that was seen to fail. */
  isServiceReached(): boolean;
  /** Asks over TCP too, and asks the Service by way of the addresses. Call it every minute or so. */
  verify(): Promise<void>;
  /** Sends no more. Two seconds later pods ask the Service, unless another nodens answers on the address. */
  close(): void;
}

const beatMs = 500;
/** A lost packet proves nothing. */
const awayTries = 3;

/** Starts the test packets for those of the addresses that have a Service to fall back to. */
export function startFallOpen(options: FallOpenOptions): FallOpen {
  const { own, clock, answers, mayAnswer, report } = options;
  const hearts = own.flatMap(({ address: host, service }) => {
    if (service === undefined) return [];
    return createHeartbeat({ target: { virtualAddress: service, host, port: 53, probePort: 53 }, clock, answers });
  });
  /** The addresses from which questions that were sent on were not answered. */
  const unanswered = new Set<string>();
  let isClosed = false;
  let cancelTimer = clock.after(0, tick);

  function tick(): void {
    cancelTimer = clock.after(toNextBeatMs(clock, beatMs), tick);
    for (const heart of hearts) {
      if (mayAnswer(heart.target.virtualAddress)) void heart.beat().then(tell);
      else heart.forget();
    }
  }

  function tell(): void {
    if (!isClosed) report(hearts.flatMap((heart) => heart.problem() ?? []));
  }

  async function askAway({ virtualAddress, host }: InterceptTarget): Promise<void> {
    if (!mayAnswer(virtualAddress)) return;
    let isAnswered: boolean | undefined = false;
    for (let tries = 0; tries < awayTries && isAnswered === false; tries += 1)
      isAnswered = await options.answersAway(host, virtualAddress);
    if (isClosed || isAnswered === undefined || isAnswered === !unanswered.has(host)) return;
    if (isAnswered) unanswered.delete(host);
    else unanswered.add(host);
    const what = `what pods ask ${host} while nodens is away`;
    options.tellAway(
      isAnswered,
      isAnswered
        ? `${what} is answered by ${virtualAddress} again`
        : `${what} would not be answered: a question that the node's rules sent on to ${virtualAddress} was not. If kube-dns answers otherwise, its address is translated before these rules see a packet, as eBPF data planes do (docs/install.md, "Data planes")`,
    );
  }

  return {
    isServiceReached: () => unanswered.size === 0,
    isAnswering: () => hearts.every((heart) => heart.isInForce()),
    async verify() {
      await Promise.all(hearts.flatMap((heart) => [heart.beatOverTcp(), askAway(heart.target)]));
      tell();
    },
    close() {
      isClosed = true;
      cancelTimer();
    },
  };
}
