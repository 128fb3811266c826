/*
 * Query IDs: 16 bits that an off-path attacker must guess (RFC 5452 §9.2), and so taken from the system's random generator.
 */
import { randomFillSync } from "node:crypto";

const pool = new Uint16Array(2048);
let next = pool.length;

/**
 * A random ID, 0 to 65,535, that is not taken. The caller must keep far fewer IDs than that open on a flow, so that the search is short and the
 * choice stays unpredictable.
 */
export function pickQueryId(isTaken: (id: number) => boolean): number {
  let id = randomId();
  while (isTaken(id)) id = randomId();
  return id;
}

function randomId(): number {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const id = pool[next] as number;
  next += 1;
  return id;
}
