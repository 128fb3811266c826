/*
 * Which parent is worth asking in a name's place, and what is remembered for that, longer than records live: which parents exist, and which
 * are probably absent. It only decides what is asked first; no name is denied by it.
 */
import { textOfOctets } from "../wire/octets.ts";
import { isBelow, isNodeOrBelow, ParentLevel, parentLevels, parentOffset, startsOutsideName } from "./absent-parent.ts";
import type { ClusterName } from "./cluster-name.ts";

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

/** Creates an empty memory. */
export function createParentMemory(isTopLevelDomain: (label: string) => boolean): ParentMemory {
  // Until when, by the parent's name in wire form, one character per octet. Apart, so that a flood of absent names cannot push out what exists.
  const existing = new Map<string, number>();
  const absent = new Map<string, number>();

  function isWorthAsking(name: ClusterName, level: ParentLevel, nowMs: number): boolean {
    const parent = parentText(name, level);
    if (nowMs < (existing.get(parent) ?? 0)) return false;
    return nowMs < (absent.get(parent) ?? 0) || startsOutsideName(name, level, isTopLevelDomain);
  }

  function noteDenial(name: ClusterName, level: ParentLevel, nowMs: number): void {
    const parent = parentText(name, level);
    if (!isBelow(name, level)) existing.delete(parent);
    // A namespace that exists lacks many a Service that is asked for, and a Service that exists lacks a pod at most.
    else if (level === ParentLevel.namespace || nowMs < (existing.get(parent) ?? 0)) return;
    remember(absent, parent, nowMs);
  }

  return {
    levelToAsk: (name, nowMs) =>
      parentLevels.find((level) => isBelow(name, level) && isWorthAsking(name, level, nowMs)),
    noteVerdict(name, exists, nowMs) {
      for (const level of parentLevels) {
        if (!isNodeOrBelow(name, level)) continue;
        if (!exists) noteDenial(name, level, nowMs);
        else {
          absent.delete(parentText(name, level));
          remember(existing, parentText(name, level), nowMs);
        }
      }
    },
  };
}

/** The parent of this level. The name must be at or below it. */
function parentText(name: ClusterName, level: ParentLevel): string {
  return textOfOctets(name.octets.subarray(parentOffset(name, level), name.sizeBytes));
}

function remember(parents: Map<string, number>, parent: string, nowMs: number): void {
  // The oldest come first.
  parents.delete(parent);
  parents.set(parent, nowMs + memoryMs);
  if (parents.size > mostParents) forgetOldest(parents);
}

function forgetOldest(parents: Map<string, number>): void {
  for (const parent of parents.keys()) {
    parents.delete(parent);
    return;
  }
}
