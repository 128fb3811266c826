import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { StartupFlags, StartupOptions } from "../../../src/commands/startup-pod.ts";

/** A request as the API server got it. */
interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
}

/** How the API server and nodens behave. */
interface Behaviour {
  /** How often `/readyz` is refused first. */
  readonly readyAfter?: number;
  /** What the API server says to one request after the other; then 200. */
  readonly statuses?: readonly number[];
  /** The body of a reply that is 200, for each request. */
  reply?(asked: Asked): object;
}

/** Runs a command of the startup pod before an API server that is the node's nodens as well, with an account whose token is "secret". */
export async function runBeforeNodeApi(
  command: (flags: StartupFlags, options: StartupOptions) => Promise<number>,
  { readyAfter = 0, statuses = [], reply = () => ({}) }: Behaviour,
) {
  const asked: Asked[] = [];
  let readyLooks = 0;
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
  const exitCode = await command(
    { node: "n1", admin },
    {
      env: {},
      pause: () => Promise.resolve(void (pauses += 1)),
      write: (text) => void (output += text),
      writeError: (text) => void (errors += text),
      apiUrl: `http://${admin}`,
      accountFolder: folder,
    },
  );
  return { exitCode, output, errors, pauses, asked };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/readyz") {
      readyLooks += 1;
      response.writeHead(readyLooks > readyAfter ? 200 : 503).end("the cluster's zone has not been answered yet\n");
      return;
    }
    const body = (await request.setEncoding("utf8").toArray()).join("");
    const { method, url, headers } = request;
    const { authorization, "content-type": contentType } = headers;
    const one = { method, url, authorization, contentType, body };
    asked.push(one);
    const status = statuses[asked.length - 1] ?? 200;
    response.writeHead(status).end(status === 200 ? JSON.stringify(reply(one)) : "");
  }
}
