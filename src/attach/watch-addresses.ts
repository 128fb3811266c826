/*
 * Notices within moments that somebody took an address of nodens off the node: pods without an answer notice after a second or more.
 */
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import type { AttachmentOptions } from "./attachment-options.ts";

/** What the watch needs. */
export interface AddressWatchOptions extends Pick<AttachmentOptions, "hasAddress" | "hearAddressChanges"> {
  readonly addresses: readonly string[];
  readonly clock: Clock;
  /** Whether the addresses are being put in place at this moment. Then nothing is looked at. */
  isPlacing(): boolean;
  /** Called with those that were there at the look before. */
  onLost(addresses: readonly string[]): void;
}

/** Where the kernel tells of changes, looking by itself is a second look at what it may have left out. */
const watchMs = { unheard: 100, heard: 1000 } as const;

/** Looks at once, and goes on until the function that it returns is called, which may be called again. */
export function watchAddresses(options: AddressWatchOptions): () => void {
  const { addresses, clock } = options;
  /** Those that were there when they were last looked for. */
  let present: readonly string[] = [];
  let cancel = () => {};
  let stopHearing = options.hearAddressChanges(look);
  watch(stopHearing === undefined ? watchMs.unheard : watchMs.heard);

  function watch(intervalMs: number): void {
    look();
    cancel = clock.after(toNextBeatMs(clock, intervalMs), () => watch(intervalMs));
  }

  function look(): void {
    if (options.isPlacing()) return;
    const now = addresses.filter((address) => options.hasAddress(address));
    const lost = present.filter((address) => !now.includes(address));
    present = now;
    if (lost.length > 0) options.onLost(lost);
  }

  return () => {
    cancel();
    stopHearing?.();
    stopHearing = undefined;
  };
}
