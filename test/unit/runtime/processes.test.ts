import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { ownNetworkNamespace, processesCalled, socketOwners } from "../../../src/runtime/processes.ts";

test("a socket's program is found by its inode, and an inode that nobody has is missing", async () => {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const port = socket.address().port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/udp", "utf8")
    .split("\n")
    .find((text) => text.includes(`:${port} `));
  const inode = line?.trim().split(/\s+/)[9] ?? "";
  const comm = readFileSync("/proc/self/comm", "utf8").trim();
  expect(socketOwners(new Set([inode, "1"]))).toEqual(new Map([[inode, comm]]));
});

test("a process is found by the name of its program, with its network namespace", async () => {
  const child = spawn("sleep", ["60"]);
  onTestFinished(() => void child.kill());
  await once(child, "spawn");
  await expect
    .poll(() => processesCalled(["sleep"]))
    .toContainEqual({ pid: String(child.pid), program: "sleep", networkNamespace: ownNetworkNamespace() });
  expect(ownNetworkNamespace()).toMatch(/^net:\[\d+\]$/);
});
