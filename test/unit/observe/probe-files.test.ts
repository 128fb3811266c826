import { existsSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { keepProbeFiles } from "../../../src/observe/probe-files.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

function start(prepare: (folder: string) => void = () => {}, place?: string) {
  const folder = mkdtempSync(join(tmpdir(), "nodens-probes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  prepare(folder);
  const clock = createFakeClock();
  const state = { ready: false, errors: 0 };
  const end = keepProbeFiles({
    directory: place === undefined ? folder : join(folder, place),
    isReady: () => state.ready,
    clock,
    onError: () => (state.errors += 1),
  });
  onTestFinished(end);
  return { ready: join(folder, "ready"), alive: join(folder, "alive"), clock, state, end };
}

describe("the files for probes", () => {
  test("`ready` comes and goes with being ready", async () => {
    const { ready, clock, state } = start();
    await clock.advance(1000);
    expect(existsSync(ready)).toBe(false);
    state.ready = true;
    await clock.advance(1000);
    expect(existsSync(ready)).toBe(true);
    state.ready = false;
    await clock.advance(1000);
    expect(existsSync(ready)).toBe(false);
  });

  test("`alive` is touched every second in which the event loop runs, and by nothing else", async () => {
    const { alive, clock } = start();
    await clock.advance(0);
    const old = new Date(0);
    utimesSync(alive, old, old);
    await clock.advance(999);
    expect(statSync(alive).mtimeMs).toBe(0);
    await clock.advance(1);
    expect(statSync(alive).mtimeMs).toBeGreaterThan(0);
  });

  test("a `ready` of an earlier process is removed at once", () => {
    const { ready } = start((folder) => writeFileSync(join(folder, "ready"), ""));
    expect(existsSync(ready)).toBe(false);
  });

  test("at the end `ready` is gone, and nothing is written any more", async () => {
    const { ready, clock, state, end } = start();
    state.ready = true;
    await clock.advance(1000);
    end();
    expect(existsSync(ready)).toBe(false);
    await clock.advance(5000);
    expect(existsSync(ready)).toBe(false);
  });

  test("a folder that can be written again is written, and the next failure is said again", async () => {
    const { state, clock, ready } = start((folder) => writeFileSync(join(folder, "later"), ""), "later");
    const folder = join(ready, "..", "later");
    await clock.advance(2000);
    expect(state.errors).toBe(1);
    rmSync(folder);
    await clock.advance(1000);
    expect(existsSync(join(folder, "alive"))).toBe(true);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    await clock.advance(2000);
    expect(state.errors).toBe(2);
  });

  test("a folder that is missing is made", async () => {
    const { state, clock } = start(undefined, "below/it");
    await clock.advance(1000);
    expect(state.errors).toBe(0);
  });

  test("a folder that cannot be written is said once, and does no harm", async () => {
    const { state, clock } = start((folder) => writeFileSync(join(folder, "file"), ""), "file");
    await clock.advance(10_000);
    expect(state.errors).toBe(1);
  });
});
