/*
 * The system's sockets: through the C library where it can be called, which takes less of the processor, otherwise Node's own.
 */
import { canConnectSockets } from "../runtime/connected-socket.ts";
import { openDescriptorTcp } from "./descriptor-tcp.ts";
import { openDescriptorUdp } from "./descriptor-udp.ts";
import type { OpenSocket } from "./flow-socket.ts";
import { openNodeTcp } from "./node-tcp.ts";
import { openNodeUdp } from "./node-udp.ts";

/**
 * A connected UDP socket: the kernel delivers only what comes from the server's address and port, and reports a closed port at once. Its
 * own port is random and stays the same: a port per query would be a flow per query.
 */
export const openUdpSocket: OpenSocket = (server, events) =>
  (canConnectSockets() ? openDescriptorUdp : openNodeUdp)(server, events);

/** A TCP connection. It is always read, even if nothing is awaited: a server without a write deadline would otherwise block on nodens. */
export const openTcpSocket: OpenSocket = (server, events) =>
  (canConnectSockets() ? openDescriptorTcp : openNodeTcp)(server, events);
