/* Settings of `listen`: where pods reach nodens, and who may ask. */
import { addressRanges, group, listenAddresses, oneOf, wholeNumber } from "./setting-kinds.ts";

const nearbyClients =
  "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/10 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 100.64.0.0/10".split(
    " ",
  );

/** The group `listen`. */
export const listen = group("Where pods reach nodens, and who may ask.", {
  addresses: listenAddresses({
    default: ["127.0.0.1:5353"],
    effect: "restart",
    flag: { name: "--listen", value: "ADDR:PORT", help: "address for DNS over UDP and TCP" },
    help: "Addresses to answer on, over UDP and TCP. `0.0.0.0` and `[::]` mean every address the machine has at start. Port 0 takes any free port. May be empty when `attach.mode` is `link-local` or `intercept`, and means nothing when it is `observe`.",
  }),
  allow: addressRanges({
    default: nearbyClients,
    effect: "live",
    help: "Clients that nodens answers. It drops the packets of all others unread. The default is loopback, link-local, private and shared ranges, because a node may have a public address and must not be an open resolver.",
  }),
  maxUdpReplyBytes: wholeNumber("bytes", {
    default: 1232,
    between: [512, 4096],
    effect: "live",
    help: "Largest UDP reply, whatever the client offers. 1232 fits every IPv6 path unfragmented; larger answers are truncated, and clients ask again over TCP.",
  }),
  batch: oneOf(["auto", "off"], {
    default: "auto",
    effect: "restart",
    help: "Whether pods' UDP and TCP go through the C library: datagrams in batches, connections without Node's objects for each, which takes half the CPU. `auto` does so where Node can call it, on 64-bit Linux; `off` uses Node's own sockets.",
  }),
  tcp: group("TCP connections from pods.", {
    maxConnections: wholeNumber("connections", {
      default: 1024,
      between: [1, 65_536],
      effect: "restart",
      help: "Open connections at once. A further one closes the connection that has been idle longest, of the client with most.",
    }),
    maxConnectionsPerClient: wholeNumber("connections", {
      default: 256,
      between: [1, 65_536],
      effect: "restart",
      help: "Open connections of one client address at once. A further one closes the client's own that has been idle longest.",
    }),
    idleTimeoutMs: wholeNumber("ms", {
      default: 10_000,
      between: [100, 600_000],
      effect: "restart",
      help: "How long a connection may be idle before nodens closes it.",
    }),
    maxPipelined: wholeNumber("questions", {
      default: 64,
      between: [1, 4096],
      effect: "restart",
      help: "Unanswered questions on one connection. At this number nodens stops reading from it until one is answered.",
    }),
    maxWriteBufferBytes: wholeNumber("bytes", {
      default: 262_144,
      between: [65_537, 16_777_216],
      effect: "restart",
      help: "Replies buffered for a client that does not read. Above this nodens closes the connection. The largest message takes 65537 bytes, length field included.",
    }),
  }),
});
