/* Queries that are recorded by their parts. */
import { clientWord, FlagBit, noReplyYet, type RecordedQuery, type Recorder } from "../../../src/seen/recorder.ts";

/** What is known of a query when it comes. */
export type ArrivedQuery = Pick<
  RecordedQuery,
  | "atMs"
  | "clientRow"
  | "clientGeneration"
  | "nameHash"
  | "nameReference"
  | "type"
  | "port"
  | "id"
  | "isTcp"
  | "hasEdns"
>;

/** Records it, and returns its number. */
export function recordQuery(recorder: Recorder, query: ArrivedQuery): number {
  const { atMs, clientRow, clientGeneration, nameHash, nameReference, type, port, id, isTcp, hasEdns } = query;
  const client = clientWord(clientRow, clientGeneration);
  const typeAndFlags = (type << 16) | (isTcp ? FlagBit.tcp : 0) | (hasEdns ? FlagBit.edns : 0);
  return recorder.arrived(atMs, client, nameHash, nameReference, (port << 16) | id, typeAndFlags, noReplyYet, 0);
}
