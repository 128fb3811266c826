/*
 * Values by text, for values that live for milliseconds. A Map would do, if V8 did not link each table that a Map has outgrown to the next
 * one: once such a table has reached the old generation, all that later ones have held survives with it, until the old generation is
 * collected. So a Map with a constant coming and going turns every question into work for the collector. Here it holds numbers, and the values
 * stand in an array that stays.
 */

/** Values by text. */
export interface KeyTable<Value> {
  get(key: string): Value | undefined;
  /** Sets the value of a key, instead of one that it may have. */
  set(key: string, value: Value): void;
  /** Removes a key and its value. Does nothing if there is none. */
  delete(key: string): void;
  size(): number;
}

/** Creates an empty table. */
export function createKeyTable<Value>(): KeyTable<Value> {
  const places = new Map<string, number>();
  const values: (Value | undefined)[] = [];
  const free: number[] = [];
  return {
    get(key) {
      // A text that was made for this look would have to be made one of V8's own first.
      if (places.size === 0) return undefined;
      const place = places.get(key);
      return place === undefined ? undefined : values[place];
    },
    set(key, value) {
      const place = places.get(key) ?? free.pop() ?? values.length;
      places.set(key, place);
      values[place] = value;
    },
    delete(key) {
      const place = places.get(key);
      if (place === undefined) return;
      places.delete(key);
      values[place] = undefined;
      free.push(place);
    },
    size: () => places.size,
  };
}
