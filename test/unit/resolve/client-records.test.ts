import { expect, test } from "vitest";
import { createClientCounts } from "../../../src/resolve/client-records.ts";

test("are kept for whoever has something, and forgotten of others once they are most", () => {
  const counts = createClientCounts();
  counts.of("busy").count += 2;
  for (let each = 0; each < 100_000; each += 1) {
    const record = counts.of(`client ${each}`);
    record.count += 1;
    record.count -= 1;
  }
  expect(counts.find("busy")?.count).toBe(2);
  expect([...counts.all()].length).toBeLessThan(1000);
});

test("of a client that comes back are the same", () => {
  const counts = createClientCounts();
  const first = counts.of("a");
  expect(counts.of("a")).toBe(first);
  expect(counts.find("b")).toBeUndefined();
});
