/*
 * Word from the kernel that addresses of this machine come and go (rtnetlink(7)), so that nobody has to look again and again. What to hear of
 * is chosen with the socket's own address:
 *
 *     struct sockaddr_nl { u16 family; u16 zero; u32 port; u32 groups; }    in the machine's own order
 */
import { libc, type Libc, SocketConstant as k } from "./libc.ts";
import { canWatchDescriptors, watchDescriptor } from "./watch-descriptor.ts";

/** NETLINK_ROUTE, and RTMGRP_IPV4_IFADDR with RTMGRP_IPV6_IFADDR of linux/rtnetlink.h. */
const routeProtocol = 0;
const addressGroups = 0x10 | 0x100;
const dontWait = 0x40;
const messageSizeBytes = 8192;

/**
 * Calls `onChange` after any change of an address, once for all that come together, until the returned function is called. Undefined where the
 * kernel cannot be heard: then only looking helps. Which address it was is not told, and some changes may be missed while many come.
 */
export function hearAddressChanges(onChange: () => void): (() => void) | undefined {
  const fd = libc !== undefined && canWatchDescriptors() ? openSocket(libc) : -1;
  if (libc === undefined || fd === -1) return undefined;
  const calls = libc;
  const message = Buffer.alloc(messageSizeBytes);
  const watch = watchDescriptor(fd, () => {
    // A failure says that there were more than the kernel kept.
    while (calls.recv(fd, message, message.length, dontWait) > 0);
    onChange();
  });
  return () => void watch.stop().then(() => calls.close(fd));
}

function openSocket(calls: Libc): number {
  const fd = calls.socket(k.AF_NETLINK, k.SOCK_DGRAM | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC, routeProtocol);
  if (fd === -1) return -1;
  const words = new Uint32Array([0, 0, addressGroups]);
  new Uint16Array(words.buffer)[0] = k.AF_NETLINK;
  if (calls.bind(fd, Buffer.from(words.buffer), words.byteLength) === 0) return fd;
  calls.close(fd);
  return -1;
}
