/*
 * Which addresses of the kube-dns Service are intercepted: those in `attach.virtualAddresses` or, without any, those of
 * `upstream.servers`.
 */
import type { Settings } from "./settings-table.ts";

/** The addresses that pods ask, for `attach.mode: observe`: the Service's, and those of a cache on the node, in `attach.addresses`. */
export function observedAddressesOf(settings: Pick<Settings, "attach" | "upstream">): readonly string[] {
  return [...new Set([...virtualAddressesOf(settings), ...settings.attach.addresses])];
}

/** IP addresses in the order of the settings; empty when neither setting names one. Not checked for repetitions. */
export function virtualAddressesOf({ attach, upstream }: Pick<Settings, "attach" | "upstream">): readonly string[] {
  if (attach.virtualAddresses.length > 0) return attach.virtualAddresses;
  return upstream.servers.filter(({ port }) => port === 53).map(({ host }) => host);
}
