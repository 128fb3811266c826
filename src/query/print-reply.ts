/* How `query` writes what it received: for people, for scripts, as JSON. */
import type { ReplyText, RecordText } from "./read-reply.ts";

/** A reply and how it arrived. `server` is "ADDR:PORT"; `elapsedMs` is the time from sending to the reply. */
export interface Reception {
  readonly reply: ReplyText;
  readonly server: string;
  readonly protocol: "UDP" | "TCP";
  readonly elapsedMs: number;
  readonly sizeBytes: number;
  /** What else there is to say, one line each. */
  readonly remarks: readonly string[];
}

/** The reply to the same question asked again, `pauseMs` after the first reply. */
export interface SecondReception extends Reception {
  readonly pauseMs: number;
}

/** Where the text goes, and in which form. */
export interface PrintOptions {
  readonly write: (text: string) => void;
  readonly asJson: boolean;
}

/** Writes everything the first reply says, then what the second, if there is one, reveals about where the two came from. */
export function printReply(
  first: Reception,
  second: SecondReception | undefined,
  { write, asJson }: PrintOptions,
): void {
  const origin = second === undefined ? originFromErrors(first.reply) : compare(first, second);
  const remarks = [...first.remarks, ...(origin === undefined ? [] : [origin])];
  if (asJson) {
    const again = second === undefined ? {} : { second: asObject(second, second.remarks) };
    write(`${JSON.stringify({ ...asObject(first, remarks), ...again }, undefined, 2)}\n`);
    return;
  }
  const { reply, server, protocol, elapsedMs, sizeBytes } = first;
  const lines = [
    `;; ${reply.rcode}, flags ${reply.flags.join(" ")}, id ${reply.id}`,
    ...ednsLines(reply.edns),
    ...(reply.question === null
      ? [";; without the question"]
      : [";; question", `${reply.question.name} ${reply.question.class} ${reply.question.type}`]),
    ...recordLines(reply),
    ...reply.problems.map((problem) => `;; not readable: ${problem}`),
    `;; ${formatMs(elapsedMs)}, server ${server}, ${protocol}, ${sizeBytes} octets`,
    ...remarks.map((remark) => `;; ${remark}`),
  ];
  write(`${lines.join("\n")}\n`);
}

/** Writes the answers' data, one per line. If there are no answers, a line to `writeError` says what came instead. */
export function printShort(
  { reply, remarks }: Reception,
  { write, writeError }: { readonly write: (text: string) => void; readonly writeError: (text: string) => void },
): void {
  for (const { data } of reply.answer) write(`${data}\n`);
  if (reply.answer.length === 0) writeError([`;; ${reply.rcode}, no answers`, ...remarks].join("; ").concat("\n"));
}

function asObject(reception: Reception, remarks: readonly string[]): object {
  const { reply, server, protocol, elapsedMs, sizeBytes } = reception;
  return { ...reply, elapsedMs: Math.round(elapsedMs * 1000) / 1000, server, protocol, sizeBytes, remarks };
}

function ednsLines(edns: ReplyText["edns"]): string[] {
  if (edns === null) return [";; no EDNS"];
  const flags = edns.dnssecOk ? ", flags do" : "";
  return [
    `;; EDNS version ${edns.version}, ${edns.udpSizeBytes} octets over UDP${flags}`,
    ...edns.extendedErrors.map(({ code, meaning, text }) => {
      return `;; extended error ${code} (${meaning})${text === "" ? "" : `: ${text}`}`;
    }),
  ];
}

function recordLines({ answer, authority, additional }: ReplyText): string[] {
  const all = [...answer, ...authority, ...additional].map(columnsOf);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...all.map((columns) => (columns[column] ?? "").length)));
  const print = (title: string, records: readonly RecordText[]): string[] =>
    records.length === 0
      ? []
      : [
          `;; ${title}`,
          ...records.map((record) =>
            columnsOf(record)
              .map((text, column) => text.padEnd(widths[column] ?? 0))
              .join(" "),
          ),
        ];
  return [...print("answer", answer), ...print("authority", authority), ...print("additional", additional)];
}

function columnsOf(record: RecordText): string[] {
  return [record.name, String(record.ttlSeconds), record.class, record.type, record.data];
}

/** Where the reply came from, if it says so itself (RFC 8914 §4.4, §4.14, §4.20). */
function originFromErrors({ edns }: ReplyText): string | undefined {
  const codes = new Set(edns?.extendedErrors.map(({ code }) => code));
  if (codes.has(3) || codes.has(19)) return "from a cache, past its TTL, because no fresh answer was available";
  return codes.has(13) ? "a failure that the server remembers: it did not ask again" : undefined;
}

/** What two replies reveal together. A TTL that went down was counted down by a cache, though not necessarily by this server's. */
function compare(first: Reception, second: SecondReception): string {
  const times = `asked twice, ${second.pauseMs} ms apart: ${formatMs(first.elapsedMs)}, then ${formatMs(second.elapsedMs)}`;
  const said = originFromErrors(second.reply);
  if (said !== undefined) return `${times}; the second was ${said}`;
  const [firstTtl, secondTtl] = [lowestTtl(first.reply), lowestTtl(second.reply)];
  if (firstTtl === undefined || secondTtl === undefined) return `${times}; without a TTL there is nothing to compare`;
  const ttls = `${times}; TTL ${firstTtl}, then ${secondTtl}`;
  if (secondTtl < firstTtl) return `${ttls}: the second came from a cache, the server's or one behind it`;
  if (secondTtl > firstTtl) return `${ttls}: the answer was fetched afresh in between`;
  return `${ttls}: no sign of a cache`;
}

/** The lowest TTL of the answers; of a denial, that of its SOA. */
function lowestTtl({ answer, authority }: ReplyText): number | undefined {
  const records = answer.length > 0 ? answer : authority;
  return records.length === 0 ? undefined : Math.min(...records.map(({ ttlSeconds }) => ttlSeconds));
}

function formatMs(elapsedMs: number): string {
  return `${elapsedMs.toFixed(elapsedMs < 10 ? 1 : 0)} ms`;
}
