import { describe, expect, onTestFinished, test, vi } from "vitest";
import { nftSessionsOn } from "../../../src/attach/nft-session.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { deafNft, installNft, obedientNft } from "../../support/node/fake-nft.ts";

const openNftSession = nftSessionsOn(systemClock);

function open(script: string | undefined) {
  installNft(script);
  let ends = 0;
  const session = openNftSession(() => (ends += 1));
  onTestFinished(() => session.close());
  return { session, ends: () => ends };
}

describe("a session with nft", () => {
  test("gives each command its own complaint, also when many wait", async () => {
    const { session } = open(obedientNft);
    const commands = Array.from({ length: 50 }, (_, index) => (index % 3 === 1 ? `bad ${index}` : `good ${index}`));
    const complaints = await Promise.all(commands.map((command) => session.run(command)));
    for (const [index, complaint] of complaints.entries()) {
      const expected = index % 3 === 1 ? `Error: No such file or directory\nbad ${index}\n^^^` : undefined;
      expect(complaint).toBe(expected);
    }
  });

  test("waits for the rest of a complaint that comes in pieces", async () => {
    const { session } = open(obedientNft);
    const [first, next] = await Promise.all([session.run("split it"), session.run("good")]);
    expect(first).toBe("Error: No such file\nsplit it\n^^^");
    expect(next).toBeUndefined();
  });

  test("that ends tells once, and every command that waits or comes later", async () => {
    const { session, ends } = open(obedientNft);
    expect(await Promise.all([session.run("end"), session.run("good")])).toEqual(["nft has ended", "nft has ended"]);
    expect(await session.run("good")).toBe("nft has ended");
    expect(ends()).toBe(1);
  });

  test("that is closed tells nobody, and has ended then", async () => {
    const { session, ends } = open(obedientNft);
    await session.run("good");
    await session.close();
    expect(await session.run("good")).toBe("nft has ended");
    await session.close();
    expect(ends()).toBe(0);
  });

  test("without nft tells what is missing, to every command", async () => {
    const { session } = open(undefined);
    const missing = /^the program nft is not installed \(spawn nft ENOENT\)$/;
    expect(await session.run("good")).toMatch(missing);
    expect(await session.run("good")).toMatch(missing);
    await session.close();
  });

  test("tells the reason to whoever waits for the end", async () => {
    installNft(undefined);
    const reason = Promise.withResolvers<string>();
    openNftSession(reason.resolve);
    expect(await reason.promise).toBe("the program nft is not installed (spawn nft ENOENT)");
  });

  test("gives nft no home: it would keep everything it was told in a file there", async () => {
    const { session } = open(`while read -r line; do
      case "$line" in nodens_marker_*) printf '%s\\nError: syntax error\\n%s\\n' "$HOME" "$line" >&2 ;; esac
    done`);
    expect(await session.run("x")).toBe("/dev/null");
  });

  test("that is closed kills an nft that does not end", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { session, ends } = open(deafNft);
    const closed = session.close();
    vi.advanceTimersByTime(1000);
    await closed;
    expect(ends()).toBe(0);
  });

  test("kills an nft that does not answer a command for ten seconds", async () => {
    const { session, ends } = open(obedientNft);
    await session.run("good");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const [hanging, behind] = [session.run("hang"), session.run("good")];
    vi.advanceTimersByTime(10_000);
    expect(await Promise.all([hanging, behind])).toEqual(["nft has ended", "nft has ended"]);
    expect(ends()).toBe(1);
  });

  test("an nft that takes nothing is killed as well", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { session } = open(deafNft);
    const complaint = session.run("good");
    vi.advanceTimersByTime(10_000);
    expect(await complaint).toBe("nft has ended");
  });
});
