/*
 * A pod that waited, as the commands, the page of JSON and the metric tell it: the real program, and a client whose reply is taken as lost.
 */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { advise, tail, top } from "../../src/commands/seen.ts";
import { askUdp } from "../support/messages/ask.ts";
import { topTabs } from "../../src/seen/top-choices.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { runNodens, type RunningNodens } from "../support/program/run-nodens.ts";

const name = "kubernetes.default.svc.cluster.local";

/** Asks twice with the same port and ID, a second apart, as a resolver with `timeout:1` does whose reply was lost. */
async function waitsOnce({ port, moveClock }: RunningNodens): Promise<void> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  for (let turn = 0; turn < 2; turn += 1) {
    socket.send(buildQuery(name, Type.A, { id: 77 }), port, "127.0.0.1");
    await once(socket, "message");
    if (turn === 0) await moveClock({ monotonicMs: 5000 });
  }
}

/** What a command prints, and its exit code. */
async function printed(run: (options: Parameters<typeof tail>[1]) => Promise<number>) {
  let [output, errors] = ["", ""];
  const code = await run({ write: (text) => (output += text), writeError: (text) => (errors += text) });
  return { code, output, errors };
}

async function start(settings: Record<string, unknown> = {}): Promise<RunningNodens & { readonly against: string }> {
  const nodens = await runNodens({ hasMovableClock: true, settings });
  onTestFinished(async () => void (await nodens.stop()));
  return { ...nodens, against: new URL(nodens.adminUrl).host };
}

describe("a pod whose reply was lost", () => {
  test("is named by top, tail, the JSON and the metric, with the time and what had become of its query", async () => {
    const nodens = await start();
    const { against } = nodens;
    await waitsOnce(nodens);
    const waits = await printed((options) => top({ against, once: true, tab: "waits" }, options, undefined));
    expect(waits).toMatchObject({ code: 0, errors: "" });
    expect(waits.output).toMatch(/127\.0\.0\.1 +5\.\d s +kubernetes\.default\.svc\.cluster\.local A/);
    expect(waits.output).toContain("the reply was lost on the way to the pod");
    const json = await printed((options) => top({ against, json: true }, options, undefined));
    expect(JSON.parse(json.output)).toMatchObject({
      waits: { recent: [{ client: "127.0.0.1", name, first: "answered" }] },
    });
    const tailed = await printed((options) => tail({ against, repeated: true }, options));
    expect(tailed.output).toMatch(/asked again after 5\.\d s, first answered/);
    expect(tailed.output.trim().split("\n")).toHaveLength(1);
    const all = await printed((options) => tail({ against }, options));
    expect(all.output).toMatch(
      /NOERROR +[\d.]+ ms kubernetes\.\S+ A  upstream \(cluster 127\.0\.0\.1:\d+ (tcp|udp), 1 send, [\d.]+ ms\)/,
    );
    const metrics = await (await fetch(`${nodens.adminUrl}/metrics`)).text();
    expect(metrics).toContain('nodens_client_repeats_total{after="5s",first="answered"} 1');
  });

  test("is shown without a name where the settings say so", async () => {
    const nodens = await start({ seen: { names: "off" } });
    await waitsOnce(nodens);
    const seen = await (await fetch(`${nodens.adminUrl}/seen`)).text();
    expect(seen).toContain("127.0.0.1");
    expect(seen).not.toContain("kubernetes");
  });

  test("is counted but not recorded where the recorder is off", async () => {
    const nodens = await start({ seen: { recordedQueries: 0 } });
    await waitsOnce(nodens);
    const tailed = await printed((options) => tail({ against: nodens.against }, options));
    expect(tailed).toMatchObject({ code: 64, errors: expect.stringContaining("seen.recordedQueries is 0") as string });
    const metrics = await (await fetch(`${nodens.adminUrl}/metrics`)).text();
    expect(metrics).toContain('nodens_client_repeats_total{after="5s",first="answered"} 1');
  });
});

describe("tail", () => {
  test("refuses an rcode that there is not, and takes one in any case", async () => {
    const nodens = await start();
    const { against } = nodens;
    await waitsOnce(nodens);
    expect(await printed((options) => tail({ against, rcode: "NXDOMAN" }, options))).toMatchObject({
      code: 64,
      errors: expect.stringContaining("unknown rcode; they are NOERROR, FORMERR,") as string,
    });
    const lines = async (rcode: string) =>
      (await printed((options) => tail({ against, rcode }, options))).output.trim().split("\n").length;
    expect(await lines("noerror")).toBe(2);
  });
});

describe("the page", () => {
  test("begins with who waited and why, names the pod, and runs nothing but what its policy names", async () => {
    const nodens = await start();
    await waitsOnce(nodens);
    const response = await fetch(`${nodens.adminUrl}/?explain=www.example.com&namespace=shop`);
    const page = await response.text();
    expect(page.length).toBeLessThan(100_000);
    expect(page).toMatch(
      /<h1>.*Pods wait\..*1 lookup of the pod 127\.0\.0\.1 waited for seconds: the replies were lost/,
    );
    expect(page).toContain("www.example.com + shop.svc.cluster.local");
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    for (const [tag, directive] of [
      ["style", "style-src"],
      ["script", "script-src"],
    ] as const) {
      const text = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(page)?.[1] ?? "";
      expect(policy).toContain(`${directive} 'sha256-${createHash("sha256").update(text).digest("base64")}'`);
    }
    expect(page).not.toMatch(/ style=| on\w+="/);
  });

  test("is a list of pages for those who do not come over loopback by its own name", async () => {
    const { against } = await start();
    const elsewhere = request({
      host: "127.0.0.1",
      port: Number(against.split(":")[1]),
      headers: { host: "evil.test" },
    });
    elsewhere.end();
    const [response] = (await once(elsewhere, "response")) as [IncomingMessage];
    const body = (await response.toArray()).join("");
    expect(body).toContain("/metrics");
    expect(body).not.toContain("<main>");
  });
});

describe("what pods ask", () => {
  /** Everything that tells names, after five lookups were sent again, which is an incident. */
  async function toldWith(names: string): Promise<Map<string, string>> {
    const nodens = await start({ seen: { names } });
    const socket = createSocket("udp4");
    onTestFinished(() => void socket.close());
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    for (let turn = 0; turn < 2; turn += 1) {
      for (let id = 0; id < 5; id += 1) {
        socket.send(buildQuery(`secret-${id}.shop.svc.cluster.local`, Type.A, { id }), nodens.port, "127.0.0.1");
        await once(socket, "message");
      }
      if (turn === 0) await nodens.moveClock({ monotonicMs: 5000 });
    }
    const get = async (path: string) => (await fetch(`${nodens.adminUrl}${path}`)).text();
    await expect.poll(async () => JSON.parse(await get("/incidents")) as unknown, { timeout: 10_000 }).toHaveLength(1);
    const paths = [
      ...["/", "/seen", "/incidents", "/tail", "/tail?json", "/tail?incident=1"],
      ...topTabs.map((tab) => `/top?tab=${tab}`),
    ];
    return new Map(await Promise.all(paths.map(async (path) => [path, await get(path)] as const)));
  }

  /** Where names stand, whatever their form. */
  const placesOfNames = [
    ...["/", "/seen", "/incidents", "/tail", "/tail?json", "/tail?incident=1"],
    ...["names", "waits", "tail"].map((tab) => `/top?tab=${tab}`),
  ];
  const hash = /#[0-9a-f]{8}\b/;

  test("is told by name everywhere where the settings say so", async () => {
    const told = await toldWith("on");
    for (const path of [...placesOfNames, "/top?tab=denied"])
      expect([path, told.get(path)?.includes("secret")]).toEqual([path, true]);
  });

  test("is told by a hash where the settings say so, and nowhere by name", async () => {
    const told = await toldWith("hashed");
    for (const [path, text] of told) expect([path, text.includes("secret")]).toEqual([path, false]);
    for (const path of placesOfNames) expect([path, hash.test(told.get(path) ?? "")]).toEqual([path, true]);
  });

  test("is not told at all where names are off: only who waited, and why", async () => {
    const told = await toldWith("off");
    for (const [path, text] of told) {
      expect([path, text.includes("secret")]).toEqual([path, false]);
      expect([path, hash.test(text)]).toEqual([path, false]);
    }
    const page = told.get("/") ?? "";
    expect(page).toContain("127.0.0.1");
    expect(page).toContain("the reply was lost on the way to the pod");
  });
});

test("tail refuses a filter that is not one", async () => {
  const { against } = await start();
  const refused = await printed((options) => tail({ against, slower: "much" }, options));
  expect(refused).toMatchObject({
    code: 64,
    output: "",
    errors: expect.stringContaining("slower is not a number") as string,
  });
});

describe("advise", () => {
  const searched = [
    ...["default.svc.", "svc.", ""].map((part) => `www.example.com.${part}cluster.local`),
    "www.example.com",
  ];

  /** Asks each name of a search for A and AAAA, ten times, as glibc does. */
  async function searches({ port }: RunningNodens): Promise<void> {
    for (let time = 0; time < 10; time += 1)
      for (const each of searched)
        for (const type of [Type.A, Type.AAAA]) await askUdp(port, buildQuery(each, type, { id: time * 7919 + type }));
  }

  test("names the namespace and the ndots, with the queries that it saves", async () => {
    const nodens = await start();
    await searches(nodens);
    const { code, output } = await printed((options) => advise({ against: nodens.against, json: true }, options));
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      namespaces: [{ namespace: "default", denied: 60, change: { ndots: 2, queriesNow: 80, queriesThen: 20 } }],
    });
  });

  test.each(["hashed", "off"])("says why it cannot tell anything where names are %s", async (names) => {
    const { against } = await start({ seen: { names } });
    const refused = await printed((options) => advise({ against }, options));
    expect(refused).toMatchObject({ code: 64, errors: expect.stringContaining(`seen.names is ${names}`) as string });
  });
});
