/*
 * Memory that only starting has needed.
 */
import { codePages } from "./code-pages.ts";
import { dropPages, readMappings } from "./memory-mappings.ts";
import { snapshotMarks, snapshotPages } from "./snapshot-pages.ts";

/**
 * Gives it back: garbage (where V8's flag `--expose-gc` is set), the snapshot, pages of the program. Stops everything for some 30 ms, so
 * once, soon after the start. By itself V8 would collect once its heap has grown by a fifth, which at rest takes hours. Returns how many
 * octets of addresses were given up beside the garbage: 0 where the system offers no way.
 */
export function releaseMemoryOfStart(): bigint {
  const mappings = readMappings();
  const marks = snapshotMarks();
  const pages = marks === undefined ? [] : snapshotPages(mappings, marks);
  // After what leaves garbage, and before the pages that it reads are dropped.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  return dropPages([...pages, ...codePages(mappings)]);
}
