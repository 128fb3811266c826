import { expect, test } from "vitest";
import { replySourceNames, ReplySource } from "../../../src/listen/listen-counters.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { createQueryLog } from "../../../src/observe/query-log.ts";
import { Rcode, rcodeName, typeName } from "../../../src/wire/codes.ts";
import { Flag, HeaderOffset } from "../../../src/wire/header.ts";
import { nameFromText, nameToText } from "../../../src/wire/name-text.ts";
import { writeU16 } from "../../../src/wire/octets.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { composeQuery, ownQuestion } from "../../../src/wire/question.ts";
import { RrType } from "../../../src/wire/codes.ts";

function setUp() {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", destination: { write: (line: string) => void lines.push(line) } });
  const words = { nameToText, typeName, rcodeName, flags: Flag, sources: replySourceNames };
  return { log: createQueryLog(logger, words), lines };
}

function readPacket(packet: Uint8Array) {
  const query = createQueryView(1);
  const fault = readQuery(packet, packet.length, query);
  return { query, fault };
}

test("a reply is one line that says who asked what and was told what", () => {
  const { log, lines } = setUp();
  const packet = composeQuery(ownQuestion(nameFromText("kubernetes.default") ?? new Uint8Array(1), RrType.AAAA));
  writeU16(packet, HeaderOffset.flags, Flag.RD | Flag.AD);
  const { query } = readPacket(packet);
  query.dnssecOk = true;
  log("10.244.1.7", "udp", query, Rcode.NXDOMAIN, ReplySource.cache, 0.123_456, 98);
  const { time: _time, ...line } = JSON.parse(lines.join(""));
  expect(line).toEqual({
    level: "info",
    client: "10.244.1.7",
    protocol: "udp",
    name: "kubernetes.default",
    type: "AAAA",
    flags: "RD AD DO",
    rcode: "NXDOMAIN",
    source: "cache",
    durationMs: 0.123,
    sizeBytes: 98,
    msg: "query",
  });
});

test("an unreadable question has no name: the view may still hold the one before", () => {
  const { log, lines } = setUp();
  const packet = composeQuery(ownQuestion(nameFromText("first.example") ?? new Uint8Array(1), RrType.A));
  const { query } = readPacket(packet);
  expect(readQuery(packet, 14, query)).toBeLessThan(0);
  log("10.244.1.7", "tcp", query, Rcode.FORMERR, ReplySource.error, 0, 12);
  const line = JSON.parse(lines.join(""));
  expect(line).toMatchObject({ rcode: "FORMERR", source: "error" });
  expect(line).not.toHaveProperty("name");
  expect(line).not.toHaveProperty("type");
});
