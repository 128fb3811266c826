/* What pods wrote, read out of what they asked. */
import { expect, test } from "vitest";
import { readWriting } from "../../../src/seen/written-names.ts";
import { createWorld, denial, type World } from "../../support/world/create-world.ts";
import { a } from "../../support/messages/messages.ts";

const zone = "cluster.local";

/** Asks, and lets upstream deny all but the names that exist. */
async function asks(world: World, client: string, names: readonly string[], existing: readonly string[] = []) {
  for (const name of names) {
    await world.asks(name, "A", { client });
    await world.upstream.settlesAll(existing.includes(name) ? { answers: [a(name, "10.96.1.1")] } : denial);
  }
}

const searched = (name: string, namespace: string) => [
  `${name}.${namespace}.svc.${zone}`,
  `${name}.svc.${zone}`,
  `${name}.${zone}`,
];

test("an outside name is found behind its suffixes, with the namespace, and not one of the name's own domain", async () => {
  const world = createWorld();
  for (let turn = 0; turn < 3; turn += 1) await asks(world, "10.0.0.7", searched("www.example.com", "shop"));
  const { names, namespaceOf } = readWriting(world.seen, zone);
  expect(names.map(({ name, namespace, denied, foundUnder }) => ({ name, namespace, denied, foundUnder }))).toEqual([
    { name: "www.example.com", namespace: "shop", denied: 9, foundUnder: undefined },
  ]);
  expect([...(names[0]?.deniedUnder ?? [])].toSorted()).toEqual([
    ["cluster.local", 3],
    ["shop.svc.cluster.local", 3],
    ["svc.cluster.local", 3],
  ]);
  expect(namespaceOf([...(names[0]?.byRow.keys() ?? [])][0] ?? -1)).toBe("shop");
});

test("a Service of another namespace is found where it exists", async () => {
  const world = createWorld();
  const [first = "", second = ""] = searched("web.batch", "shop");
  await asks(world, "10.0.0.7", searched("www.example.com", "shop"));
  await asks(world, "10.0.0.7", [first, second], [second]);
  const found = readWriting(world.seen, zone).names.find(({ name }) => name === "web.batch");
  expect(found).toMatchObject({ namespace: "shop", denied: 1, foundUnder: "svc.cluster.local" });
});

test("clients of several namespaces are kept apart", async () => {
  const world = createWorld();
  await asks(world, "10.0.0.7", searched("www.example.com", "shop"));
  await asks(world, "10.0.0.8", searched("www.example.com", "batch"));
  const { names } = readWriting(world.seen, zone);
  expect(names.map(({ name, namespace }) => `${namespace} ${name}`).toSorted()).toEqual([
    "batch www.example.com",
    "shop www.example.com",
  ]);
});
