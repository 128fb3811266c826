/*
 * Inputs in turn.
 */

/** The item for a turn. */
export function itemFor<Item>(items: readonly Item[], turn: number): Item {
  return items[turn % items.length] as Item;
}

/** Throws unless each of the first turns is right: a benchmark must not measure what does not do the work. */
export function checkTurns(what: string, turns: number, isRight: (turn: number) => boolean): void {
  for (let turn = 0; turn < turns; turn += 1) if (!isRight(turn)) throw new Error(`${what}: not for input ${turn}`);
}
