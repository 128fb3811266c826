/*
 * `nodens cache` against the real program.
 */
import { expect, onTestFinished, test } from "vitest";
import { cacheFlush, cacheShow } from "../../src/commands/cache.ts";
import { askUdp } from "../support/messages/ask.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { runNodens } from "../support/program/run-nodens.ts";

const name = "kubernetes.default.svc.cluster.local";

async function printed(run: (options: Parameters<typeof cacheFlush>[2]) => Promise<number>) {
  let [output, errors] = ["", ""];
  const code = await run({ write: (text) => (output += text), writeError: (text) => (errors += text) });
  return { code, output, errors };
}

test("shows where an answer came from, forgets it over POST only, and then ends with 1", async () => {
  const nodens = await runNodens();
  onTestFinished(async () => void (await nodens.stop()));
  const against = new URL(nodens.adminUrl).host;
  await askUdp(nodens.port, buildQuery(name, Type.A));
  const shown = await printed((options) => cacheShow(name, "A", { against }, options));
  expect(shown).toMatchObject({ code: 0, errors: "" });
  expect(shown.output).toMatch(
    /^kubernetes\.\S+ A: data, \d+ s left, .*, from cluster 127\.0\.0\.1:\d+ (tcp|udp), 1 send/,
  );
  expect((await fetch(`${nodens.adminUrl}/cache/flush?name=${name}`)).status).toBe(405);
  const flushed = await printed((options) => cacheFlush(name, { against, json: true }, options));
  expect(flushed).toMatchObject({ code: 0, errors: "" });
  expect(JSON.parse(flushed.output)).toMatchObject({ name, below: false, failures: 0 });
  await expect.poll(() => nodens.logs().map(({ msg }) => msg)).toContain("flushed a name from the cache");
  const again = await printed((options) => cacheShow(name, "A", { against }, options));
  expect(again).toMatchObject({ code: 1, errors: "" });
  expect(again.output).toContain(`nothing is kept of ${name}`);
  expect((await printed((options) => cacheShow("a..b", undefined, { against }, options))).code).toBe(64);
});
