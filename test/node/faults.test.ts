/*
 * What pods notice, in every mode and of both families, while something happens to nodens: no time without an answer may be longer than
 * the kernel's switch to kube-dns takes. Each test has a node of its own, and most of its time is waiting.
 */
import { afterAll, beforeAll, test } from "vitest";
import { bedAddress, bedTools, createNodeBed, patienceMs } from "../support/node/node-bed.ts";
import { areAnswered, nodensFaults } from "../support/node/nodens-faults.ts";
import {
  interceptTables,
  type NodensOnNode,
  settingsForBothFamilies,
  startNodensOnNode,
} from "../support/node/nodens-on-node.ts";
import { expectNoHole, watchLookups } from "../support/node/watch-lookups.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "gcc", "dig", "mount"];
/** Twice a start on a machine that does other things, and what the fault takes. */
const timeout = 240_000;

const rows = nodensFaults.flatMap((fault) =>
  fault.ways.map((way) => ({ fault, way, title: fault.title, mode: way.mode, proxy: way.proxy, by: fault.leaves })),
);

describeWith(tools, "nodens in trouble", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  test.concurrent.for(rows)(
    "$mode, kube-proxy with $proxy: $title, pods are answered by $by",
    { timeout },
    async ({ fault, way }, { expect, onTestFinished }) => {
      const { mode, proxy, asked } = way;
      const bed = await createNodeBed({ proxy, podCount: 2 });
      onTestFinished(() => bed.close());
      // A node tracks connections long before nodens comes.
      expect(await areAnswered(bed, [bedAddress.service])).toBe(true);
      const start = () => startNodensOnNode(bed, { mode, settings: settingsForBothFamilies(mode) });
      const nodens = await start();
      await untilPodsComeTo(nodens);
      const strike = () => fault.strike({ bed, nodens, way, onEnd: onTestFinished });
      expectNoHole(await watchLookups(bed, client.path, strike, asked), fault.budgetMs, fault.mostMisdirected);
      if (fault.leaves === "kube-dns") {
        // It has ended, and so has its table.
        expect(await interceptTables(bed)).toEqual([]);
        expect(await areAnswered(bed, asked)).toBe(true);
        await expectNodensAnswers(await start());
      } else {
        await expectNodensAnswers(nodens);
        nodens.process.kill("SIGKILL");
        await nodens.stop();
        await until("kube-dns answers", () => areAnswered(bed, asked), patienceMs);
      }

      async function expectNodensAnswers(one: NodensOnNode): Promise<void> {
        await untilPodsComeTo(one);
        const counted = (family: number) =>
          one.metricSum("coredns_dns_requests_total", `proto="udp",family="${family}",type="A"`);
        const before = await Promise.all([1, 2].map(counted));
        const isCounted = async () => {
          await areAnswered(bed, asked);
          const now = await Promise.all([1, 2].map(counted));
          return now.every((count, index) => count > (before[index] ?? 0));
        };
        await until("it counts questions of both families", isCounted, patienceMs);
      }
    },
  );
});

async function untilPodsComeTo(nodens: NodensOnNode): Promise<void> {
  const come = async () => (await nodens.metric("nodens_failopen")) === 0;
  await until("pods' questions come to nodens", come, patienceMs);
}
