/*
 * nodens for arm64, under emulation: that the memory of batches and addresses is what that kernel interface takes. Whatever is not about
 * memory is the same program as elsewhere. qemu has no time stamps of datagrams: batch-memory.test.ts has those.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askAll } from "../support/messages/ask-many.ts";
import { askTcp, askUdp } from "../support/messages/ask.ts";
import { a, buildQuery, readMessage, replyTo, Type } from "../support/messages/messages.ts";
import { arm64Requirements, makeArm64Program } from "../support/program/arm64.ts";
import { type NodensAndUpstream, startNodensAndUpstream } from "../support/program/nodens-and-upstream.ts";
import { describeWith } from "../support/program/requirements.ts";

const webAddress = "192.0.2.7";

describeWith([...arm64Requirements, "::1"], "nodens for arm64", () => {
  let pair: NodensAndUpstream;
  let nodens: NodensAndUpstream["nodens"];
  let web: string;
  const folder = mkdtempSync(join(tmpdir(), "nodens-arm64-"));
  const systemCalls = join(folder, "system-calls");
  beforeAll(async () => {
    const program = await makeArm64Program();
    // Emulated, whatever runs for the first time takes long.
    const upstream = { deadlineMs: 30_000, udp: { retransmitMs: 10_000 }, tcp: { queryTimeoutMs: 10_000 } };
    pair = await startNodensAndUpstream({
      program,
      env: { QEMU_STRACE: "1", QEMU_LOG_FILENAME: systemCalls },
      settings: { listen: { addresses: ["127.0.0.1:0", "[::1]:0"] }, upstream },
    });
    ({ nodens } = pair);
    web = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", webAddress, 3600)] }));
  }, 240_000);
  afterAll(async () => {
    await pair.stop();
    rmSync(folder, { recursive: true });
  });

  /** The port on ::1 is another than on 127.0.0.1. */
  function portOn(host: string): number {
    const found = /\[::1\]:(\d+)/.exec(nodens.stdout())?.[1];
    return host === "::1" ? Number(found) : nodens.port;
  }

  test.for(["127.0.0.1", "::1"])("answers over UDP to whoever asked on %s", async (host) => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, id) => askUdp(portOn(host), buildQuery(web, Type.A, { id }), 10_000, host)),
    );

    const ids = replies.map((reply) => readMessage(reply as Uint8Array).id);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, id) => id));
  });

  test("answers more questions at once than a batch holds", async () => {
    const packets = Array.from({ length: 300 }, () => buildQuery(web, Type.A));

    const replies = await askAll({ host: "127.0.0.1", port: nodens.port }, "udp", packets, {
      concurrency: 150,
      waitMs: 20_000,
    });

    const answers = replies.map((reply) =>
      readMessage(reply as Uint8Array).answers.map(({ data }) => [...data].join(".")),
    );
    expect(answers).toEqual(packets.map(() => [webAddress]));
  });

  test("answers questions in one stream over TCP", async () => {
    const packets = Array.from({ length: 50 }, (_, id) => buildQuery(web, Type.A, { id }));

    const replies = await askTcp(nodens.port, packets, 50, 20_000);

    expect(replies.map((reply) => readMessage(reply).rcode)).toEqual(packets.map(() => 0));
  });

  test("has received and sent in batches", () => {
    const calls = readFileSync(systemCalls, "utf8");

    expect(calls).toMatch(/ recvmmsg\(.* = \d/);
    expect(calls).toMatch(/ sendmmsg\(.* = \d/);
  });
});
