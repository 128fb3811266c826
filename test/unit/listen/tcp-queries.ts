/*
 * Queries over TCP as tests of listeners send them.
 */
import type { TcpClient } from "../../support/messages/ask.ts";
import { buildQuery, concat, readMessage, Type, u16 } from "../../support/messages/messages.ts";

/** A query for A with its length in front (RFC 1035 §4.2.2). */
export function frame(name: string, id = 1): Uint8Array {
  const query = buildQuery(name, Type.A, { id });
  return concat([u16(query.length), query]);
}

/** Whether "hit.test", which is in the listener's cache, is answered on the connection. */
export async function isServed(client: TcpClient): Promise<boolean> {
  client.socket.write(frame("hit.test"));
  const [reply] = await client.read(1);
  return reply !== undefined && readMessage(reply).answers.length === 1;
}
