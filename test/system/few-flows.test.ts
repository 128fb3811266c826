/*
 * Ten thousand different names through nodens to one real server, fifty at a time: how many flows are open at once, as the
 * system sees them from nodens's side (`ss`) and as the server counts what came over which transport.
 */
import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { askAll } from "../support/messages/ask-many.ts";
import { buildQuery, readMessage, Type } from "../support/messages/messages.ts";
import { type RealServer, startUnbound } from "../support/servers/real-servers.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";

const run = promisify(execFile);
const nameCount = 10_000;
const concurrency = 50;
const mostFlows = 8;
const samplePauseMs = 10;

describeWith(["unbound", "unbound-control", "ss"], "10,000 names to a single unbound", () => {
  let server: RealServer;

  beforeAll(async () => {
    // Any name below these two exists.
    server = await startUnbound({}, [
      'local-zone: "cluster.local." redirect',
      'local-data: "cluster.local. 30 IN A 10.96.0.1"',
      'local-zone: "outside.test." redirect',
      'local-data: "outside.test. 300 IN A 192.0.2.1"',
      "extended-statistics: yes",
      // Its default of ten connections would be a limit, not a measurement.
      "incoming-num-tcp: 200",
    ]);
  });
  afterAll(() => server.close());

  test(`travel over at most ${mostFlows} flows at once: TCP for cluster names that need not wait there, UDP for the others`, async () => {
    const nodens = await runNodens({ flags: ["--upstream", server.address] });
    onTestFinished(async () => void (await nodens.stop()));
    const before = await countQueries(server);

    const sampling = sampleFlows(nodens, server);
    const replies = await askAll({ host: "127.0.0.1", port: nodens.port }, "udp", differentQueries(), { concurrency });
    const samples = await sampling.end();

    const answered = replies.filter((reply) => reply !== undefined && readMessage(reply).answers.length === 1);
    expect(answered.length).toBe(nameCount);

    const after = await countQueries(server);
    const most = (count: (sample: Sample) => number) => Math.max(...samples.map(count));
    const measured = {
      samples: samples.length,
      flowsAtOnce: most(({ flows }) => flows.length),
      tcpAtOnce: most(({ flows }) => countOf(flows, "tcp")),
      udpAtOnce: most(({ flows }) => countOf(flows, "udp")),
      connectionsAtServer: most((sample) => sample.connectionsAtServer),
      queries: after.tcp + after.udp - before.tcp - before.udp,
      queriesOverTcp: after.tcp - before.tcp,
      // Shown on failure.
      differentFlows: new Set(samples.flatMap(({ flows }) => flows)).size,
      fullestSample: samples.toSorted((one, other) => other.flows.length - one.flows.length)[0],
    };
    // Every name once; the few more are nodens's probes.
    const everyNameOnce = expect.toSatisfy((count: number) => count >= nameCount && count < nameCount + 200);
    expect(measured).toMatchObject({
      samples: expect.toSatisfy((count: number) => count > 10),
      flowsAtOnce: expect.toSatisfy((count: number) => count <= mostFlows),
      tcpAtOnce: expect.toSatisfy((count: number) => count >= 1),
      udpAtOnce: expect.toSatisfy((count: number) => count >= 1),
      connectionsAtServer: expect.toSatisfy((count: number) => count >= 1 && count <= mostFlows),
      queries: everyNameOnce,
      // Cluster names: those for which a connection was free. On a busy machine it soon is not.
      queriesOverTcp: expect.toSatisfy((count: number) => count > nameCount / 100 && count < nameCount / 2 + 100),
    });
  });
});

function differentQueries(): Uint8Array[] {
  return Array.from({ length: nameCount }, (_, index) =>
    buildQuery(index % 2 === 0 ? `s${index}.shop.svc.cluster.local` : `www${index}.outside.test`, Type.A),
  );
}

interface Sample {
  /** The sockets of nodens that lead to the server, as "tcp 127.0.0.1:40000". */
  readonly flows: readonly string[];
  /** The connections that the server has. */
  readonly connectionsAtServer: number;
}

/** Looks again and again, until it is told to end. */
function sampleFlows(nodens: RunningNodens, server: RealServer): { end(): Promise<Sample[]> } {
  const ending = new AbortController();
  const samples: Sample[] = [];
  async function sample(): Promise<Sample[]> {
    while (!ending.signal.aborted) {
      samples.push(await listFlows(nodens, server));
      await delay(samplePauseMs);
    }
    return samples;
  }
  const sampled = sample();
  return {
    end() {
      ending.abort();
      return sampled;
    },
  };
}

/**
 * Reads from `ss` a line a socket: protocol, state, two queues, local address, peer, process. A connection on this machine has
 * two lines, one for each end.
 */
async function listFlows(nodens: RunningNodens, server: RealServer): Promise<Sample> {
  const port = `:${server.port}`;
  const { stdout } = await run(findCommand("ss") as string, [
    "-H",
    "-tunap",
    "dport",
    "=",
    port,
    "or",
    "sport",
    "=",
    port,
  ]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  const sockets = lines.map((line) => {
    const [protocol, state, , , local, peer] = line.split(/\s+/);
    return { protocol, state, local, peer, isOfNodens: line.includes(`pid=${nodens.process.pid},`) };
  });
  return {
    flows: sockets
      .filter(({ peer, isOfNodens }) => isOfNodens && peer === server.address)
      .map(({ protocol, local }) => `${protocol} ${local}`),
    connectionsAtServer: sockets.filter(
      ({ protocol, state, local }) => protocol === "tcp" && state === "ESTAB" && local === server.address,
    ).length,
  };
}

function countOf(flows: readonly string[], protocol: "tcp" | "udp"): number {
  return flows.filter((flow) => flow.startsWith(protocol)).length;
}

/** How many queries the server has had over each transport. */
async function countQueries(server: RealServer): Promise<{ tcp: number; udp: number }> {
  const { stdout } = await run(findCommand("unbound-control") as string, [
    "-c",
    `${server.folder}/unbound.conf`,
    "stats_noreset",
  ]);
  const read = (name: string) => Number(new RegExp(`^${name}=(\\d+)$`, "m").exec(stdout)?.[1]);
  const tcp = read("num\\.query\\.tcp");
  return { tcp, udp: read("total\\.num\\.queries") - tcp };
}
