import { expect, test } from "vitest";
import { afterKey, firstTopState } from "../../../src/commands/top-keys.ts";

function afterKeys(...keys: string[]) {
  return keys.reduce(afterKey, firstTopState("clients"));
}

test("a typed filter holds after Enter, without what was erased, and Esc ends it", () => {
  expect(afterKeys("/", "s", "x", "\u007F", "hop", "\r")).toMatchObject({ filter: "shop", prompt: undefined });
  expect(afterKeys("/", "s", "\r", "\u001B").filter).toBe("");
});

test("keys that are typed into a filter do nothing else", () => {
  expect(afterKeys("/", "q", " ", "3")).toMatchObject({ tab: "clients", isFrozen: false, wish: "" });
});

test("Enter wishes for the client of the chosen line, on the tab of clients only", () => {
  expect(afterKeys("j", "j", "k", "\r")).toMatchObject({ line: 1, wish: "chooseClient" });
  expect(afterKeys("2", "\r").wish).toBe("");
});

test("s goes through the orders and comes back", () => {
  expect(afterKeys("s").sort).toBe("waits");
  expect(afterKeys("s", "s", "s", "s").sort).toBe("queries");
});

test("a name is explained until the next key, but arrows scroll", () => {
  expect(afterKeys("e", "a.test", "\r").over).toEqual({ explain: "a.test", from: 0 });
  expect(afterKeys("e", "a.test", "\r", "j", "\u001B[B", "k").over).toEqual({ explain: "a.test", from: 1 });
  expect(afterKeys("e", "a.test", "\r", "", "x").over).toBe("");
});

test("q ends, and so does Ctrl-C while something is typed", () => {
  expect(afterKeys("q").wish).toBe("end");
  expect(afterKeys("/", "\u0003").wish).toBe("end");
});

test.each(["s", "j", "k", "2", "\r"])("what is frozen goes on where %j chooses something else", (key) => {
  expect(afterKeys(" ").isFrozen).toBe(true);
  expect(afterKeys(" ", key).isFrozen).toBe(false);
});
