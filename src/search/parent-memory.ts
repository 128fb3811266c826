/*
 * Which parent is worth asking in a name's place, and what is remembered for that, longer than records live: which parents exist, and which
 * are probably absent. It only decides what is asked first; no name is denied by it.
 */
import { hashName } from "../wire/name.ts";
import { isBelow, isNodeOrBelow, ParentLevel, parentLevels, parentOffset, startsOutsideName } from "./absent-parent.ts";
import type { ClusterName } from "./cluster-name.ts";
import { createMomentTable } from "./moment-table.ts";

/** The memory. Moments are monotonic milliseconds. */
export interface ParentMemory {
  /**
   * The level of the name's parent that should be asked first: one that was denied lately, a Service of which a name was, or one that
   * looks like the end of an outside name, and none of which it is remembered that it exists. Undefined when there is none.
   */
  levelToAsk(name: ClusterName, nowMs: number): ParentLevel | undefined;
  /** Upstream has said whether the name exists. */
  noteVerdict(name: ClusterName, exists: boolean, nowMs: number): void;
}

/** For so long. */
const memoryMs = 10 * 60_000;

/** How many parents are remembered: more namespaces and Services than the pods of one node talk to. */
const mostParents = 4096;

/** Creates an empty memory. `hashSeed` is the one that the process hashes names with. */
export function createParentMemory(isTopLevelDomain: (label: string) => boolean, hashSeed: number): ParentMemory {
  // Until when, by the hash of the parent's name. Apart, so that a flood of absent names cannot push out what exists.
  const existing = createMomentTable(mostParents);
  const absent = createMomentTable(mostParents);

  /** The hash of the parent of this level. The name must be at or below it. */
  function hashOf(name: ClusterName, level: ParentLevel): number {
    return hashName(name.octets, parentOffset(name, level), name.sizeBytes, hashSeed);
  }

  function isWorthAsking(name: ClusterName, level: ParentLevel, nowMs: number): boolean {
    const parent = hashOf(name, level);
    if (nowMs < existing.get(parent)) return false;
    return nowMs < absent.get(parent) || startsOutsideName(name, level, isTopLevelDomain);
  }

  function noteDenial(name: ClusterName, level: ParentLevel, nowMs: number): void {
    const parent = hashOf(name, level);
    if (!isBelow(name, level)) existing.delete(parent);
    // A namespace that exists lacks many a Service that is asked for, and a Service that exists lacks a pod at most.
    else if (level === ParentLevel.namespace || nowMs < existing.get(parent)) return;
    absent.set(parent, nowMs + memoryMs);
  }

  function noteExistence(name: ClusterName, level: ParentLevel, nowMs: number): void {
    const parent = hashOf(name, level);
    absent.delete(parent);
    existing.set(parent, nowMs + memoryMs);
  }

  return {
    levelToAsk(name, nowMs) {
      for (const level of parentLevels) if (isBelow(name, level) && isWorthAsking(name, level, nowMs)) return level;
      return undefined;
    },
    noteVerdict(name, exists, nowMs) {
      for (const level of parentLevels) {
        if (!isNodeOrBelow(name, level)) continue;
        if (exists) noteExistence(name, level, nowMs);
        else noteDenial(name, level, nowMs);
      }
    },
  };
}
