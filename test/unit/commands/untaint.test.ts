import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { untaint } from "../../../src/commands/untaint.ts";

const startup = { key: "example.com/nodens", effect: "NoSchedule" };
const other = { key: "example.com/gpu", value: "yes", effect: "NoSchedule" };

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** An API server with one node, n1, which is the node's nodens as well; and `untaint` before them. */
async function run({ taints = [other, startup], readyAfter = 0, statuses = [200, 200] as number[] } = {}) {
  const asked: Asked[] = [];
  let readyLooks = 0;
  let node = { metadata: { resourceVersion: "7" }, spec: { taints: taints as object[] | undefined } };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const folder = mkdtempSync(join(tmpdir(), "nodens-account-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "token"), "secret\n");
  writeFileSync(join(folder, "ca.crt"), "");
  const admin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let [output, errors, pauses] = ["", "", 0];
  const exitCode = await untaint(
    { node: "n1", taint: startup.key, admin },
    {
      env: {},
      pause: () => Promise.resolve(void (pauses += 1)),
      write: (text) => void (output += text),
      writeError: (text) => void (errors += text),
      apiUrl: `http://${admin}`,
      accountFolder: folder,
    },
  );
  return { exitCode, output, errors, pauses, asked, taints: node.spec.taints };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/readyz") {
      readyLooks += 1;
      response.writeHead(readyLooks > readyAfter ? 200 : 503).end("the cluster's zone has not been answered yet\n");
      return;
    }
    const body = (await request.setEncoding("utf8").toArray()).join("");
    const { method, url, headers } = request;
    asked.push({ method, url, authorization: headers.authorization, body });
    const status = statuses[asked.length - 1] ?? 200;
    if (method === "PATCH" && status === 200) {
      const [, replace] = JSON.parse(body) as [object, { value: object[] }];
      node = { ...node, spec: { taints: replace.value } };
    }
    response.writeHead(status).end(JSON.stringify(node));
  }
}

test("removes the taint, and no other, as soon as nodens is ready", async () => {
  const { exitCode, output, errors, pauses, asked, taints } = await run({ readyAfter: 3 });
  expect(exitCode).toBe(0);
  expect(taints).toEqual([other]);
  expect(output).toBe("removed the taint example.com/nodens from node n1\n");
  expect(errors).toMatch(
    /^waiting for http:\/\/127\.0\.0\.1:\d+\/readyz: the cluster's zone has not been answered yet\n$/,
  );
  expect(pauses).toBe(3);
  expect(asked).toMatchObject([
    { method: "GET", url: "/api/v1/nodes/n1", authorization: "Bearer secret" },
    { method: "PATCH", url: "/api/v1/nodes/n1", authorization: "Bearer secret" },
  ]);
});

test("changes the node only as it saw it", async () => {
  const { asked } = await run();
  const [condition] = JSON.parse(asked[1]?.body ?? "") as object[];
  expect(condition).toEqual({ op: "test", path: "/metadata/resourceVersion", value: "7" });
});

test("changes nothing where the node has no such taint", async () => {
  const { exitCode, output, asked } = await run({ taints: [other] });
  expect(exitCode).toBe(0);
  expect(output).toBe("node n1 has no taint example.com/nodens\n");
  expect(asked.map(({ method }) => method)).toEqual(["GET"]);
});

test.each([
  ["refuses the look", [403], /says 403 to a look at node n1/],
  ["refuses the change, because the node was changed meanwhile", [200, 422], /says 422 to the change of node n1/],
])("tries again when the API server %s", async (_, statuses, why) => {
  const { exitCode, errors, taints } = await run({ statuses });
  expect(exitCode).toBe(0);
  expect(errors).toMatch(why);
  expect(taints).toEqual([other]);
});

test("refuses what is not an address", async () => {
  let errors = "";
  const refuse = {
    env: {},
    pause: () => Promise.resolve(),
    write: () => {},
    writeError: (text: string) => void (errors += text),
  };
  expect(await untaint({ node: "n1", taint: "a", admin: "node-1" }, refuse)).toBe(64);
  expect(errors).toContain("'node-1' is not an admin address");
});
