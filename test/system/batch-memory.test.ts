/*
 * The memory of recvmmsg and sendmmsg as the two C libraries read and write it: nodens lays it out, and a program of glibc or musl makes
 * the call.
 */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  batchSlots,
  createReceiveBatch,
  createSendBatch,
  type DatagramSlots,
} from "../../src/runtime/datagram-batch.ts";
import type { Libc } from "../../src/runtime/libc.ts";
import { hostOf, ipv4SocketAddressSizeBytes, portOf, socketAddress } from "../../src/runtime/socket-address.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";

/** Where the program maps the memory: an address that nothing else has, below what pointers may be in 47 bits. */
const mappedAt = 0x2000_0000_0000n;
const roomBytes = 512;

/** What a batch asks of the C library, for memory that another process is to read. */
interface Laid {
  readonly libc: Libc;
  /** Where the headers begin, once a call has been made. */
  headersAt(): number;
}

/** Gives buffers addresses in the other process, one after the other, and makes no call. */
function layOut(): Laid {
  let nextAt = mappedAt;
  let headersAt = mappedAt;
  const takeAddress = (_fd: number, headers: bigint) => {
    headersAt = headers;
    return 0;
  };
  const libc = {
    addressOf(memory: Buffer) {
      const address = nextAt;
      nextAt += BigInt(memory.length);
      return address;
    },
    recvmmsg: takeAddress,
    sendmmsg: takeAddress,
  } as unknown as Libc;
  return { libc, headersAt: () => Number(headersAt - mappedAt) };
}

describeWith(["gcc", "musl-gcc"], "memory of batches", () => {
  for (const compiler of ["gcc", "musl-gcc"] as const) {
    let program: CompiledClient;
    beforeAll(async () => {
      program = await compileClient("run-batch", compiler);
    });
    afterAll(() => program.remove());

    test(`${compiler}: sends each slot with its size to its address`, async () => {
      const receiver = createSocket("udp4").bind(0, "127.0.0.1");
      onTestFinished(() => void receiver.close());
      await once(receiver, "listening");
      const laid = layOut();
      const batch = createSendBatch(laid.libc, ipv4SocketAddressSizeBytes, roomBytes);
      for (let slot = 0; slot < batchSlots; slot += 1) {
        (batch.octets[slot] as Uint8Array).fill(slot);
        (batch.addresses[slot] as Uint8Array).set(socketAddress({ host: "127.0.0.1", port: receiver.address().port }));
        batch.setSize(slot, slot + 1);
      }
      batch.send(0, 0, batchSlots);
      const received: Buffer[] = [];
      receiver.on("message", (message) => received.push(message));

      const { lines } = await runOn(batch, laid, program.path, "send");

      expect(lines).toEqual([String(batchSlots)]);
      await expect.poll(() => received.length).toBe(batchSlots);
      expect(received).toEqual(Array.from({ length: batchSlots }, (_, slot) => Buffer.alloc(slot + 1, slot)));
    });

    test(`${compiler}: receives into each slot its octets, size, sender and the time of arrival`, async () => {
      const laid = layOut();
      const batch = createReceiveBatch(laid.libc, ipv4SocketAddressSizeBytes, roomBytes);
      batch.receive(0, true);
      const sender = createSocket("udp4").bind(0, "127.0.0.1");
      onTestFinished(() => void sender.close());
      await once(sender, "listening");
      const sizes = [1, 40, roomBytes, roomBytes + 1];
      const startedAtMs = Date.now();

      const { lines } = await runOn(batch, laid, program.path, "receive", async (port) => {
        for (const [index, size] of sizes.entries())
          await new Promise((sent) => {
            sender.send(Buffer.alloc(size, index + 1), port, "127.0.0.1", sent);
          });
      });

      expect(lines.at(-1)).toBe(String(sizes.length));
      expect(sizes.map((_, slot) => batch.sizeOf(slot))).toEqual([1, 40, roomBytes, -1]);
      expect(sizes.map((_, slot) => batch.octets[slot]?.[0])).toEqual([1, 2, 3, 4]);
      for (const slot of sizes.keys()) {
        const from = batch.addresses[slot] as Uint8Array;
        expect([hostOf(from), portOf(from)]).toEqual(["127.0.0.1", sender.address().port]);
        expect(batch.stampMsOf(slot)).toBeGreaterThanOrEqual(startedAtMs - 1);
        expect(batch.stampMsOf(slot)).toBeLessThanOrEqual(Date.now() + 1);
      }
    });
  }
});

/** Runs the program on the memory of a batch, which has what the call wrote afterwards. `onPort` may send before `receive` calls. */
async function runOn(
  { memory }: DatagramSlots,
  laid: Laid,
  path: string,
  call: "send" | "receive",
  onPort: (port: number) => Promise<void> = async () => {},
): Promise<{ lines: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-batch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "memory");
  writeFileSync(file, Buffer.concat(memory));
  const place = [file, mappedAt.toString(16), String(laid.headersAt()), String(batchSlots), call];
  const child = spawn(path, place, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    if (lines.push(line) > 1 || call === "send") continue;
    await onPort(Number(line));
    child.stdin.write("\n");
  }
  await ended;
  const after = readFileSync(file);
  let at = 0;
  for (const each of memory) {
    after.copy(each, 0, at, at + each.length);
    at += each.length;
  }
  return { lines };
}
