/*
 * The recorded queries as they are told, with what chooses among them. A look through a full record takes milliseconds in which nobody is answered, so
 * texts are made only of what has passed everything that numbers tell.
 */
import { Rcode, rcodeName, typeName } from "../wire/codes.ts";
import { nameAsTold, type PictureParts } from "./picture.ts";
import type { RecordedQuery } from "./recorder.ts";
import { firstNames } from "./repeats.ts";
import type { Seen } from "./seen.ts";
import type { Trip } from "./trips.ts";

/** A recorded query as it is told. */
export interface ToldQuery {
  readonly secondsAgo: number;
  readonly client: string;
  readonly name: string;
  readonly type: string;
  /** The code of the reply; "waiting" while there is none, "dropped" if there will be none. */
  readonly outcome: string;
  readonly source: string;
  readonly durationMs: number;
  readonly overTcp: boolean;
  /** The way upstream of the question that served it, if one did: "cluster 10.96.0.10:53 tcp, 2 sends, 3.1 ms". */
  readonly upstream: string;
  /** How long before it the same query had come; 0 if it had not. */
  readonly repeatedAfterMs: number;
  /** What had become of that one. */
  readonly first: string;
}

function tellQuery(
  query: RecordedQuery,
  { seen, sources, names }: PictureParts,
  findTrip: ReturnType<Seen["trips"]["finder"]>,
  nowMs: number,
): ToldQuery {
  const { atMs, nameHash, type, rcode, isTcp, repeatedAfterMs, first } = query;
  const source = rcode === undefined ? "" : (sources[query.source] ?? "");
  const durationMs = tookMs(query, nowMs);
  const endMs = rcode === undefined ? nowMs : atMs + durationMs;
  return {
    secondsAgo: Math.round((nowMs - atMs) / 100) / 10,
    client: seen.clientOf(query),
    name: nameAsTold(seen.nameOf(query), nameHash, names),
    type: typeName(type),
    outcome: outcomeOf(query),
    source,
    durationMs: Math.round(durationMs * 1000) / 1000,
    overTcp: isTcp,
    upstream: source === "" || durationMs > 0 ? tellTrip(findTrip(nameHash, type, atMs, endMs)) : "",
    repeatedAfterMs,
    first: repeatedAfterMs > 0 ? (firstNames[first] ?? "") : "",
  };
}

/** A trip in words: "cluster 10.96.0.10:53 tcp, 2 sends, 3.1 ms"; "" for none. */
export function tellTrip(trip: Trip | undefined): string {
  if (trip === undefined) return "";
  const { route, server, transport, sends, startedAtMs, endedAtMs, failure } = trip;
  const took = (endedAtMs - startedAtMs).toFixed(1);
  const end = failure === "" ? "" : `, ${failure}`;
  return `${route} ${server} ${transport}, ${sends === 1 ? "1 send" : `${sends} sends`}, ${took} ms${end}`;
}

/** What pages call the parts of a filter: parameters of /tail and /seen, and fields of the page. */
export const filterNames = ["client", "name", "rcode", "slower", "repeated"] as const;

/** Which of the recorded queries are told. */
export interface TailFilter {
  readonly client?: string | undefined;
  /** Part of the name, which ends in a dot here. */
  readonly name?: string | undefined;
  /** Part of the name or of the client. */
  readonly part?: string | undefined;
  readonly rcode?: string | undefined;
  readonly slowerThanMs?: number | undefined;
  readonly repeated?: boolean | undefined;
  /** Only those that came in the last milliseconds, so many. */
  readonly newerThanMs?: number | undefined;
  readonly limit: number;
}

/**
 * Of names in one telling, a mebibyte: a pod that asks for names of 255 octets, of which each takes four characters, must not make a page that is larger
 * than what is left of the memory limit.
 */
const mostNameCharacters = 1_048_576;

/** The outcomes that are told of queries without a reply. */
const unanswered = ["waiting", "dropped"] as const;

/** What `rcode` of a filter may be. */
export const outcomeNames: readonly string[] = [...Object.keys(Rcode), ...unanswered];

/** The newest recorded queries that pass the filter, oldest first: fewer where their names are long. */
export function tailOf(parts: PictureParts, filter: TailFilter, nowMs: number): ToldQuery[] {
  const told: ToldQuery[] = [];
  const findTrip = parts.seen.trips.finder();
  const isOfClient = clientFilter(parts.seen, filter.client);
  const hasName = nameFilter(parts, filter.name);
  const hasPart = partFilter(parts, filter.part);
  const outcome = outcomeNames.find((name) => name.toUpperCase() === filter.rcode?.toUpperCase());
  let nameCharacters = 0;
  parts.seen.eachRecorded((query) => {
    if (filter.newerThanMs !== undefined && nowMs - query.atMs > filter.newerThanMs) return false;
    if (filter.repeated === true && query.repeatedAfterMs === 0) return true;
    if (filter.slowerThanMs !== undefined && !(tookMs(query, nowMs) > filter.slowerThanMs)) return true;
    if (filter.rcode !== undefined && outcomeOf(query) !== outcome) return true;
    if (isOfClient(query) && hasName(query) && hasPart(query)) {
      const one = tellQuery(query, parts, findTrip, nowMs);
      told.push(one);
      nameCharacters += one.name.length;
    }
    return told.length < filter.limit && nameCharacters < mostNameCharacters;
  });
  return told.toReversed();
}

/** Whether a query that was told before passes a filter; `limit` and `newerThanMs` are not looked at. */
export function passes(query: ToldQuery, { client, name, rcode, slowerThanMs, repeated }: TailFilter): boolean {
  if (client !== undefined && query.client !== client) return false;
  if (name !== undefined && !hasNamePart(query.name, name)) return false;
  if (rcode !== undefined && query.outcome.toUpperCase() !== rcode.toUpperCase()) return false;
  if (slowerThanMs !== undefined && !(query.durationMs > slowerThanMs)) return false;
  return repeated !== true || query.repeatedAfterMs > 0;
}

/** Each client's row is looked at once. */
function clientFilter(seen: Seen, client: string | undefined): (query: RecordedQuery) => boolean {
  if (client === undefined) return () => true;
  const known = new Map<number, boolean>();
  return (query) => {
    const key = query.clientRow * 65_536 + query.clientGeneration;
    const isKnown = known.get(key) ?? seen.clientOf(query) === client;
    known.set(key, isKnown);
    return isKnown;
  };
}

/** Each name is read once. */
function nameFilter({ seen, names }: PictureParts, part: string | undefined): (query: RecordedQuery) => boolean {
  if (part === undefined) return () => true;
  const known = new Map<number, boolean>();
  return (query) => {
    const hasPart =
      known.get(query.nameHash) ?? hasNamePart(nameAsTold(seen.nameOf(query), query.nameHash, names), part);
    known.set(query.nameHash, hasPart);
    return hasPart;
  };
}

function partFilter(parts: PictureParts, part: string | undefined): (query: RecordedQuery) => boolean {
  if (part === undefined) return () => true;
  const hasName = nameFilter(parts, part);
  return (query) => hasName(query) || parts.seen.clientOf(query).includes(part);
}

/** Whether a name as it is told (lower case, without its final dot) contains a part, in any case: of people who write the final dot as well. */
export function hasNamePart(name: string, part: string): boolean {
  return `${name}.`.includes(part.toLowerCase());
}

/** The code of the reply, or what became of the query without one. */
function outcomeOf({ rcode, isDropped }: RecordedQuery): string {
  return rcode === undefined ? (isDropped ? "dropped" : "waiting") : rcodeName(rcode);
}

/** How long a query took, or has been waiting. */
function tookMs({ rcode, isDropped, atMs, durationMs }: RecordedQuery, nowMs: number): number {
  return rcode === undefined && !isDropped ? nowMs - atMs : durationMs;
}
