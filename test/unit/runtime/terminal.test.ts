import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createTerminal } from "../../../src/runtime/terminal.ts";

/** A stream that fails with `code`, or keeps what it gets. */
function stream(code?: string, errno?: number) {
  const texts: string[] = [];
  const writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (code !== undefined) return done(Object.assign(new Error(`write ${code}`), { code, errno }));
      texts.push(chunk.toString());
      done();
    },
  });
  return { writable, text: () => texts.join("") };
}

test("what is written is printable on either stream", async () => {
  const [output, errors] = [stream(), stream()];
  const terminal = createTerminal(output.writable, errors.writable, systemClock);
  terminal.write("\u001b[31m\n");
  terminal.writeInColour("\u001b[31mred\u001b[2J\n");
  terminal.writeError("\u009b1m\n");
  expect(output.text()).toBe("\\u001b[31m\n\u001b[31mred\\u001b[2J\n");
  expect(errors.text()).toBe("\\u009b1m\n");
  expect(await terminal.loss()).toBeUndefined();
});

test("a reader that has gone is no loss, however often something is written to it", async () => {
  const terminal = createTerminal(stream("EPIPE", -32).writable, stream("EPIPE", -32).writable, systemClock);
  for (const write of [terminal.write, terminal.writeInColour, terminal.writeError, terminal.write]) write("text\n");
  expect(await terminal.loss()).toBeUndefined();
});

test("a full disk is a loss, in words", async () => {
  const terminal = createTerminal(stream("ENOSPC", -28).writable, stream().writable, systemClock);
  terminal.write("text\n");
  expect(await terminal.loss()).toBe("no space left on device (ENOSPC)");
});
