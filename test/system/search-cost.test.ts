/*
 * What a lookup costs kube-dns, with real getaddrinfo programs: the benchmark itself runs here, so that its targets hold and it cannot
 * rot. Counts, not times.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

interface Row {
  readonly name: string;
  readonly straight: { readonly upstream: number };
  readonly first: { readonly upstream: number };
  readonly again: { readonly upstream: number };
  readonly next: { readonly upstream: number };
}

/** By name: straight; and through nodens at most for the first of its kind, the same again, the next of its kind. */
const targets: Readonly<Record<string, readonly [number, number, number, number]>> = {
  web: [2, 2, 0, 2],
  "baidu.com": [8, 4, 0, 2],
  "www.baidu.com": [8, 3, 0, 2],
  "a.b.example.com": [8, 2, 0, 2],
  "nope.com": [8, 4, 0, 2],
};

async function measure(upstream: string, client: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-search-cost-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const json = join(folder, "rows.json");
  const filters = ["--upstream", upstream, "--client", client, "--suffixes", "3"];
  await promisify(execFile)(process.execPath, [
    join(projectFolder, "bench", "whole", "search.ts"),
    ...filters,
    "--json",
    json,
  ]);
  return JSON.parse(readFileSync(json, "utf8")) as Row[];
}

describeWith(
  ["root", "unshare", "mount", "musl-gcc", "gcc", "named"],
  "questions that reach upstream for one lookup",
  () => {
    test.each([
      ["musl", "embedded"],
      ["glibc", "named"],
    ])(
      "of %s in front of %s",
      async (client, upstream) => {
        const rows = await measure(upstream, client);
        expect(rows.map(({ name }) => name)).toEqual(Object.keys(targets));
        for (const { name, straight, first, again, next } of rows) {
          const [mostStraight = 0, ...most] = targets[name] ?? [];
          expect(straight.upstream, name).toBe(mostStraight);
          for (const [index, cost] of [first, again, next].entries()) {
            expect(cost.upstream, `${name} (${index})`).toBeLessThanOrEqual(most[index] ?? 0);
          }
        }
      },
      120_000,
    );
  },
);
