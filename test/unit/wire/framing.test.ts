import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFrameReader, frameMessage, tooLong } from "../../../src/wire/framing.ts";
import { hex, join, toHex, u16 } from "./build-message.ts";
import { timeBoxed } from "./property.ts";

/** What a reader hands out when a stream arrives in these chunks. Messages are copied, because they belong to the reader. */
function messagesIn(...chunks: readonly Uint8Array[]): string[] {
  const reader = createFrameReader();
  const messages: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk, (message) => {
      messages.push(toHex(message));
      return true;
    });
  }
  return messages;
}

/** `stream` cut before each of `offsets`. */
function cut(stream: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const edges = [0, ...offsets.toSorted((a, b) => a - b), stream.length];
  return edges.slice(1).map((edge, index) => stream.slice(edges[index], edge));
}

/** A message with its length before it. */
function frame(message: Uint8Array): Uint8Array {
  return join(u16(message.length), message);
}

const first = hex("0102030405");
const second = hex("aabbcc");
const two = join(frame(first), frame(second));
const bothMessages = [toHex(first), toHex(second)];

describe("a stream is cut into messages", () => {
  test("two frames in one segment", () => {
    expect(messagesIn(two)).toStrictEqual(bothMessages);
  });

  test("two frames split in two at every position", () => {
    for (let at = 0; at <= two.length; at += 1)
      expect(messagesIn(...cut(two, [at])), `at ${at}`).toStrictEqual(bothMessages);
  });

  test("two frames split in three at every pair of positions", () => {
    for (let one = 0; one <= two.length; one += 1) {
      for (let other = one; other <= two.length; other += 1) {
        expect(messagesIn(...cut(two, [one, other])), `at ${one} and ${other}`).toStrictEqual(bothMessages);
      }
    }
  });

  test("two frames one octet at a time", () => {
    expect(messagesIn(...cut(two, [...two.keys()]))).toStrictEqual(bothMessages);
  });

  test("length, then message: the two writes of a simple client", () => {
    expect(messagesIn(hex("0005"), first)).toStrictEqual([toHex(first)]);
  });

  test("half a length, half a length, then the message", () => {
    expect(messagesIn(hex("00"), hex("05"), first)).toStrictEqual([toHex(first)]);
  });

  test("an empty chunk changes nothing", () => {
    const none = new Uint8Array(0);
    expect(messagesIn(none, two.slice(0, 3), none, two.slice(3), none)).toStrictEqual(bothMessages);
  });

  test.each([
    ["in one piece", [hex("0000")]],
    ["in two pieces", [hex("00"), hex("00")]],
  ])("a zero-length frame %s is an empty message", (_, chunks) => {
    expect(messagesIn(...chunks)).toStrictEqual([""]);
  });

  test("zero-length frames between others", () => {
    expect(messagesIn(join(hex("0000"), frame(first), hex("0000 0000"), frame(second)))).toStrictEqual([
      "",
      toHex(first),
      "",
      "",
      toHex(second),
    ]);
  });

  test("a frame of 65535 octets, in one piece and in segments of 1460", () => {
    const largest = new Uint8Array(65_535).map((_, index) => index % 251);
    const stream = join(frame(largest), frame(second));
    const segments = Array.from({ length: 44 }, (_, index) => 1460 * (index + 1));
    expect(messagesIn(stream)).toStrictEqual([toHex(largest), toHex(second)]);
    expect(messagesIn(...cut(stream, segments))).toStrictEqual([toHex(largest), toHex(second)]);
  });

  test("a chunk inside a larger buffer is read within its bounds", () => {
    const large = join(hex("ffff"), two, hex("ffff"));
    expect(messagesIn(large.subarray(2, 2 + two.length))).toStrictEqual(bothMessages);
    expect(messagesIn(large.subarray(2, 7), large.subarray(7, 2 + two.length))).toStrictEqual(bothMessages);
  });

  test("the chunk may be used again as soon as push returns", () => {
    const reader = createFrameReader();
    const messages: string[] = [];
    const buffer = new Uint8Array(1);
    for (const octet of two) {
      buffer[0] = octet;
      reader.push(buffer, (message) => messages.push(toHex(message)) > 0);
    }
    expect(messages).toStrictEqual(bothMessages);
  });

  test("however the stream is cut, the same messages come out", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(4_300), { maxLength: 12 }), (sent, offsets) => {
        const stream = join(...sent.map(frame));
        const inside = offsets.filter((offset) => offset < stream.length);
        expect(messagesIn(...cut(stream, inside))).toStrictEqual(sent.map(toHex));
      }),
      timeBoxed,
    );
  });
});

describe("isInsideMessage", () => {
  test("is true exactly between the first octet of a frame and its last", () => {
    const borders = new Set([0, frame(first).length, two.length]);
    for (let size = 0; size <= two.length; size += 1) {
      const reader = createFrameReader();
      for (const octet of two.slice(0, size)) reader.push(Uint8Array.of(octet), () => true);
      expect(reader.isInsideMessage(), `after ${size} octets`).toBe(!borders.has(size));
    }
  });

  test("is false after a zero-length frame", () => {
    const reader = createFrameReader();
    reader.push(hex("0000"), () => true);
    expect(reader.isInsideMessage()).toBe(false);
  });
});

describe("an onMessage that returns false stops the reader", () => {
  test.each([
    ["after a whole frame", [two]],
    ["after a frame that earlier chunks started", [two.slice(0, 3), two.slice(3)]],
  ])("%s", (_, chunks) => {
    const reader = createFrameReader();
    const messages: string[] = [];
    for (const chunk of chunks) {
      reader.push(chunk, (message) => {
        messages.push(toHex(message));
        return false;
      });
    }
    expect(messages).toStrictEqual([toHex(first)]);
    expect(reader.isInsideMessage()).toBe(false);
  });
});

describe("memory", () => {
  /** The size of every array that a reader allocates while it reads `chunks`, in order. */
  function allocationsFor(chunks: readonly Uint8Array[]): number[] {
    const original = globalThis.Uint8Array;
    const sizes: number[] = [];
    globalThis.Uint8Array = new Proxy(original, {
      construct(target, args: [number], newTarget) {
        if (args[0] > 0) sizes.push(args[0]);
        return Reflect.construct(target, args, newTarget);
      },
    });
    try {
      const reader = createFrameReader();
      for (const chunk of chunks) reader.push(chunk, () => true);
    } finally {
      globalThis.Uint8Array = original;
    }
    return sizes;
  }

  test.each([
    ["nothing", 0, 512],
    ["100 octets", 100, 512],
    ["10,000 octets", 10_000, 2 * 10_002],
  ])("when 65535 octets are announced and %s arrived, only what arrived takes memory", (_, arrived, atMost) => {
    const sizes = allocationsFor([hex("ffff"), new Uint8Array(arrived)]);
    expect(sizes.length).toBeGreaterThan(0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(atMost);
  });

  test("a frame that comes octet by octet costs a small multiple of its size", () => {
    const octets = Array.from(frame(new Uint8Array(20_000)), (octet) => Uint8Array.of(octet));
    const total = allocationsFor(octets).reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThanOrEqual(20_002);
    expect(total).toBeLessThanOrEqual(4 * 20_002 + 1024);
  });

  test("whole frames cost nothing", () => {
    expect(allocationsFor([two, two, two])).toStrictEqual([]);
  });

  test("a large message leaves no large buffer behind for the small one after it", () => {
    const large = frame(new Uint8Array(60_000));
    const sizes = allocationsFor([large.slice(0, 30_000), large.slice(30_000), hex("00")]);
    expect(sizes.at(-1)).toBeLessThanOrEqual(512);
  });
});

describe("frameMessage", () => {
  test.each([
    ["whole", "0102", 2, "0002 0102"],
    ["the first octets only", "010203", 2, "0002 0102"],
    ["nothing", "0102", 0, "0000"],
  ])("%s", (_, message, size, framed) => {
    expect(toHex(frameMessage(hex(message), size))).toBe(toHex(hex(framed)));
  });

  test("frames 65535 octets", () => {
    const framed = frameMessage(new Uint8Array(65_535).fill(7), 65_535);
    expect(framed).toHaveLength(65_537);
    expect(toHex(framed.subarray(0, 3))).toBe("ffff07");
  });

  test("is an array of its own", () => {
    const message = hex("0102");
    const framed = frameMessage(message, 2);
    message.fill(0);
    expect(toHex(framed)).toBe("00020102");
  });
});

describe("a reader with a bound", () => {
  /** What the reader returns for each of the chunks, and what it hands out. */
  function read(maxMessageBytes: number, chunks: readonly Uint8Array[]) {
    const reader = createFrameReader(maxMessageBytes);
    const sizes: number[] = [];
    const verdicts = chunks.map((chunk) => reader.push(chunk, ({ length }) => sizes.push(length) > 0));
    return { verdicts, sizes, heldSizeBytes: reader.heldSizeBytes() };
  }

  test("takes a message of that size, however it is cut", () => {
    const stream = frame(new Uint8Array(20));
    for (let at = 0; at <= stream.length; at += 1) expect(read(20, cut(stream, [at]))).toMatchObject({ sizes: [20] });
  });

  test("refuses a longer one as soon as its length has arrived, and keeps nothing of it", () => {
    const stream = frame(new Uint8Array(21));
    expect(read(20, [stream]).verdicts).toEqual([tooLong]);
    expect(read(20, [stream.slice(0, 2)]).verdicts).toEqual([tooLong]);
    expect(read(20, [stream.slice(0, 1), stream.slice(1, 2)])).toMatchObject({ verdicts: [1, tooLong], sizes: [] });
    expect(read(20, [stream.slice(0, 1), stream.slice(1)]).heldSizeBytes).toBeLessThanOrEqual(512);
  });

  test("hands out the messages before a longer one", () => {
    expect(read(20, [join(frame(new Uint8Array(3)), frame(new Uint8Array(21)))])).toMatchObject({
      verdicts: [tooLong],
      sizes: [3],
    });
  });
});
