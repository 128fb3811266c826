import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadMalformed } from "../../support/messages/malformed-packets.ts";
import { a, buildMessage, concat, Flags, replyTo, Type, u16 } from "../../support/messages/messages.ts";
import { type ReceivedQuery, until } from "../../support/servers/scripted-upstream.ts";
import {
  answerAll,
  answerInReverse,
  answerNothing,
  closedPort,
  holdQueries,
  openTestFlow,
  startServer,
  track,
  type TrackedAttempt,
  waysToOpen,
} from "./flow-parts.ts";

describe.each(waysToOpen("udp"))("%s", (_way, openSocket) => {
  /** A flow to a port, and a way to send. */
  function openFlow(port: number, limits = {}, host = "127.0.0.1") {
    const opened = openTestFlow("udp", port, { idleTimeoutMs: Infinity, ...limits }, host, openSocket);
    return { ...opened, send };

    function send(name: string): TrackedAttempt {
      const tracked = track(name);
      opened.flow.send(tracked.attempt);
      return tracked;
    }
  }

  describe("queries on one socket", () => {
    test("leave from one port, including those sent before it was connected", async () => {
      const server = await startServer(answerAll);
      const { flow, send, counters } = openFlow(server.port);
      const tracked = ["a.test", "b.test", "c.test"].map(send);
      await until("all are answered", () => flow.load() === 0);
      tracked.push(send("d.test"));
      await until("the last is answered", () => flow.load() === 0);
      expect(tracked.every((each) => each.outcome() === "answered")).toBe(true);
      expect(new Set(server.received.map(({ port }) => port)).size).toBe(1);
      expect([flow.sentCount(), counters.sends.udp, counters.openFlows.udp]).toStrictEqual([4, 4, 1]);
    });

    test("are each answered with their own answer when the answers come in reverse", async () => {
      const server = await startServer(answerInReverse(20));
      const { flow, send } = openFlow(server.port);
      const tracked = Array.from({ length: 20 }, (_, index) => send(`q${index}.test`));
      await until("all are answered", () => flow.load() === 0);
      expect(tracked.map((each) => each.address())).toStrictEqual(tracked.map((_, index) => `10.0.0.${index}`));
    });
  });

  describe("a wrong reply is ignored, and the right one after it is taken", () => {
    const right = { name: "a.test", type: Type.A };
    const reply = (id: number, question: { name: string; type: number; class?: number }, flags = Flags.QR) =>
      buildMessage({ id, flags, questions: [question], answers: [a("a.test", "10.6.6.6")] });
    const wrongReplies: [string, (id: number) => Uint8Array][] = [
      ["another ID", (id) => reply(id ^ 0x5555, right)],
      ["another name", (id) => reply(id, { ...right, name: "b.test" })],
      ["another type", (id) => reply(id, { ...right, type: Type.AAAA })],
      ["another class", (id) => reply(id, { ...right, class: 3 })],
      ["QR saying query", (id) => reply(id, right, 0)],
      ["another opcode", (id) => reply(id, right, Flags.QR | 0x2800)],
      ["no question", (id) => buildMessage({ id, flags: Flags.QR })],
      ["two questions", (id) => buildMessage({ id, flags: Flags.QR, questions: [right, right] })],
      ["three octets", (id) => concat([u16(id), Uint8Array.of(0x80)])],
      ["no octets", () => new Uint8Array(0)],
      ["text", () => new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ];

    test.each(wrongReplies)("%s", async (_what, wrong) => {
      const server = await startServer(({ id, bytes }) => [
        wrong(id),
        wrong(id),
        replyTo(bytes, { answers: [a("a.test", "10.0.0.1")] }),
      ]);
      const { flow, send, counters } = openFlow(server.port);
      const tracked = send("a.test");
      await until("it is answered", () => flow.load() === 0);
      expect(tracked.address()).toBe("10.0.0.1");
      const { ignored } = counters;
      expect(ignored.malformed + ignored["unknown-id"] + ignored["wrong-question"]).toBe(2);
    });

    test.each(loadMalformed("malformed-replies"))("$name", async ({ packet }) => {
      const server = await startServer(({ id, bytes }) => [
        concat([u16(id).subarray(0, packet.length), packet.subarray(2)]),
        replyTo(bytes, { answers: [a("a.test", "10.0.0.1")] }),
      ]);
      const { flow, send } = openFlow(server.port);
      const tracked = send("a.test");
      await until("it is answered", () => flow.load() === 0);
      expect(tracked.address()).toBe("10.0.0.1");
    });

    test("the right reply, spelled in another case, is right", async () => {
      const server = await startServer(({ id }) => reply(id, { ...right, name: "A.tESt" }));
      const { flow, send } = openFlow(server.port);
      const tracked = send("a.test");
      await until("it is answered", () => flow.load() === 0);
      expect(tracked.outcome()).toBe("answered");
    });
  });

  describe("guessing", () => {
    function wrongTimes(count: number) {
      return ({ bytes }: ReceivedQuery) => {
        const wrong = replyTo(bytes);
        wrong[0] = (wrong[0] ?? 0) ^ 0xff;
        return [...Array.from({ length: count }, () => wrong), replyTo(bytes)];
      };
    }

    test("is tolerated up to the allowed number of wrong replies", async () => {
      const server = await startServer(wrongTimes(5));
      const { flow, send } = openFlow(server.port, { maxWrongReplies: 5 });
      const tracked = send("a.test");
      await until("it is answered", () => flow.load() === 0);
      expect(tracked.outcome()).toBe("answered");
      expect(flow.isAccepting()).toBe(true);
    });

    test("with one more, the socket is closed and everything that waits is lost to forgery", async () => {
      const server = await startServer((query) => (query.name === "b.test" ? wrongTimes(6)(query) : undefined));
      const { flow, send, ends, counters } = openFlow(server.port, { maxWrongReplies: 5 });
      const tracked = ["a.test", "b.test"].map(send);
      await until("the socket is closed", () => ends.length === 1);
      expect(tracked.map((each) => each.outcome())).toStrictEqual(["forgery", "forgery"]);
      expect(flow.isAccepting()).toBe(false);
      expect(counters.openFlows.udp).toBe(0);
    });

    test("late replies to questions that were answered elsewhere are not guesses", async () => {
      let release = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const server = await startServer(async ({ bytes }) => {
        await gate;
        return replyTo(bytes);
      });
      const { flow, counters } = openFlow(server.port, { maxWrongReplies: 5 });
      const cancels = Array.from({ length: 20 }, (_, index) => flow.send(track(`q${index}.test`).attempt));
      await until("all have left", () => server.received.length === 20);
      for (const cancel of cancels) cancel();
      release();
      await until("all replies have come", () => counters.ignored.late === 20);
      expect(flow.isAccepting()).toBe(true);
    });

    test("a reply from another port never arrives, however right it is", async () => {
      const stranger = createSocket("udp4");
      onTestFinished(() => void stranger.close());
      stranger.bind(0, "127.0.0.1");
      await once(stranger, "listening");
      const server = await startServer(async ({ bytes, port }) => {
        const forged = replyTo(bytes, { answers: [a("a.test", "10.6.6.6")] });
        await new Promise((resolve) => stranger.send(forged, port, "127.0.0.1", resolve));
        return replyTo(bytes, { answers: [a("a.test", "10.0.0.1")] });
      });
      const { flow, send, counters } = openFlow(server.port);
      const tracked = send("a.test");
      await until("it is answered", () => flow.load() === 0);
      expect(tracked.address()).toBe("10.0.0.1");
      expect(counters.ignored).toStrictEqual({ malformed: 0, "unknown-id": 0, "wrong-question": 0, late: 0 });
    });
  });

  describe("the end of a socket", () => {
    test("a closed port is reported as refused", async () => {
      const { send, ends } = openFlow(await closedPort());
      const tracked = ["a.test", "b.test"].map(send);
      await until("the socket is closed", () => ends.length === 1);
      expect(tracked.map((each) => each.outcome())).toStrictEqual(["refused", "refused"]);
    });

    test("an address without a route is reported as unreachable", async () => {
      // The kernel lets nobody connect to the broadcast address who has not asked for that: nothing is sent.
      const { send, ends } = openFlow(53, {}, "255.255.255.255");
      const tracked = send("a.test");
      await until("the socket is closed", () => ends.length === 1);
      expect(tracked.outcome()).toBe("unreachable");
    });

    test("one that retires takes no more, and closes when the last waiting query is answered", async () => {
      const held = holdQueries();
      const server = await startServer(held.script);
      const { flow, send, ends } = openFlow(server.port);
      const tracked = ["a.test", "b.test"].map(send);
      await until("both have arrived", () => held.waiting.length === 2);
      flow.retire();
      expect(flow.isAccepting()).toBe(false);
      held.answer("b.test");
      await until("one is answered", () => flow.load() === 1);
      expect(ends).toHaveLength(0);
      held.answer("a.test");
      await until("the socket is closed", () => ends.length === 1);
      expect(tracked.map((each) => each.outcome())).toStrictEqual(["answered", "answered"]);
    });

    test("one that retires also closes when its last query is cancelled", async () => {
      const server = await startServer(answerNothing);
      const { flow, ends } = openFlow(server.port);
      const cancel = flow.send(track("a.test").attempt);
      flow.retire();
      expect(ends).toHaveLength(0);
      cancel();
      expect(ends).toHaveLength(1);
    });

    test("one that is closed loses what waits, once, even before it is connected", async () => {
      const server = await startServer(answerNothing);
      const { flow, send, ends, counters } = openFlow(server.port);
      const tracked = send("a.test");
      flow.close("stopped");
      flow.close("timeout");
      expect(tracked.outcome()).toBe("stopped");
      expect(ends).toHaveLength(1);
      expect([counters.openedFlows.udp, counters.openFlows.udp]).toStrictEqual([1, 0]);
    });
  });
});
