/*
 * Reads the malformed packets of test/fixtures: one file per defect, whose name says in words what is wrong.
 *
 *      # why it is wrong, and the RFC
 *      # expect: FORMERR            what a client sees: silence, FORMERR, NOTIMP; for a reply: ignored
 *      # fault: pointer             the name in Fault
 *      6e6f 0100 0001 0000 ...      # octets in any grouping, with a remark
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Queries from clients, or replies from an upstream. */
type MalformedFolder = "malformed" | "malformed-replies";

/** One packet and what must come of it. */
interface MalformedPacket {
  /** The defect, as a sentence with spaces. */
  readonly name: string;
  readonly packet: Uint8Array;
  /** What a client sees in answer to a query: `silence` or the mnemonic of a response code. For a reply always `ignored`. */
  readonly expect: string;
  /** The name of the fault in `Fault`. */
  readonly fault: string;
}

/** Reads every packet of a folder, in the order of their names. Throws for a file that is not in the form above. */
export function loadMalformed(folder: MalformedFolder): MalformedPacket[] {
  const path = join(import.meta.dirname, "..", "..", "fixtures", folder);
  const files = readdirSync(path)
    .filter((file) => file.endsWith(".hex"))
    .toSorted();
  if (files.length === 0) throw new Error(`no malformed packets in ${path}`);
  return files.map((file) => readMalformed(file, readFileSync(join(path, file), "utf8")));
}

function readMalformed(file: string, text: string): MalformedPacket {
  const digits = text.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw new Error(`${file}: not whole octets in lower-case hex`);
  return {
    name: basename(file, ".hex").replaceAll("-", " "),
    packet: Uint8Array.from(digits.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16)),
    expect: readField(file, text, "expect"),
    fault: readField(file, text, "fault"),
  };
}

function readField(file: string, text: string, field: string): string {
  const [line, ...others] = text.matchAll(new RegExp(`^# ${field}: (\\w+)$`, "gm"));
  if (line?.[1] === undefined || others.length > 0)
    throw new Error(`${file}: needs exactly one line "# ${field}: ..."`);
  return line[1];
}
