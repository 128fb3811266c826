/*
 * What the word "live" or "restart" in the table of settings promises, setting by setting: a live one changes a running part through
 * a reload, a restart one changes none and is named in the log until nodens is started again.
 */
import { expect, test } from "vitest";
import {
  adminRangesOf,
  interceptedSourcesOf,
  mutableLimitsOf,
  rangesOf,
  upstreamOptionsOf,
} from "../../../src/app/parts-of-settings.ts";
import { createReload, type ReloadParts } from "../../../src/app/reload.ts";
import { createStop } from "../../../src/app/stop-app.ts";
import { createAccessList } from "../../../src/listen/access-list.ts";
import type { Front } from "../../../src/listen/front.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { createLifeCycle } from "../../../src/runtime/life-cycle.ts";
import { settingsThatNeedRestart, withRestartSettingsOf } from "../../../src/settings/restart-settings.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { defaultsBut } from "../../support/settings/changed-settings.ts";

const pathsThatTake = (effect: "live" | "restart") =>
  [...tableEntries.values()].filter(({ notes }) => notes?.effect === effect).map(({ path }) => path);

test.each(pathsThatTake("live"))("a changed %s reaches a running part", async (path) => {
  const running = run();
  const before = await running.observe();
  await running.reload.apply({ settings: defaultsBut(path), warnings: [] }, "test");
  expect(await running.observe()).not.toEqual(before);
  expect(running.lines()).toMatchObject([{ msg: "new settings in force", needRestart: [] }]);
});

test.each(pathsThatTake("restart"))("a changed %s reaches nothing before a restart", async (path) => {
  const running = run();
  const before = await running.observe();
  await running.reload.apply({ settings: defaultsBut(path), warnings: [] }, "test");
  expect(await running.observe()).toEqual(before);
  expect(running.replacements()).toBe(0);
  expect(running.lines()).toMatchObject([{ needRestart: [path] }]);
});

test("what needs a restart is named at every reload until the file says what nodens was started with", async () => {
  const running = run();
  for (const settings of [
    defaultsBut("admin.address"),
    defaultsBut("admin.address"),
    defaultsBut("admin.address", "cache.prefetch"),
    defaultSettings(),
  ])
    await running.reload.apply({ settings, warnings: [] }, "test");
  expect(running.lines().map(({ needRestart }) => needRestart)).toEqual([
    ["admin.address"],
    ["admin.address"],
    ["admin.address"],
    [],
  ]);
});

test("servers that say what is intercepted wait for a restart, with all that intercepts them", () => {
  const start = defaultSettings();
  const at = (servers: readonly string[], virtualAddresses: readonly string[]): Settings => ({
    ...start,
    attach: { ...start.attach, mode: "intercept", virtualAddresses: [...virtualAddresses] },
    upstream: { ...start.upstream, servers: servers.map((host) => ({ host, port: 53 })) },
  });
  expect(settingsThatNeedRestart(at(["10.96.0.10"], []), at(["10.1.0.1"], []))).toEqual(["upstream.servers"]);
  expect(withRestartSettingsOf(at(["10.96.0.10"], []), at(["10.1.0.1"], []))).toEqual(at(["10.96.0.10"], []));
  expect(settingsThatNeedRestart(at(["10.96.0.10"], ["10.96.0.10"]), at(["10.1.0.1"], ["10.96.0.10"]))).toEqual([]);
});

test("the latest settings are distinguished from those in force", async () => {
  const { reload } = run();
  const latest = defaultsBut("admin.address", "cache.prefetch");
  await reload.apply({ settings: latest, warnings: [] }, "test");
  expect(reload.latest()).toEqual(latest);
  expect(reload.inForce()).toEqual(defaultsBut("cache.prefetch"));
});

test("nodens may ask itself where it listens, whatever a reload says about addresses that need a restart", async () => {
  const running = run();
  const settings = defaultsBut("listen.addresses", "listen.allow");
  await running.reload.apply(
    { settings: { ...settings, listen: { ...settings.listen, addresses: [] } }, warnings: [] },
    "test",
  );
  expect(running.isAllowed("127.0.0.1")).toBe(true);
  expect(running.isAllowed("127.0.0.3")).toBe(false);
});

test("whoever may ask for names may see metrics, unless there is a list of its own", async () => {
  const running = run();
  expect(["10.0.0.1", "192.0.2.1", "127.0.0.1"].map(running.mayAskAdmin)).toEqual([true, false, true]);
  await running.reload.apply({ settings: defaultsBut("listen.allow"), warnings: [] }, "test");
  // The last is the address itself, at which nodens listens.
  expect(["10.0.0.1", "192.0.2.1", "127.0.0.1"].map(running.mayAskAdmin)).toEqual([false, true, true]);
  await running.reload.apply({ settings: defaultsBut("listen.allow", "admin.allow"), warnings: [] }, "test");
  expect(["192.0.2.1", "192.0.2.2", "127.0.0.1"].map(running.mayAskAdmin)).toEqual([false, true, true]);
});

test("settings with problems change nothing", async () => {
  const running = run();
  const before = await running.observe();
  await running.reload.apply(
    { problems: [{ place: { flag: "--admin" }, setting: "admin.address", wrong: "is 7" }] },
    "test",
  );
  expect(await running.observe()).toEqual(before);
  expect(running.reload.counters).toMatchObject({ succeeded: 0, failed: 1, wasLastSuccessful: false });
});

test("settings whose upstream cannot be created change nothing, and are tried again", async () => {
  const running = run();
  const before = await running.observe();
  const settings = defaultsBut("upstream.servers", "cache.prefetch");
  running.failReplacing(true);
  await running.reload.apply({ settings, warnings: [] }, "test");
  expect(await running.observe()).toEqual(before);
  expect(running.reload.counters).toMatchObject({ failed: 1, wasLastSuccessful: false });
  running.failReplacing(false);
  await running.reload.apply({ settings, warnings: [] }, "test");
  expect(await running.observe()).not.toEqual(before);
  expect(running.reload.counters).toMatchObject({ succeeded: 1, wasLastSuccessful: true });
});

test("of two reloads at once, the later one wins", async () => {
  const running = run();
  const slow = running.reload.apply({ settings: defaultsBut("upstream.maxSends"), warnings: [] }, "first");
  await Promise.all([slow, running.reload.apply({ settings: defaultSettings(), warnings: [] }, "second")]);
  expect(running.reload.inForce()).toEqual(defaultSettings());
  expect(await running.observe()).toEqual(await run().observe());
});

test("servers are never exchanged for the embedded cluster DNS, whatever the settings ask for", async () => {
  const running = run();
  await running.reload.apply({ settings: defaultsBut("upstream.servers"), warnings: [] }, "test");
  const before = await running.observe();
  for (const settings of [defaultSettings(), defaultsBut("upstream.embedded")])
    await running.reload.apply({ settings, warnings: [] }, "test");
  expect(await running.observe()).toEqual(before);
  expect(running.reload.counters).toMatchObject({ succeeded: 1, failed: 2, wasLastSuccessful: false });
  expect(running.lines().at(-1)).toMatchObject({
    msg: "new settings refused; the old ones stay in force",
    problems: [expect.stringContaining("upstream.servers is empty")],
  });
});

/** A nodens on the defaults, as far as a reload can reach it. */
function run() {
  const atStart = defaultSettings();
  const lines: string[] = [];
  const log = createLogger({ level: "info", destination: { write: (line: string) => void lines.push(line) } });
  const clock = createFakeClock();
  const limits = mutableLimitsOf(atStart);
  const front = {
    accessList: createAccessList(rangesOf(atStart)),
    maxUdpReplySizeBytes: atStart.listen.maxUdpReplyBytes,
    queryLog: undefined,
    onlooker: undefined,
  } as unknown as Front;
  const adminAccess = { isAllowed: createAccessList(adminRangesOf(atStart)) };
  let upstreamOptions = describeUpstream(atStart);
  let replacements = 0;
  let failsReplacing = false;
  const upstream = {
    async replace(settings: Settings) {
      await Promise.resolve();
      if (failsReplacing) throw new Error("no server");
      replacements += 1;
      upstreamOptions = describeUpstream(settings);
    },
    close: () => Promise.resolve(),
  };
  const parts = {
    log,
    clock,
    front,
    adminAccess,
    queryLog: () => {},
    limits,
    chain: { failures: { relax: () => {} } },
    upstream,
  };
  const reload = createReload(atStart, { ...parts, onUpstreamReplaced() {} } as unknown as ReloadParts);

  /** How long nodens would go on answering if it were ended now, and how long the end would take if upstream never answered. */
  async function timesOfEnd(): Promise<{ drainMs: number; allMs: number }> {
    let [nowMs, drainMs] = [0, 0];
    const done = () => Promise.resolve();
    const pause = (ms: number) => done().then(() => void (nowMs += ms));
    const stopping = {
      log: createLogger({ level: "silent" }),
      clock: { ...clock, nowMs: () => nowMs, pause },
      lifeCycle: createLifeCycle(),
      attachment: { release: done, close: done },
      sockets: { leave: () => done().then(() => void (drainMs = nowMs)), close: done },
      chain: { shared: { waiterCount: () => 1 } },
      upstream,
      reload: { inForce: () => ({ ...reload.inForce(), upstream: { deadlineMs: 30_000 } }) },
      admin: { close: done },
      endProbes() {},
      endWatch() {},
    };
    await createStop(stopping as unknown as Parameters<typeof createStop>[0]).stop();
    return { drainMs, allMs: nowMs };
  }

  return {
    reload,
    isAllowed: (host: string) => front.accessList(socketAddress({ host, port: 40_000 })),
    mayAskAdmin: (host: string) => adminAccess.isAllowed(socketAddress({ host, port: 40_000 })),
    lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    replacements: () => replacements,
    failReplacing: (fails: boolean) => void (failsReplacing = fails),
    /** Everything of the running parts that settings decide. */
    observe: async () => ({
      level: log.level,
      limits: structuredClone(limits),
      isAllowed: ["10.0.0.1", "fd00::1", "192.0.2.1", "192.0.2.2", "127.0.0.2"].map((host) =>
        front.accessList(socketAddress({ host, port: 40_000 })),
      ),
      mayAskAdmin: ["10.0.0.1", "192.0.2.2"].map((host) =>
        adminAccess.isAllowed(socketAddress({ host, port: 40_000 })),
      ),
      maxUdpReplySizeBytes: front.maxUdpReplySizeBytes,
      hasQueryLog: front.queryLog !== undefined,
      upstreamOptions,
      timesOfEnd: await timesOfEnd(),
      intercepted: interceptedSourcesOf(reload.inForce()),
    }),
  };
}

/** Routes by name, and everything else that an upstream is made of. */
function describeUpstream(settings: Settings): unknown {
  const { servers } = settings.upstream;
  return structuredClone(upstreamOptionsOf(settings, servers.length > 0 ? servers : [{ host: "127.0.0.1", port: 1 }]));
}
