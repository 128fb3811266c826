/* What a person wants to know right after nodens has started. */
import { attachModes } from "../attach/modes.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import { observedAddressesOf } from "../settings/virtual-addresses.ts";
import { transports } from "../upstream/transport.ts";
import { addressesOf } from "./live-upstream.ts";
import type { App } from "./start-app.ts";

/** A few lines: where nodens listens or what it watches, how it is attached, where it forwards, and what to try. The last has no line ending. */
export function describeApp({ sockets, upstream, attachment, admin, reload }: App, version: string): string {
  const settings = reload.inForce();
  const { attach, cluster } = settings;
  const addresses = sockets.listeners.filter(({ protocol }) => protocol === "udp").map(({ address }) => address);
  const [first = { host: "127.0.0.1", port: 53 }] = addresses;
  const listening = admin.address();
  const embedded = upstream.clusterDnsAddress() === undefined ? "" : ", the embedded cluster DNS";
  const routes = upstream
    .routes()
    .map((route) => `${route.name} names to ${addressesOf(route)} over ${transports[route.transport].label}`);
  const metrics = `  metrics     ${listening === undefined ? "not yet, the log says why" : `http://${formatServerAddress(listening)}/metrics`}`;
  // Who asks, and what, is told on this machine only.
  const page =
    listening === undefined
      ? []
      : [`  page        http://127.0.0.1:${listening.port}/ on this machine; in a terminal: nodens top`];
  if (attachModes[attach.mode].onlyWatches) {
    const watched = `  watching    what pods ask ${observedAddressesOf(settings).join(", ")}; nobody is answered`;
    return [
      `nodens ${version}`,
      watched,
      metrics,
      "  try         the page /observe of the admin server, on loopback",
    ].join("\n");
  }
  const attached = `  attached    ${attach.mode}${attachment.isComplete() ? "" : ", not complete yet"}`;
  return [
    `nodens ${version}`,
    `  listening   ${addresses.map(formatServerAddress).join(", ")} (UDP and TCP)`,
    ...(attach.mode === "none" ? [] : [attached]),
    `  forwarding  ${routes.join("; ")}${embedded}`,
    metrics,
    ...page,
    `  try         dig @${first.host} -p ${first.port} kubernetes.default.svc.${cluster.domain}`,
  ].join("\n");
}
