import { describe, expect, onTestFinished, test } from "vitest";
import { attach } from "../../../src/attach/attachment.ts";
import type { AttachmentOptions } from "../../../src/attach/attachment-options.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const own = "169.254.20.10";

/** Attaches to a fake node. What is asked is answered, unless the test says otherwise. */
async function start(
  overrides: Partial<AttachmentOptions> = {},
  prepare?: (node: ReturnType<typeof createFakeNode>) => void,
) {
  const node = createFakeNode();
  prepare?.(node);
  const clock = createFakeClock();
  const log: string[] = [];
  const asked: string[] = [];
  const listening: string[] = [];
  const state = {
    answers: true,
    answersAway: true as boolean | undefined,
    mayIntercept: true,
    taken: new Set<string>(),
  };
  const note = (_: object, message: string) => void log.push(message);
  const attachment = await attach({
    mode: "link-local",
    addresses: [own],
    listenAddresses: [{ host: "10.0.0.7", port: 53 }],
    virtualAddresses: ["10.96.0.10"],
    interceptPort: 10_053,
    notrack: true,
    clock,
    run: node.run,
    openSession: node.openSession,
    netfilter: node.netfilter,
    ownLabels: { health: "nodens-health", watch: "nodens-watch", away: "nodens-away" },
    isTrackingInUse: () => true,
    hasAddress: (host) => node.addresses.some(({ local }) => local === host),
    hearAddressChanges: () => undefined,
    hasIpv6: () => true,
    sources: () => ({ allowed: [{ address: "10.0.0.0", prefixLength: 8 }], excepted: [] }),
    log: { info: note, warn: note },
    listen({ host, port }) {
      if (state.taken.has(`${host}:${port}`)) return Promise.reject(new Error(`cannot listen on ${host}:${port}`));
      if (!listening.includes(`${host}:${port}`)) listening.push(`${host}:${port}`);
      return Promise.resolve();
    },
    answers({ host, port }, protocol) {
      asked.push(`${protocol} ${host}:${port}`);
      return Promise.resolve(state.answers);
    },
    answersAway(host) {
      asked.push(`away ${host}`);
      return Promise.resolve(state.answersAway);
    },
    isFit: () => state.mayIntercept,
    mayIntercept: () => true,
    ...overrides,
  });
  onTestFinished(() => attachment.close());
  return { attachment, node, clock, log, asked, listening, state };
}

describe("mode none", () => {
  test("runs nothing and is complete", async () => {
    const { attachment, node, clock } = await start({ mode: "none" });
    expect(attachment.isComplete()).toBe(true);
    expect(attachment.isFailOpen()).toBe(false);
    await clock.advance(120_000);
    expect(node.runs).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("mode host-ip", () => {
  const hostIp = { mode: "host-ip", listenAddresses: [{ host: "10.0.0.7", port: 53 }] } as const;

  test("keeps the node's address untracked on port 53, and adds no address", async () => {
    const { attachment, node } = await start(hostIp);
    expect(node.untracked).toContain("ip daddr 10.0.0.7 meta l4proto { tcp, udp } th dport 53");
    expect(node.untracked).not.toContain(own);
    expect(node.runs.filter((line) => line.startsWith("ip "))).toEqual([]);
    expect(attachment.isComplete()).toBe(true);
  });

  test.each([
    { host: "127.0.0.1", port: 53 },
    { host: "0.0.0.0", port: 53 },
    { host: "::", port: 53 },
    { host: "10.0.0.7", port: 5353 },
  ])("leaves the node alone for $host port $port, which no pod has as its nameserver", async (address) => {
    const { node } = await start({ mode: "host-ip", listenAddresses: [address] });
    expect(node.runs).toEqual([]);
  });

  test("without NET_ADMIN says once what that costs, is complete, and tries no more", async () => {
    const { attachment, clock, node, log } = await start(hostIp, (fake) =>
      fake.failures.set("nft", { code: 1, stderr: "Error: Operation not permitted (you must be root)" }),
    );
    const runs = node.runs.length;
    await clock.advance(300_000);
    expect(node.runs).toHaveLength(runs);
    expect(log).toEqual([expect.stringMatching(/NET_ADMIN.*takes an entry.*no DNS while nodens is away/)]);
    expect(attachment.isComplete()).toBe(true);
    expect(attachment.isFailOpen()).toBe(false);
    expect(attachment.hasFallback()).toBe(false);
  });
});

test.each(["none", "intercept"] as const)("mode %s: others answer pods while nodens is away", async (mode) => {
  const { attachment } = await start({ mode });
  expect(attachment.hasFallback()).toBe(true);
});

describe.each([
  ["link-local", {}, own],
  ["host-ip", { listenAddresses: [{ host: "10.0.0.7", port: 53 }] }, "10.0.0.7"],
] as const)("mode %s falls open", (mode, options, address) => {
  test("unless a test packet was answered in the last two seconds", async () => {
    const { attachment, clock, state, asked } = await start({ mode, ...options });
    await clock.advance(500);
    expect(asked).toContain(`udp ${address}:53`);
    expect(attachment.isFailOpen()).toBe(false);
    state.answers = false;
    await clock.advance(2500);
    expect(attachment.isFailOpen()).toBe(true);
    expect(attachment.problems()).toContainEqual({ kind: "path", message: expect.stringContaining("10.96.0.10") });
    state.answers = true;
    await clock.advance(500);
    expect(attachment.isFailOpen()).toBe(false);
  });

  test("so that others answer pods while nodens is away, unless nft refuses the rules", async () => {
    const { attachment } = await start({ mode, ...options });
    expect(attachment.hasFallback()).toBe(true);
    const refused = await start({ mode, ...options }, (fake) =>
      fake.failures.set("nft -f", { stderr: "syntax error" }),
    );
    expect(refused.attachment.hasFallback()).toBe(false);
  });

  test("while nodens is not fit for pods: no test packet leaves, which would say that it is", async () => {
    const { attachment, clock, asked } = await start({ mode, ...options, isFit: () => false });
    await clock.advance(10_000);
    expect(asked).toEqual([]);
    expect(attachment.isFailOpen()).toBe(true);
  });

  test("only where its rules are in place: without them pods ask nobody else", async () => {
    const { attachment, clock, state } = await start({ mode, ...options }, (node) =>
      node.failures.set("nft -f", { stderr: "Error: Could not process rule: Device or resource busy" }),
    );
    state.answers = false;
    await clock.advance(2500);
    expect(attachment.isFailOpen()).toBe(false);
    expect(attachment.hasFallback()).toBe(false);
  });

  test("which is claimed only while what its rules send on is answered", async () => {
    const { attachment, clock, state, asked, log } = await start({ mode, ...options });
    await clock.advance(61_000);
    expect(asked.filter((one) => one === `away ${address}`)).toHaveLength(1);
    expect(attachment.hasFallback()).toBe(true);
    state.answersAway = false;
    await clock.advance(60_000);
    expect(asked.filter((one) => one === `away ${address}`)).toHaveLength(4);
    expect(attachment.hasFallback()).toBe(false);
    expect(attachment.isComplete()).toBe(true);
    expect(log).toContainEqual(expect.stringMatching(/10\.96\.0\.10 was not.*eBPF/));
    state.answers = false;
    await clock.advance(2500);
    expect(attachment.isFailOpen()).toBe(false);
    Object.assign(state, { answers: true, answersAway: true });
    await clock.advance(60_000);
    expect(attachment.hasFallback()).toBe(true);
    expect(log).toContainEqual(`what pods ask ${address} while nodens is away is answered by 10.96.0.10 again`);
  });

  test("and silence says nothing of that where the Service is down, or nodens not fit for pods", async () => {
    const { attachment, clock, state, asked } = await start({ mode, ...options });
    state.answersAway = undefined;
    await clock.advance(121_000);
    expect(attachment.hasFallback()).toBe(true);
    Object.assign(state, { answersAway: false, mayIntercept: false });
    const before = asked.filter((one) => one === `away ${address}`).length;
    await clock.advance(121_000);
    expect(asked.filter((one) => one === `away ${address}`)).toHaveLength(before);
    expect(attachment.hasFallback()).toBe(true);
  });

  test("when it ends", async () => {
    const { attachment, clock, asked } = await start({ mode, ...options });
    await attachment.release();
    const before = asked.length;
    await clock.advance(10_000);
    expect(asked).toHaveLength(before);
  });
});

describe("mode link-local", () => {
  test("adds the address with our label, keeps it untracked, and listens on it", async () => {
    const { attachment, node, listening } = await start();
    expect(node.addresses).toContainEqual({ ifname: "lo", local: own, prefixlen: 32, label: "lo:nodens" });
    expect(node.untracked).toContain(`ip daddr ${own} meta l4proto { tcp, udp } th dport 53 notrack`);
    expect(listening).toEqual([`${own}:53`]);
    expect(attachment.isComplete()).toBe(true);
    expect(attachment.areSocketsOpen()).toBe(true);
  });

  test("adds an IPv6 twin", async () => {
    const { node } = await start({ addresses: [own, "fd00:20::10"] });
    expect(node.addresses).toContainEqual({ ifname: "lo", local: "fd00:20::10", prefixlen: 128 });
    expect(node.untracked).toContain("ip6 saddr fd00:20::10");
  });

  test("adopts an address that is there, and one that the node itself has", async () => {
    const { attachment, node } = await start({ addresses: [own] }, (fake) => {
      fake.addresses.push({ ifname: "lo", local: own, prefixlen: 32, label: "lo:nodens" });
    });
    expect(node.runs.filter((line) => line.startsWith("ip address add"))).toEqual([]);
    expect(attachment.problems()).toEqual([]);
    const hosts = await start({ addresses: ["10.0.0.7"] });
    expect(hosts.attachment.problems()).toEqual([]);
    expect(hosts.listening).toEqual(["10.0.0.7:53"]);
  });

  test("warns of NodeLocal DNSCache, which has the address on an interface of its own", async () => {
    const { attachment } = await start({}, (node) => {
      node.addresses.push({ ifname: "nodelocaldns", local: own, prefixlen: 32 });
    });
    expect(attachment.problems()).toEqual([
      { kind: "address", message: expect.stringContaining("NodeLocal DNSCache is or was here") },
    ]);
  });

  test("with notrack off and no Service to fall back to has no table, and removes one of earlier", async () => {
    const { node } = await start(
      { notrack: false, virtualAddresses: [] },
      (fake) => (fake.untracked = "table inet nodens { chain … }"),
    );
    expect(node.untracked).toBeUndefined();
  });

  test.each([
    ["link-local", ["10.96.0.10"]],
    ["link-local", []],
    ["host-ip", ["10.96.0.10"]],
    ["intercept", ["10.96.0.10"]],
  ] as const)(
    "%s: puts back within five seconds what a stranger changed or removed",
    async (mode, virtualAddresses) => {
      const { node, clock, log } = await start({ mode, virtualAddresses });
      const asLeft = node.untracked;
      node.untracked = undefined;
      await clock.advance(4000);
      expect(node.untracked).toBeUndefined();
      await clock.advance(1000);
      expect(node.untracked).toBe(asLeft);
      node.untracked = `${asLeft} # changed`;
      await clock.advance(5000);
      expect(node.untracked).toBe(asLeft);
      expect(log.filter((line) => line.includes("changed or removed the nftables table"))).toHaveLength(2);
    },
  );

  test.each(["link-local", "host-ip"] as const)(
    "%s: says within five seconds that a rule of the node drops what pods send, and when it no longer does",
    async (mode) => {
      const { attachment, node, clock, log } = await start({ mode });
      node.elements.set("stopped_in4", "10.244.1.10 . tcp counter packets 3 bytes 180 expires 59s");
      await clock.advance(5000);
      expect(attachment.blockedPods()).toEqual({ questions: 1, replies: 0 });
      expect(attachment.problems()).toEqual([
        { kind: "pods", message: expect.stringContaining("questions of some pods do not get to nodens") },
      ]);
      expect(attachment.isComplete()).toBe(true);
      node.elements.clear();
      await clock.advance(5000);
      expect(attachment.problems()).toEqual([]);
      expect(log.at(-1)).toMatch(/^no longer: questions of some pods/);
    },
  );

  test("leaves alone what is as it should be", async () => {
    const { node, clock } = await start();
    const puts = () => node.runs.filter((line) => line === "nft -f -").length;
    await clock.advance(300_000);
    expect(puts()).toBe(1);
  });

  test("adds an address again that somebody removed", async () => {
    const { node, clock } = await start();
    node.addresses.splice(
      node.addresses.findIndex(({ local }) => local === own),
      1,
    );
    await clock.advance(60_000);
    expect(node.addresses.filter(({ local }) => local === own)).toHaveLength(1);
  });

  test("asks itself over UDP and TCP, and says which was not answered", async () => {
    const { attachment, clock, asked, state, log } = await start({ virtualAddresses: [] });
    expect(asked).toEqual([`udp ${own}:53`, `tcp ${own}:53`]);
    state.answers = false;
    await clock.advance(60_000);
    expect(attachment.isComplete()).toBe(false);
    expect(attachment.problemCounts().path).toBe(2);
    state.answers = true;
    await clock.advance(5000);
    expect(attachment.isComplete()).toBe(true);
    expect(log.filter((line) => line.startsWith("no longer: "))).toHaveLength(2);
  });

  test("does not ask itself before it is ready, when nothing could be answered, and does within five seconds of that", async () => {
    const ready = { now: false };
    const { asked, clock } = await start({ virtualAddresses: [], isFit: () => ready.now });
    await clock.advance(30_000);
    expect(asked).toEqual([]);
    ready.now = true;
    await clock.advance(5000);
    expect(asked).toEqual([`udp ${own}:53`, `tcp ${own}:53`]);
    await clock.advance(59_000);
    expect(asked).toHaveLength(2);
  });

  test("says when packets are tracked all the same", async () => {
    const { attachment, clock, node } = await start();
    node.counters.tracked = 3;
    await clock.advance(60_000);
    expect(attachment.problems()).toEqual([
      { kind: "path", message: expect.stringContaining("port 53 are tracked in spite") },
    ]);
    await clock.advance(5000);
    expect(attachment.problems()).toEqual([]);
  });

  test("does not look at the state of packets where nothing is tracked: looking would start it", async () => {
    const { node } = await start({ isTrackingInUse: () => false });
    expect(node.untracked).not.toContain("ct state");
  });

  test("says that an address is taken, tries again every five seconds, and counts it once", async () => {
    const { attachment, clock, state, listening, log } = await start({
      listen: () => Promise.reject(new Error("cannot listen on 169.254.20.10:53 (udp): the address is in use")),
    });
    expect(attachment.areSocketsOpen()).toBe(false);
    await clock.advance(20_000);
    expect(attachment.problemCounts().listen).toBe(1);
    expect(log.filter((line) => line.includes("in use"))).toHaveLength(1);
    expect(listening).toEqual([]);
    expect(state.answers).toBe(true);
  });

  test("opens an address as soon as it becomes free", async () => {
    const free = { now: false };
    const { attachment, clock } = await start({
      listen: () => (free.now ? Promise.resolve() : Promise.reject(new Error("in use"))),
    });
    free.now = true;
    await clock.advance(5000);
    expect(attachment.areSocketsOpen()).toBe(true);
    expect(attachment.isComplete()).toBe(true);
  });
});

describe("what a node may lack", () => {
  test.each([
    ["ip", "ip", { code: 127, stderr: "spawn ip ENOENT" }, "address", /the program ip is not installed/],
    ["nft", "nft", { code: 127, stderr: "spawn nft ENOENT" }, "nft", /the program nft is not installed/],
    [
      "NET_ADMIN for ip",
      "ip address add",
      { code: 2, stderr: "RTNETLINK answers: Operation not permitted" },
      "permission",
      /NET_ADMIN/,
    ],
    [
      "NET_ADMIN for nft",
      "nft -f",
      { code: 1, stderr: "Error: Operation not permitted (you must be root)" },
      "permission",
      /NET_ADMIN/,
    ],
    [
      "a new enough nft",
      "nft -f",
      { code: 1, stderr: "Error: syntax error, unexpected notrack" },
      "nft",
      /nft says: Error: syntax error/,
    ],
  ] as const)(
    "%s: a message of its own, counted once, and the rest goes on",
    async (_, command, failure, kind, message) => {
      const { attachment, clock, log, listening } = await start({}, (node) => node.failures.set(command, failure));
      expect(attachment.isComplete()).toBe(false);
      await clock.advance(30_000);
      expect(attachment.problemCounts()[kind]).toBe(1);
      expect(log.filter((line) => message.test(line))).toHaveLength(1);
      expect(listening).toEqual([`${own}:53`]);
    },
  );

  test("with notrack off and no Service to fall back to nft is not needed", async () => {
    const { attachment } = await start({ notrack: false, virtualAddresses: [] }, (node) =>
      node.failures.set("nft", { code: 127, stderr: "spawn nft ENOENT" }),
    );
    expect(attachment.problems()).toEqual([]);
  });

  test("with notrack off an nft that refuses is told, and pods are served all the same", async () => {
    const { attachment, log } = await start({ notrack: false }, (node) =>
      node.failures.set("nft", { code: 127, stderr: "spawn nft ENOENT" }),
    );
    expect(attachment.problems()).toEqual([expect.objectContaining({ isMinor: true })]);
    expect(attachment.isComplete()).toBe(true);
    expect(log).toEqual([expect.stringContaining("nft")]);
  });

  test("a table that cannot be put back is one line, not one at every try", async () => {
    const { clock, log, node } = await start();
    node.untracked = undefined;
    node.failures.set("nft -f", {
      stderr: "Error: Could not process rule: Device or resource busy",
    });
    await clock.advance(120_000);
    expect(log).toEqual([expect.stringContaining("Device or resource busy")]);
    node.failures.clear();
    await clock.advance(5000);
    expect(log.slice(1)).toEqual([
      expect.stringContaining("it has been put back"),
      expect.stringMatching(/^no longer: .*Device or resource busy/),
    ]);
  });

  test("output that nobody expected is a problem, and no exception, and sockets are opened all the same", async () => {
    const { attachment, listening } = await start({}, (node) =>
      node.failures.set("ip", { code: 0, stdout: "not json" }),
    );
    expect(attachment.problems()).toEqual([
      { kind: "path", message: expect.stringContaining("cannot check the node") },
    ]);
    expect(listening).toEqual([`${own}:53`]);
  });

  test("an address that another process adds in the same moment is no problem", async () => {
    const { attachment } = await start({}, (node) =>
      node.failures.set("ip address add", { code: 2, stderr: "RTNETLINK answers: File exists" }),
    );
    expect(attachment.problems()).toEqual([]);
  });
});

describe("mode intercept", () => {
  test("listens on a port of its own for each Service address", async () => {
    const { listening } = await start({
      mode: "intercept",
      addresses: [own, "fd00:20::10"],
      virtualAddresses: ["10.96.0.10", "fd96::a", "10.96.0.11"],
    });
    expect(listening).toEqual([`${own}:53`, "fd00:20::10:53", `${own}:10053`, "fd00:20::10:10053", `${own}:10054`]);
  });

  test("comes into force when nodens may, and is complete then", async () => {
    const { attachment, clock, state } = await start({ mode: "intercept" });
    state.mayIntercept = false;
    await clock.advance(2000);
    expect([attachment.isComplete(), attachment.isFailOpen()]).toEqual([false, true]);
    state.mayIntercept = true;
    await clock.advance(1000);
    expect([attachment.isComplete(), attachment.isFailOpen()]).toEqual([true, false]);
  });

  test("needs its own sockets only: port 53 of the address may be somebody else's", async () => {
    const { attachment, clock } = await start({
      mode: "intercept",
      listen: ({ port }) => (port === 53 ? Promise.reject(new Error("in use")) : Promise.resolve()),
    });
    await clock.advance(4000);
    expect([attachment.isFailOpen(), attachment.areSocketsOpen(), attachment.isComplete()]).toEqual([
      false,
      true,
      true,
    ]);
    expect(attachment.problems()).toMatchObject([{ kind: "listen" }]);
  });

  test("leaves to kube-dns the family whose socket is not open, and no other", async () => {
    const { attachment, clock, asked } = await start({
      mode: "intercept",
      addresses: [own, "fd00:20::10"],
      virtualAddresses: ["10.96.0.10", "fd96::a"],
      listen: ({ host }) => (host === own ? Promise.resolve() : Promise.reject(new Error("in use"))),
    });
    await clock.advance(4000);
    expect([attachment.isFailOpen(), attachment.areSocketsOpen()]).toEqual([true, false]);
    expect(asked).toContain(`udp ${own}:10052`);
    expect(asked).not.toContain("udp fd00:20::10:10052");
  });

  test("on a node without IPv6 does without it, and is complete", async () => {
    const { attachment, clock, node } = await start({
      mode: "intercept",
      addresses: [own, "fd00:20::10"],
      virtualAddresses: ["10.96.0.10", "fd96::a"],
      hasIpv6: () => false,
    });
    await clock.advance(4000);
    expect([attachment.isFailOpen(), attachment.areSocketsOpen(), attachment.isComplete()]).toEqual([
      false,
      true,
      true,
    ]);
    expect(node.addresses.map(({ local }) => local)).not.toContain("fd00:20::10");
  });

  test("leaves to kube-dns a Service where pods would find more than here", async () => {
    const kubeDns = { hasMore: true };
    const { attachment, clock } = await start({ mode: "intercept", mayIntercept: () => !kubeDns.hasMore });
    await clock.advance(4000);
    expect(attachment.isFailOpen()).toBe(true);
    kubeDns.hasMore = false;
    await clock.advance(1000);
    expect(attachment.isFailOpen()).toBe(false);
  });

  test("released, it takes the Service out of the set and renews it no more; closed, it ends nft", async () => {
    const { attachment, clock, node } = await start({ mode: "intercept" });
    await clock.advance(1000);
    await attachment.release();
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/; flush set inet nodens_[0-9a-f]{8} alive4; flush set /);
    const count = node.sessions[0]?.lines.length;
    await clock.advance(10_000);
    expect(node.sessions[0]?.lines).toHaveLength(count ?? 0);
    await attachment.close();
    expect(node.sessions[0]?.isClosed).toBe(true);
    expect(node.addresses.some(({ local }) => local === own)).toBe(true);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("an interception that is refused", () => {
  test("for want of nft is counted once", async () => {
    const { attachment, clock, log } = await start({ mode: "intercept", notrack: false }, (node) => {
      node.endsBecause = "the program nft is not installed (spawn nft ENOENT)";
    });
    await clock.advance(600_000);
    expect(attachment.problemCounts().nft).toBe(1);
    expect(log).toEqual([`cannot intercept: the program nft is not installed (spawn nft ENOENT)`]);
  });

  test.each([
    ["Error: Could not process rule: Operation not permitted", "permission"],
    ["Error: unknown table option owner", "nft_owner"],
    ["Error: Could not process rule: Device or resource busy", "nft"],
  ] as const)("with %j is counted once, and pods ask kube-dns, while own addresses are served", async (text, kind) => {
    const { attachment, clock, log, listening } = await start({ mode: "intercept" }, (node) => (node.complaint = text));
    await clock.advance(600_000);
    expect(attachment.problemCounts()[kind]).toBe(1);
    expect(log.filter((line) => line.startsWith("cannot intercept"))).toHaveLength(1);
    expect([attachment.isFailOpen(), attachment.isComplete(), attachment.areSocketsOpen()]).toEqual([
      true,
      false,
      true,
    ]);
    expect(listening).toEqual([`${own}:53`, `${own}:10053`]);
  });

  test("is said to be over when it is, and counted again when it comes back", async () => {
    const { attachment, clock, log, node } = await start(
      { mode: "intercept" },
      (fake) => (fake.complaint = "Error: x"),
    );
    await clock.advance(10_000);
    node.complaint = undefined;
    await clock.advance(60_000);
    expect(attachment.problems()).toEqual([]);
    expect(log.at(-1)).toMatch(/^no longer: cannot intercept/);
    node.sessions.at(-1)?.kill();
    expect(attachment.problemCounts().nft).toBe(2);
  });
});

test("an exception in any part is a problem of the kind that says so, and ends nothing", async () => {
  const { attachment, clock, node } = await start({
    mode: "intercept",
    answers: () => Promise.reject(new Error("no more descriptors")),
  });
  await clock.advance(120_000);
  expect(attachment.problems().map(({ message }) => message)).toEqual([
    "cannot check the node: Error: no more descriptors",
    expect.stringMatching(/^cannot intercept: .*no more descriptors/),
  ]);
  expect(node.addresses.some(({ local }) => local === own)).toBe(true);
});

test("a program runner that rejects is a problem, and the next look comes", async () => {
  const { attachment, clock } = await start({
    virtualAddresses: [],
    run: () => Promise.reject(new Error("spawn EAGAIN")),
  });
  expect(attachment.isComplete()).toBe(false);
  await clock.advance(60_000);
  expect(attachment.problemCounts().path).toBe(1);
  // The next look, and the watches over addresses and rules.
  expect(clock.pendingTimers()).toBe(3);
});

test("released while it looks, it opens no socket: nobody would close that", async () => {
  const free = { now: false };
  let opened = 0;
  const { attachment, clock, node } = await start({
    virtualAddresses: [],
    listen: () => {
      opened += free.now ? 1 : 0;
      return free.now ? Promise.resolve() : Promise.reject(new Error("in use"));
    },
  });
  free.now = true;
  await clock.advance(4999);
  const looking = clock.advance(1);
  await Promise.resolve();
  expect(node.runs.at(-1)).toMatch(/^ip -json/);
  await attachment.release();
  await attachment.close();
  await looking;
  expect(opened).toBe(0);
});

describe("an address that somebody takes away", () => {
  test("is put back at once, and the log says so", async () => {
    const { node, clock, log } = await start();
    await clock.advance(10_000);
    node.addresses.splice(0, node.addresses.length, ...node.addresses.filter(({ local }) => local !== own));
    await clock.advance(100);
    expect(node.addresses.some(({ local }) => local === own)).toBe(true);
    expect(log).toEqual([expect.stringContaining("took an address of nodens off")]);
  });

  test("is put back as soon as the kernel tells of it, and nobody looks meanwhile", async () => {
    let change = () => {};
    let isHeard = true;
    let looks = 0;
    let node = createFakeNode();
    const { clock, attachment } = await start(
      {
        hearAddressChanges(onChange) {
          change = onChange;
          return () => (isHeard = false);
        },
        hasAddress(host) {
          looks += 1;
          return node.addresses.some(({ local }) => local === host);
        },
      },
      (made) => (node = made),
    );
    await clock.advance(10_000);
    expect(looks).toBeLessThan(15);
    node.addresses.splice(0, node.addresses.length, ...node.addresses.filter(({ local }) => local !== own));
    change();
    await clock.advance(0);
    expect(node.addresses.some(({ local }) => local === own)).toBe(true);
    await attachment.release();
    expect(isHeard).toBe(false);
  });

  test("while it is asked, is put back, and nobody is blamed for its silence", async () => {
    let addresses = createFakeNode().addresses;
    let isToBeTaken = false;
    const isThere = () => addresses.some(({ local }) => local === own);
    const answers = () => {
      if (isToBeTaken) addresses.splice(0, addresses.length, ...addresses.filter(({ local }) => local !== own));
      isToBeTaken = false;
      return Promise.resolve(isThere());
    };
    const { clock, log } = await start({ virtualAddresses: [], answers }, (node) => (addresses = node.addresses));
    await clock.advance(10_000);
    isToBeTaken = true;
    await clock.advance(60_000);
    expect({ isToBeTaken, isThere: isThere() }).toEqual({ isToBeTaken: false, isThere: true });
    expect(log).toEqual([expect.stringContaining("took an address of nodens off")]);
  });

  test("and cannot be put back, is tried again every five seconds", async () => {
    const { node, clock, log } = await start();
    await clock.advance(10_000);
    node.addresses.splice(0, node.addresses.length, ...node.addresses.filter(({ local }) => local !== own));
    node.failures.set("ip address add", { stderr: "RTNETLINK answers: No buffer space available" });
    const tries = () => node.runs.filter((line) => line.startsWith("ip address add")).length;
    const before = tries();
    await clock.advance(1000);
    expect(tries() - before).toBe(1);
    await clock.advance(5000);
    expect(tries() - before).toBe(2);
    expect(log.filter((line) => line.includes("took an address"))).toHaveLength(1);
  });
});
