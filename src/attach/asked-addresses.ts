/*
 * The addresses that pods of this node ask, by the settings: nodens's own, and the Service's with the ports that stand for them here.
 */
import { isIP } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { AttachmentOptions } from "./attachment-options.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import { attachModes } from "./modes.ts";
import type { OwnAddress } from "./own-address-table.ts";
import type { StandingPort } from "./standing-ports.ts";

/** nodens's own addresses, each with the first Service address of its family where the mode falls open to that. */
export function ownAddressesOf({
  mode,
  addresses,
  listenAddresses,
  virtualAddresses,
}: Pick<AttachmentOptions, "mode" | "addresses" | "listenAddresses" | "virtualAddresses">): OwnAddress[] {
  const { own, fallsOpen } = attachModes[mode];
  const listed = { "attach.addresses": addresses, "listen.addresses": listenAddresses.flatMap(askedByPods) };
  return (own === undefined ? [] : listed[own]).map((address) => {
    const service = virtualAddresses.find((other) => isIP(other) === isIP(address) && other !== address);
    return { address, service: fallsOpen ? service : undefined };
  });
}

/** Of where nodens listens, what a pod can have as its nameserver: port 53 of one address that is not the node's alone. */
function askedByPods({ host, port }: ServerAddress): string[] {
  const isForPods = port === 53 && !/^(?:127\.|0\.0\.0\.0$|::1?$)/.test(host);
  return isForPods ? [host] : [];
}

/**
 * Each Service address with its ports on our address of the same family: the port that it has already, or the first from `interceptPort`
 * up that no address of the family has; and for test packets one as far below. Whatever the order: another nodens may share the ports.
 */
export function targetsOf(
  {
    virtualAddresses,
    addresses,
    interceptPort,
  }: Pick<AttachmentOptions, "virtualAddresses" | "addresses" | "interceptPort">,
  standing: readonly StandingPort[],
): InterceptTarget[] {
  const taken = [...standing];
  return virtualAddresses.flatMap((virtualAddress) => {
    const family = isIP(virtualAddress);
    const host = addresses.find((address) => isIP(address) === family);
    if (host === undefined) return [];
    const inFamily = taken.filter((one) => isIP(one.virtualAddress) === family && one.port >= interceptPort);
    const kept = inFamily.find((one) => one.virtualAddress === virtualAddress);
    const port = kept?.port ?? firstFree(interceptPort, inFamily);
    taken.push({ virtualAddress, port });
    return [{ virtualAddress, host, port, probePort: 2 * interceptPort - 1 - port }];
  });
}

function firstFree(from: number, taken: readonly StandingPort[]): number {
  return taken.some(({ port }) => port === from) ? firstFree(from + 1, taken) : from;
}
