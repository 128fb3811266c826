/*
 * What memory a server takes, and how soon it answers: started for one round, at rest, asked for a thousand names, and for more than fit.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Line, nodensLine } from "../whole/memory-servers.ts";
import { memoryOf, withProgram } from "../whole/timed-start.ts";
import { hurry } from "./pinned-process.ts";
import type { Round } from "./results.ts";
import type { Series } from "./rows.ts";
import { runLoad } from "./run-load.ts";
import { type Place, servers } from "./servers.ts";
import type { Tools } from "./tools.ts";

/** Files of lookups (`questions.ts`). */
export interface MemoryQuestions {
  /** A thousand names, as often as they are popular. */
  readonly hits: string;
  /** Each name once, and how many there are. */
  readonly fill: readonly { readonly file: string; readonly count: number }[];
}

/** Where a server is started, but for its ports. */
export type MemoryPlace = Omit<Place, "port" | "adminPort"> & { readonly tools: Tools };

const restMs = 5000;
const hits = 1_000_000;
const mebibyte = 1024 ** 2;

/** Starts it anew, asks it, and ends it. */
export async function measureMemory(
  server: Series["server"],
  place: MemoryPlace,
  { hits: popular, fill }: MemoryQuestions,
): Promise<Round> {
  const { tools } = place;
  const folder = mkdtempSync(join(place.folder, `${server}-`));
  return withProgram(
    (all: Place) => lineOf(server, all, tools),
    { ...place, folder },
    async ({ pid, port, readyMs, firstMs }) => {
      const resident = () => memoryOf(pid, "Rss") / mebibyte;
      await delay(restMs);
      const rest = { restMib: resident(), restOwnMib: memoryOf(pid, "Anonymous") / mebibyte };
      hurry(pid, true);
      await runLoad(tools, { file: popular, port, window: 100, most: hits, isHurried: true });
      const hitsMib = resident();
      for (const { file, count } of fill)
        await runLoad(tools, { file, port, window: 50, most: count, isHurried: true, timeoutMs: 1000 });
      return { ...(readyMs === undefined ? {} : { readyMs }), firstMs, ...rest, hitsMib, fullMib: resident() };
    },
  );
}

/** nodens with its default budgets, everything else with room for as many entries as those hold, or more. */
function lineOf(server: Series["server"], place: Place, tools: Tools): Line {
  if (server === "straight") throw new Error("upstream itself has no row of memory");
  if (server === "nodens") {
    if (tools.shipped === undefined) throw new Error("the form of the image was not made");
    return nodensLine(tools.shipped, { ...place, cacheMib: undefined });
  }
  // With its cache full, dnsmasq did not get through what is asked here in minutes.
  const entries = server === "dnsmasq" ? 2 * place.entries : place.entries;
  const words = servers[server].line({ ...place, entries }, tools);
  if (words === undefined) throw new Error(`${servers[server].title} was not made`);
  return { words };
}
