/*
 * Whether pods that ask nodens are answered, for as long as nodens runs. A process that hangs on the same address takes its share of what
 * pods send, and no part of this process notices; nor does it notice a firewall rule. Questions of nodens's own to its own addresses do.
 */
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { OwnSockets } from "./own-sockets.ts";

/** What has been seen of nodens's own sockets. */
export interface OwnEvidence {
  /** Why pods may get no answer, as a message for people; undefined while nothing speaks against it. */
  trouble(): string | undefined;
  /** Ends the watch. */
  close(): void;
}

const intervalMs = 1000;

/** A burst of one pod may cost a look or two; what goes on costs every look. */
const badLooksUntilTrouble = 3;

/** Asks one question a second, and looks closely once one was not answered, until a close look finds nothing. */
export function watchOwnSockets(
  sockets: Pick<OwnSockets, "nextAnswers" | "findSilence">,
  clock: Clock,
  log: Log,
): OwnEvidence {
  let badLooks = 0;
  let trouble: string | undefined;
  let isOver = false;
  let cancel = clock.after(toNextBeatMs(clock, intervalMs), () => void look());

  async function look(): Promise<void> {
    // One question in two reaches a process that answers beside one that hangs: it proves nothing once there is doubt.
    const isFine = badLooks === 0 && (await sockets.nextAnswers());
    const silence = isFine ? undefined : await sockets.findSilence();
    if (isOver) return;
    badLooks = silence === undefined ? 0 : badLooks + 1;
    if (silence === undefined && trouble !== undefined) log.info({}, `no longer: ${trouble}`);
    if (badLooks === badLooksUntilTrouble && silence !== undefined) log.warn({}, silence);
    if (badLooks === 0 || badLooks >= badLooksUntilTrouble) trouble = silence;
    cancel = clock.after(toNextBeatMs(clock, intervalMs), () => void look());
  }

  return {
    trouble: () => trouble,
    close() {
      isOver = true;
      cancel();
    },
  };
}
