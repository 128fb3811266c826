/*
 * How something on the node stands at the moment, as text.
 */

/** A line of the table of the kernel: "connection table, of 262,144 entries", "5 %". */
export interface NodeGauge {
  readonly what: string;
  readonly now: string;
}
