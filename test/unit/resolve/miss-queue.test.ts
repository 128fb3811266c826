import { describe, expect, test } from "vitest";
import { createMissQueue } from "../../../src/resolve/miss-queue.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

/** A queue whose turns end when the test says so, and what has become of its queries, in order. */
function createQueue() {
  const done: string[] = [];
  const dueActions: (() => void)[] = [];
  const queue = createMissQueue({ ...createFakeClock(), afterIo: (action) => void dueActions.push(action) });
  return {
    queue,
    done,
    add(client: string, count: number) {
      for (let number = 0; number < count; number += 1) {
        const name = `${client}${number}`;
        queue.add(client, { begin: () => done.push(name), shed: (reason) => done.push(`${name} ${reason}`) });
      }
    },
    endTurn() {
      for (const action of dueActions.splice(0)) action();
    },
    isTurnEndDue: () => dueActions.length > 0,
  };
}

describe("queries that wait for the resolver", () => {
  test("begin when the hits beside them have left", () => {
    const { queue, done, add } = createQueue();
    add("a", 2);
    expect(done).toStrictEqual([]);
    queue.begin();
    expect(done).toStrictEqual(["a0", "a1"]);
  });

  test("begin at the end of the turn where nobody says that hits have left", () => {
    const { done, add, endTurn } = createQueue();
    add("a", 1);
    endTurn();
    expect(done).toStrictEqual(["a0"]);
  });

  test("begin over several turns when there are many, however many batches a turn has", () => {
    const { queue, done, add, endTurn, isTurnEndDue } = createQueue();
    add("a", 20);
    queue.begin();
    queue.begin();
    const begun = [done.length];
    while (isTurnEndDue()) {
      endTurn();
      begun.push(done.length);
    }
    expect(begun).toStrictEqual([8, 16, 20, 20]);
  });

  test("begin in rotation of their clients: who has one is not behind who has a thousand", () => {
    const { queue, done, add } = createQueue();
    add("a", 1000);
    add("b", 1);
    add("c", 2);
    queue.begin();
    expect(done).toStrictEqual(["a0", "b0", "c0", "a1", "c1", "a2", "a3", "a4"]);
  });

  test("are bounded, and the newest of the client with the most makes way", () => {
    const { queue, done, add } = createQueue();
    add("a", 4000);
    add("b", 97);
    expect(done).toStrictEqual(["a3999 client"]);
    queue.begin();
    add("b", 9);
    expect(done.slice(-1)).toStrictEqual(["a3998 client"]);
  });
});
