/*
 * From a Corefile to answers: what `nodens migrate` writes is what `nodens check` accepts and `nodens serve` runs with.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { findFreePort } from "../support/servers/free-port.ts";
import { a, replyTo } from "../support/messages/messages.ts";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { projectFolder, runNodens, runToEnd } from "../support/program/run-nodens.ts";
import { startScriptedUpstream } from "../support/servers/scripted-upstream.ts";

const program = join(projectFolder, "src", "nodens.mjs");
const corefiles = join(projectFolder, "test", "fixtures", "corefiles");

describe("nodens migrate", () => {
  test("writes settings that nodens check accepts, to standard output alone", async () => {
    const { code, stdout, stderr } = await runToEnd(["migrate", join(corefiles, "node-local-dns.yaml")]);
    expect(code).toBe(0);
    expect(stderr).toContain("node-local-dns.yaml:47: forward: ");
    const folder = mkdtempSync(join(tmpdir(), "nodens-migrate-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "nodens.yaml"), stdout);
    expect(await runToEnd(["check", join(folder, "nodens.yaml")])).toMatchObject({ code: 0, stderr: "" });
  });

  test("reads standard input, and ends with 65 when something is lost", () => {
    const input = ".:53 {\n  forward . 192.0.2.1\n  whoami\n}\n";
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "migrate", "-"], {
      input,
      encoding: "utf8",
    });
    expect(status).toBe(65);
    expect(stdout).toContain("servers: [192.0.2.1] # standard input:2\n");
    expect(stderr).toContain("standard input:3: whoami: LOST: ");
  });

  test("ends with 78 and writes nothing when the Corefile is broken", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "migrate", "-"], {
      input: ". {\n",
      encoding: "utf8",
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 78,
      stdout: "",
      stderr: "standard input:1:3: this { is never closed\n",
    });
  });

  test("shows in its help what becomes of the rest", async () => {
    expect((await runToEnd(["help", "migrate"])).stdout).toMatch(/LOST[^]*exit code is then 65[^]*kubectl/);
  });
});

test("nodens answers where CoreDNS did, and asks whom it asked", async () => {
  const replyWith = (address: string) =>
    startScriptedUpstream(({ bytes }) => replyTo(bytes, { answers: [a("@12", address, 30)] }));
  const upstreams = {
    cluster: await replyWith("10.0.0.1"),
    outside: await replyWith("10.0.0.2"),
    company: await replyWith("10.0.0.3"),
  };
  for (const upstream of Object.values(upstreams)) onTestFinished(() => upstream.close());
  const port = await findFreePort();
  const block = (zone: string, to: string) => `${zone}:${port} {\n  bind 127.0.0.1\n  forward . ${to}\n  cache 10\n}\n`;
  const corefile = [
    block("cluster.local", upstreams.cluster.address),
    block("corp.example", upstreams.company.address),
    block(".", upstreams.outside.address),
  ].join("");
  const written = execFileSync(process.execPath, [program, "migrate", "-"], {
    input: corefile,
    encoding: "utf8",
    stdio: "pipe",
  });
  // The folder of the probes is that of a pod.
  const nodens = await runNodens({ settings: { ...(parse(written) as object), probes: { directory: "" } } });
  onTestFinished(() => void nodens.stop());

  expect(nodens.port).toBe(port);
  const answers = await Promise.all(
    ["web.default.svc.cluster.local", "printer.corp.example", "www.example"].map(async (name) => {
      const [answer] = (await ask("udp", port, name)).answers;
      return { address: [...(answer?.data ?? [])].join("."), isShort: (answer?.ttl ?? 0) <= 10 };
    }),
  );
  expect(answers).toEqual([
    { address: "10.0.0.1", isShort: true },
    { address: "10.0.0.3", isShort: true },
    { address: "10.0.0.2", isShort: true },
  ]);
});
