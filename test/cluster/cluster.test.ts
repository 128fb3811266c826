/*
 * nodens on a cluster, in both of kube-proxy's modes, beside what the same pods lose without it.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { type Bed, startBed } from "./bed.ts";
import { clusterRequirements } from "./cluster.ts";
import { cacheFolder, type Programs } from "./programs.ts";
import { pagePath, startReport } from "./report.ts";
import { changeRows } from "./rows-changes.ts";
import { chartRows, managedClusterRows, modeRows } from "./rows-install.ts";
import { kubeProxyRows } from "./rows-kube-proxy.ts";
import { disruptionRows, kubeDnsRows } from "./rows-disruptions.ts";
import { nameRows } from "./rows-names.ts";
import { baselineRows } from "./rows-baseline.ts";
import { describeWith } from "../support/program/requirements.ts";
import { join } from "node:path";

/** Where the page goes: into the checkout for `npm run test:cluster`, which asks for it; otherwise beside what is kept between runs. */
const page = process.env["NODENS_WRITE_TESTED"] === "1" ? pagePath : join(cacheFolder, "tested.md");
const startTimeoutMs = 3_600_000;

describeWith(["CI=true", ...clusterRequirements], "a cluster", () => {
  const report = startReport();
  let programs: Programs | undefined;

  describe.each(["iptables", "nftables"] as const)("whose kube-proxy uses %s", { timeout: 180_000 }, (proxyMode) => {
    let made: Bed | undefined;
    const bed = (): Bed => {
      if (made === undefined) throw new Error("the cluster did not start");
      return made;
    };
    beforeAll(async () => {
      made = await startBed(proxyMode, report);
      ({ programs } = made.cluster);
    }, startTimeoutMs);
    afterAll(() => made?.cluster.close());

    describe("without nodens", () => baselineRows(bed));
    describe.each(["intercept", "link-local", "host-ip"] as const)("with the overlay %s", (way) => {
      modeRows(bed, way, (load) => {
        nameRows(bed, way, load);
        disruptionRows(bed, way, load);
        if (way !== "intercept") return;
        kubeDnsRows(bed);
        kubeProxyRows(bed);
        changeRows(bed);
      });
    });
    describe("with the overlay managed-cluster", () => managedClusterRows(bed));
    describe("with the chart", () => chartRows(bed));
  });

  afterAll(() => {
    if (programs !== undefined) report.write(page, programs, loadInWords);
  });
});

const loadInWords = `Load: a pod with glibc and one with musl, each 40 lookups a second of six names with \`getaddrinfo\` for both families. Late is an answer after more
than a second; failed is an error, or no end within half a minute.`;
