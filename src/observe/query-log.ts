/*
 * The query log: one line per reply, off by default. The caller supplies the words for names, types and flags.
 */
import type { Logger } from "pino";
import type { QueryLog } from "../listen/front.ts";
import type { ClientQuery } from "../wire/query.ts";

/** The words of the log. */
export interface QueryLogWords {
  /** Writes a name in wire form. */
  nameToText(name: Uint8Array): string;
  typeName(type: number): string;
  rcodeName(rcode: number): string;
  /** The flags of a query by name, as masks of its flag word. */
  readonly flags: Readonly<Record<string, number>>;
  /** By number of the source. */
  readonly sources: readonly string[];
}

/**
 * Creates a query log that writes at level "info", whose lines have `msg` "query" and: client, protocol, name (lower case) and
 * type, both absent when the question was unreadable, flags of the query ("RD AD DO"), rcode, source, durationMs, sizeBytes of
 * the reply.
 */
export function createQueryLog(logger: Logger, words: QueryLogWords): QueryLog {
  return (client, protocol, query, rcode, source, durationMs, sizeBytes) => {
    logger.info(
      {
        client,
        protocol,
        ...questionOf(query, words),
        flags: flagsOf(query, words.flags),
        rcode: words.rcodeName(rcode),
        source: words.sources[source],
        durationMs: Math.round(durationMs * 1000) / 1000,
        sizeBytes,
      },
      "query",
    );
  };
}

function questionOf({ questionEnd, name, type }: ClientQuery, words: QueryLogWords): { name?: string; type?: string } {
  // The view still holds the name of the query before.
  if (questionEnd === 0) return {};
  return { name: words.nameToText(name.octets.subarray(0, name.sizeBytes)), type: words.typeName(type) };
}

function flagsOf(query: ClientQuery, masks: Readonly<Record<string, number>>): string {
  const set = Object.keys(masks).filter((name) => (query.flags & (masks[name] ?? 0)) !== 0);
  return [...set, ...(query.dnssecOk ? ["DO"] : [])].join(" ");
}
