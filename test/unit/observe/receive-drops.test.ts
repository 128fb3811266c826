import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { countReceiveDrops, kernelAddress } from "../../../src/observe/receive-drops.ts";
import { bindSharedSocket } from "../../../src/runtime/shared-socket.ts";
import { describeWith } from "../../support/program/requirements.ts";

test.each([
  ["169.254.20.10", 53, "LE", "0A14FEA9:0035"],
  ["169.254.20.10", 53, "BE", "A9FE140A:0035"],
  ["127.0.0.1", 5353, "LE", "0100007F:14E9"],
  ["::1", 53, "LE", "00000000000000000000000001000000:0035"],
  ["fd00:1:2::a", 65_535, "LE", "010000FD00000200000000000A000000:FFFF"],
  ["fd00:1:2::a", 65_535, "BE", "FD00000100020000000000000000000A:FFFF"],
  ["fe80::1%eth0", 53, "BE", "FE800000000000000000000000000001:0035"],
  ["1:2:3:4:5:6:7:8", 53, "BE", "00010002000300040005000600070008:0035"],
] as const)("the kernel prints %s port %i (%s) as %s", (host, port, order, printed) => {
  expect(kernelAddress({ host, port }, order)).toBe(printed);
});

const address = { host: "169.254.20.10", port: 53 };
/** A socket that does not tell what was dropped. */
const silent = { address, receiveDrops: () => undefined };
const head =
  "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

function line(local: string, inode: number, drops: number): string {
  return ` 1234: ${local} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 ${inode} 2 0000000000000000 ${drops}           \n`;
}

test("sockets of our addresses are added up, others are not", () => {
  const ours = kernelAddress(address);
  const text = head + line(ours, 1, 5) + line(kernelAddress({ ...address, port: 54 }), 2, 100) + line(ours, 3, 2);
  const read = countReceiveDrops(
    () => [silent],
    (path) => (path === "/proc/net/udp" ? text : head),
  );
  expect(read()).toBe(7);
});

test("the total does not fall when a socket closes, and goes on with the next one", () => {
  let text = head + line(kernelAddress(address), 1, 5);
  const read = countReceiveDrops(
    () => [silent],
    (path) => (path === "/proc/net/udp" ? text : undefined),
  );
  const totals = [read()];
  for (const next of [head, head + line(kernelAddress(address), 2, 1), head + line(kernelAddress(address), 2, 4)]) {
    text = next;
    totals.push(read());
  }
  expect(totals).toEqual([5, 5, 6, 9]);
});

test("a socket that tells is not looked up: the files list all sockets of the node", () => {
  let drops = 3;
  const read = countReceiveDrops(
    () => [{ address, receiveDrops: () => drops }],
    (path) => {
      throw new Error(`${path} was read`);
    },
  );
  expect(read()).toBe(3);
  drops = 5;
  expect(read()).toBe(5);
});

test("where /proc has no such files the total is 0", () => {
  const read = countReceiveDrops(
    () => [silent],
    () => undefined,
  );
  expect(read()).toBe(0);
});

const send = `
  const socket = require("node:dgram").createSocket(process.argv[1]);
  let left = 100;
  for (let i = 0; i < 100; i += 1) socket.send(Buffer.alloc(1000), process.argv[2], process.argv[3], () => --left || socket.close());
`;

/** Sends more than a small queue holds. Nothing is read meanwhile: the call blocks this process. */
function overflow(type: string, host: string, port: number): void {
  spawnSync(process.execPath, ["-e", send, type, String(port), host], { timeout: 10_000 });
}

describeWith(["/proc/net/udp", "::1"], "what the kernel drops", () => {
  test.each([
    ["udp4", "127.0.0.1"],
    ["udp6", "::1"],
  ] as const)("in front of a real %s socket is counted", async (type, host) => {
    const socket = createSocket(type);
    onTestFinished(() => void socket.close());
    socket.bind(0, host);
    await once(socket, "listening");
    socket.setRecvBufferSize(4096);
    const { port } = socket.address();
    const read = countReceiveDrops(() => [{ address: { host, port }, receiveDrops: () => undefined }]);
    expect(read()).toBe(0);
    overflow(type, host, port);
    expect(read()).toBeGreaterThan(50);
  });

  test.each([
    ["udp4", "127.0.0.1"],
    ["udp6", "::1"],
  ] as const)("in front of a %s socket of nodens's own is told by the socket", async (type, host) => {
    const shared = bindSharedSocket("udp", { host, port: 0 });
    const socket = createSocket(type);
    onTestFinished(() => void socket.close());
    await new Promise<void>((resolve) => socket.bind({ fd: shared?.fd ?? -1 }, resolve));
    socket.setRecvBufferSize(4096);
    expect(shared?.receiveDrops()).toBe(0);
    overflow(type, host, shared?.port ?? 0);
    expect(shared?.receiveDrops()).toBeGreaterThan(50);
  });
});
