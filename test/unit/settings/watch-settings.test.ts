import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { pollIntervalMs, settleMs, watchSettings } from "../../../src/settings/watch-settings.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";

/** Timers of a watcher at rest (the poll), and of one that saw a sign of change. */
const timersAtRest = 1;
const timersWhileSettling = 2;

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-settings-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function startWatching(filePath: string) {
  const changes: (string | undefined)[] = [];
  const clock = createFakeClock();
  const watcher = watchSettings(filePath, { onChange: (content) => changes.push(content), clock });
  onTestFinished(() => watcher.close());
  return { changes, clock, watcher };
}

/** Waits, in real time, until the operating system has told the watcher of a change. */
async function untilNoticed(clock: FakeClock): Promise<void> {
  await vi.waitFor(() => expect(clock.pendingTimers()).toBe(timersWhileSettling), { timeout: 5000 });
}

/** A ConfigMap volume: the file is a link into ..data, which is a link to a folder with a version of the content. */
function createConfigMap(folder: string, content: string): { filePath: string; swap(next: string): void } {
  let version = 0;
  const writeVersion = (text: string, link: string): void => {
    version += 1;
    mkdirSync(join(folder, `..version_${version}`));
    writeFileSync(join(folder, `..version_${version}`, "nodens.yaml"), text);
    symlinkSync(`..version_${version}`, join(folder, link));
  };
  writeVersion(content, "..data");
  symlinkSync(join("..data", "nodens.yaml"), join(folder, "nodens.yaml"));
  return {
    filePath: join(folder, "nodens.yaml"),
    swap(next) {
      writeVersion(next, "..data_tmp");
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
      rmSync(join(folder, `..version_${version - 1}`), { recursive: true });
    },
  };
}

test("a rewritten file is one change, told when writing has ended", async () => {
  const filePath = join(createFolder(), "nodens.yaml");
  writeFileSync(filePath, "a");
  const { changes, clock } = startWatching(filePath);
  writeFileSync(filePath, "half");
  await untilNoticed(clock);
  await clock.advance(settleMs - 1);
  expect(changes).toEqual([]);
  writeFileSync(filePath, "whole");
  await clock.advance(pollIntervalMs * 3);
  expect(changes).toEqual(["whole"]);
});

test("a file renamed over the old one is one change", async () => {
  const folder = createFolder();
  const filePath = join(folder, "nodens.yaml");
  writeFileSync(filePath, "a");
  const { changes, clock } = startWatching(filePath);
  writeFileSync(join(folder, "new"), "b");
  renameSync(join(folder, "new"), filePath);
  await untilNoticed(clock);
  await clock.advance(pollIntervalMs * 3);
  expect(changes).toEqual(["b"]);
});

test("every swap of a ConfigMap's ..data is one change", async () => {
  const configMap = createConfigMap(createFolder(), "a");
  const { changes, clock } = startWatching(configMap.filePath);
  for (const content of ["b", "c"]) {
    configMap.swap(content);
    await untilNoticed(clock);
    await clock.advance(pollIntervalMs * 3);
  }
  expect(changes).toEqual(["b", "c"]);
});

test("the poll finds a change that raised no event, and lets it settle", async () => {
  const folder = createFolder();
  const elsewhere = join(createFolder(), "nodens.yaml");
  writeFileSync(elsewhere, "a");
  symlinkSync(elsewhere, join(folder, "nodens.yaml"));
  const { changes, clock } = startWatching(join(folder, "nodens.yaml"));
  writeFileSync(elsewhere, "b");
  await clock.advance(pollIntervalMs);
  expect(changes).toEqual([]);
  await clock.advance(settleMs);
  expect(changes).toEqual(["b"]);
});

test("a deleted file is told as undefined once, and its return as a change", async () => {
  const filePath = join(createFolder(), "nodens.yaml");
  writeFileSync(filePath, "a");
  const { changes, clock } = startWatching(filePath);
  rmSync(filePath);
  await clock.advance(pollIntervalMs * 3);
  writeFileSync(filePath, "a");
  await clock.advance(pollIntervalMs * 3);
  expect(changes).toEqual([undefined, "a"]);
});

test("other files in the folder, and the same content again, are no change", async () => {
  const folder = createFolder();
  const filePath = join(folder, "nodens.yaml");
  writeFileSync(filePath, "a");
  const { changes, clock } = startWatching(filePath);
  writeFileSync(join(folder, "other.yaml"), "b");
  writeFileSync(filePath, "a");
  await untilNoticed(clock);
  await clock.advance(pollIntervalMs * 3);
  expect(changes).toEqual([]);
  expect(clock.pendingTimers()).toBe(timersAtRest);
});

test("a folder that does not exist yet is polled", async () => {
  const folder = join(createFolder(), "later");
  const { changes, clock } = startWatching(join(folder, "nodens.yaml"));
  mkdirSync(folder);
  writeFileSync(join(folder, "nodens.yaml"), "a");
  await clock.advance(pollIntervalMs + settleMs);
  expect(changes).toEqual(["a"]);
});

test("after close nothing is told and no timer is left", async () => {
  const filePath = join(createFolder(), "nodens.yaml");
  writeFileSync(filePath, "a");
  const { changes, clock, watcher } = startWatching(filePath);
  writeFileSync(filePath, "b");
  await untilNoticed(clock);
  watcher.close();
  expect(clock.pendingTimers()).toBe(0);
  await clock.advance(pollIntervalMs);
  expect(changes).toEqual([]);
});
