/*
 * A small world outside the cluster, for a scripted upstream: names with one family, with both, with more addresses than fit
 * into a datagram, and nothing else.
 */
import {
  a,
  aaaa,
  buildMessage,
  cname,
  Flags,
  readMessage,
  soa,
  type TestRecord,
  txt,
  Type,
} from "../messages/messages.ts";
import type { ReceivedQuery } from "./scripted-upstream.ts";

/** The addresses of large.example.test: 1600 octets of records. */
export const manyAddresses = Array.from({ length: 100 }, (_, index) => `198.51.100.${index + 1}`);

const owner = "@12";
const zone = "example.test";

const records: Readonly<Record<string, readonly TestRecord[]>> = {
  "example.test": [a(owner, "192.0.2.10"), aaaa(owner, 0x10)],
  "www.example.test": [cname(owner, zone), a(zone, "192.0.2.10"), aaaa(zone, 0x10)],
  "a.b.example.test": [a(owner, "192.0.2.11")],
  "v6.only.example.test": [aaaa(owner, 0x12)],
  "text.only.example.test": [txt(owner, "no address")],
  "large.example.test": manyAddresses.map((address) => a(owner, address)),
};

/** Answers as a resolver that has looked: with TC, over UDP, what is too large for the asker. */
export function answerFromOutside({ protocol, bytes, name, type }: ReceivedQuery): Uint8Array {
  const { id, flags, questions, opts } = readMessage(bytes);
  const known = records[name.toLowerCase()];
  const answers = (known ?? []).filter((record) => record.type === type || record.type === Type.CNAME);
  const isDenial = answers.every((record) => record.type === Type.CNAME);
  const head = { id, questions, opt: opts.length > 0 ? { udpSize: 1232 } : undefined };
  const replyFlags = Flags.QR | Flags.RA | (flags & (Flags.RD | Flags.CD));
  const reply = buildMessage({
    ...head,
    flags: replyFlags | (known === undefined ? 3 : 0),
    answers,
    authorities: isDenial ? [soa("test")] : [],
  });
  const limit = opts[0]?.udpSize ?? 512;
  return protocol === "tcp" || reply.length <= limit ? reply : buildMessage({ ...head, flags: replyFlags | Flags.TC });
}
