import { expect, test } from "vitest";
import { picturePartsOf } from "../../../src/app/live-seen.ts";
import { seenPages } from "../../../src/app/seen-pages.ts";
import type { Incident } from "../../../src/seen/incidents.ts";
import { tailOf } from "../../../src/seen/told-queries.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { createWorld } from "../../support/world/create-world.ts";

const web = "web.shop.svc.cluster.local";
const db = "db.data.svc.cluster.local";

const troubled = [{ kind: "repliesDropped", host: "10.0.0.7", packets: 3, lastAgoMs: 2100 } as const];

/** Two clients, of which the first asks for `web` over and over, and waits, and the second for `db` once. */
async function createPages() {
  const world = createWorld();
  const settings = defaultSettings();
  const pictureParts = picturePartsOf(world.seen, settings);
  const asks = () => world.asks(web, "A", { client: "10.0.0.7", port: 4000, id: 7 });
  await asks();
  await world.passes(5);
  await asks();
  await world.asks(db, "A", { client: "10.0.0.8", port: 4000, id: 8 });
  const queries = tailOf(pictureParts, { limit: 10 }, world.clock.nowMs());
  const incident: Incident = { noticedAtMs: 0, why: "", moved: [], queries: () => queries };
  const pages = seenPages({
    parts: {
      clock: world.clock,
      readiness: () => ({ ready: true, reasons: [] }),
      seen: world.seen,
      attachment: {
        isFailOpen: () => false,
        intercepted: () => ({ addresses: 0, pods: undefined }),
        podTroubles: () => troubled,
      },
      reload: {
        counters: { succeeded: 0, failed: 0, wasLastSuccessful: true, lastAtMs: 0, inForceSinceMs: 0 },
        inForce: () => settings,
      },
      upstream: { routes: () => [] },
    },
    pictureParts,
    incidents: { look() {}, kept: () => [incident], total: () => 1 },
    settings,
    head: () => ({ node: "node-17" }) as never,
    conntrack: () => undefined,
    explain: () => ({ wrong: "" }),
  });
  return (target: string) => {
    const { pathname, searchParams } = new URL(target, "http://localhost");
    return pages.get(pathname)?.(searchParams) as { readonly json: SeenPage; readonly wrong: string };
  };
}

interface SeenPage {
  readonly queriesPerSecond: number;
  readonly clients?: readonly { readonly client: string }[];
  readonly names?: readonly { readonly name: string }[];
  readonly waits?: { readonly recent: readonly { readonly client: string }[] };
  readonly queries?: readonly { readonly client: string; readonly name: string }[];
}

test("/seen tells everything where there is no filter", async () => {
  const page = await createPages();
  const { clients, names, queries } = page("/seen").json;
  expect(clients?.map(({ client }) => client)).toEqual(["10.0.0.7", "10.0.0.8"]);
  expect(names?.map(({ name }) => name)).toEqual([web, db]);
  expect(queries).toBeUndefined();
});

test("/seen tells of one client its row, its waits and its queries, and not the names of all", async () => {
  const page = await createPages();
  const { clients, names, waits, queries, queriesPerSecond } = page("/seen?client=10.0.0.7").json;
  expect(clients).toMatchObject([{ client: "10.0.0.7", waited: 1 }]);
  expect(names).toBeUndefined();
  expect(waits?.recent).toMatchObject([{ client: "10.0.0.7", afterMs: 5000 }]);
  expect(queries).toMatchObject([{ name: web }, { name: web }]);
  expect(queriesPerSecond).toBeDefined();
  expect(page("/seen?client=10.0.0.8").json.waits?.recent).toEqual([]);
});

test("/seen tells of a part of a name the names that have it, and not all clients", async () => {
  const page = await createPages();
  const { clients, names, waits, queries } = page("/seen?name=DB.").json;
  expect(clients).toBeUndefined();
  expect(names).toMatchObject([{ name: db }]);
  expect(waits?.recent).toEqual([]);
  expect(queries).toMatchObject([{ client: "10.0.0.8" }]);
});

test.each([
  ["/seen?repeated", [web]],
  ["/seen?rcode=waiting", [web, web, db]],
  ["/seen?rcode=servfail", []],
  ["/seen?slower=4000", [web]],
  ["/seen?limit=1&client=10.0.0.7", [web]],
  ["/seen?client=10.0.0.8&repeated", []],
  ["/seen?name=DB.data.svc.cluster.local.", [db]],
])("%s tells the recorded queries that pass", async (target, names) => {
  const page = await createPages();
  expect(page(target).json.queries?.map(({ name }) => name)).toEqual(names);
});

test("/seen?repeated tells of the clients those that waited", async () => {
  const page = await createPages();
  expect(page("/seen?repeated").json.clients).toMatchObject([{ client: "10.0.0.7" }]);
});

test.each([
  ["/seen?clients=10.0.0.7", "unknown parameter 'clients'; they are client, name, rcode, slower, repeated, limit"],
  ["/tail?foo", "unknown parameter 'foo'; they are client, name, rcode, slower, repeated, limit, incident, json"],
  ["/top?filer=web", "unknown parameter 'filer'; they are tab, rows, columns, filter, sort, line, explain"],
  ["/advise?jsn", "unknown parameter 'jsn'; they are json"],
  ["/incidents?json", "unknown parameter 'json'; there are none"],
  ["/?explan=web", expect.stringContaining("unknown parameter 'explan'")],
  ["/seen?name=web&name=db", "the parameter name was given more than once"],
  ["/seen?client=web", "client is not an IP address"],
  ["/seen?slower=x", "slower is not a number of milliseconds"],
  ["/seen?slower=-1", "slower is not a number of milliseconds"],
  ["/seen?slower=Infinity", "slower is not a number of milliseconds"],
  ["/seen?rcode=NOPE", expect.stringContaining("unknown rcode; they are NOERROR")],
  ["/seen?client=10.0.0.7&limit=0", "limit is not a number from 1 to 10000"],
])("%s is refused", async (target, wrong) => {
  const page = await createPages();
  expect(page(target)).toEqual({ wrong });
});

test("/seen tells what is wrong for single pods, of one client its own", async () => {
  const page = await createPages();
  const told = { client: "10.0.0.7", label: "pod_replies_dropped", by: 3, secondsAgo: 2 };
  expect(page("/seen").json).toMatchObject({ troubles: [told] });
  expect(page("/seen?client=10.0.0.7").json).toMatchObject({ troubles: [told] });
  expect(page("/seen?client=10.0.0.8").json).toMatchObject({ troubles: [] });
});

test("an incident is told with the same filters", async () => {
  const page = await createPages();
  const told = (target: string) => page(target).json as unknown as readonly { readonly name: string }[];
  expect(told("/tail?json&incident=1").map(({ name }) => name)).toEqual([web, web, db]);
  expect(told("/tail?json&incident=1&name=Db").map(({ name }) => name)).toEqual([db]);
  expect(told("/tail?json&incident=1&client=10.0.0.7&repeated").map(({ name }) => name)).toEqual([web]);
  expect(told("/tail?json&incident=1&rcode=SERVFAIL")).toEqual([]);
  expect(told("/tail?json&incident=1&limit=1").map(({ name }) => name)).toEqual([db]);
});
