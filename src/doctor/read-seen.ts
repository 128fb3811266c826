/*
 * What the doctor reads of /seen.
 */
import * as z from "zod";

/** The part of /seen that the doctor goes by. */
export type ReadSeen = z.infer<ReturnType<typeof seenShape>>;

/** Made where it is needed: what serves has this module, and never reads /seen. Other versions may say more. */
function seenShape() {
  return z.object({
    mode: z.string(),
    isReady: z.boolean(),
    isFailOpen: z.boolean(),
    queriesPerSecond: z.number(),
    waits: z.object({
      last15Minutes: z.number(),
      recent: z.array(z.object({ client: z.string(), name: z.string(), afterMs: z.number(), meaning: z.string() })),
    }),
    /** What is wrong for single pods; earlier versions do not say. */
    troubles: z
      .array(z.object({ client: z.string(), label: z.string(), meaning: z.string(), by: z.number() }))
      .default([]),
    upstream: z.array(z.object({ server: z.string() })),
    clients: z.array(
      z.object({ client: z.string(), namespace: z.string(), perSecond: z.number(), wasteShare: z.number() }),
    ),
  });
}

/** Reads the page; undefined for a text that is not what this version says. */
export function readSeen(text: string): ReadSeen | undefined {
  try {
    return seenShape().safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
