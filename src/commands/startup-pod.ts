/*
 * What the commands of the pod share that keeps other pods away from a new node until nodens is ready there: waiting for that nodens, and
 * the Kubernetes API. Nothing else in nodens talks to that: the pod has an account of its own.
 */
import { readFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIPv6 } from "node:net";
import { formatServerAddress, parseServerAddress } from "../runtime/server-address.ts";
import type { Environment } from "../settings/expand-variables.ts";
import { defaultSettings } from "../settings/settings-table.ts";
import { ExitCode } from "./exit-code.ts";

/** What each of the commands has to be told, as it was typed. */
export interface StartupFlags {
  /** The node's name. */
  readonly node: string;
  /** The admin address of the node's nodens. */
  readonly admin: string;
}

/** What the commands need from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface StartupOptions {
  readonly env: Environment;
  /** Waits, and keeps the process alive meanwhile. */
  readonly pause: (delayMs: number) => Promise<void>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** The API server instead of the one that every pod is told of; for tests. */
  readonly apiUrl?: string;
  /** Where the account's token and the API server's certificate are. */
  readonly accountFolder?: string;
}

/** What was done, in words, or why it failed. */
export type Outcome = string | { readonly failure: string };

/** Asks the API server for the path below the node ("" is the node itself). Rejects when it cannot be reached. */
export type AskAboutNode = (below: string, patch?: Patch) => Promise<{ status: number; text: string }>;

/** A change of an object, in one of the forms that the API server takes. */
export interface Patch {
  readonly type: "json-patch" | "strategic-merge-patch";
  readonly body: unknown;
}

const { admin } = defaultSettings();
const lookEveryMs = 1000;
const replyTimeoutMs = 5000;
const defaultAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Waits until nodens is ready, then calls `act` until it is done: there is nothing better to do for a node that nobody can use. `task` says
 * in the log what cannot be done yet. Resolves with the exit code: 0, or 64 for what is not an admin address.
 */
export async function onceReady(
  flags: StartupFlags,
  options: StartupOptions,
  task: string,
  act: (ask: AskAboutNode) => Promise<Outcome>,
): Promise<number> {
  const { pause, write, writeError } = options;
  const address = parseServerAddress(flags.admin, admin.address.port);
  if (address === undefined) {
    writeError(`nodens: '${flags.admin}' is not an admin address: it must be an IP address, with or without a port\n`);
    return ExitCode.usage;
  }
  const readyUrl = `http://${formatServerAddress(address)}/readyz`;
  let told = "";
  const tell = (why: string) => {
    if (why !== told) writeError(`${why}\n`);
    told = why;
  };
  await repeat(() => isReady(readyUrl, tell), pause);
  await repeat(async () => {
    const outcome = await Promise.resolve(askAbout(flags.node, options))
      .then(act)
      .catch((error: Error) => ({ failure: error.message }));
    if (typeof outcome === "object") tell(`cannot ${task} yet: ${outcome.failure}`);
    else write(`${outcome}\n`);
    return typeof outcome === "string";
  }, pause);
  return ExitCode.ok;
}

async function repeat(attempt: () => Promise<boolean>, pause: StartupOptions["pause"]): Promise<void> {
  while (!(await attempt())) await pause(lookEveryMs);
}

async function isReady(url: string, tell: (why: string) => void): Promise<boolean> {
  const { status, text } = await ask(url, {}).catch((error: Error) => ({ status: 0, text: error.message }));
  if (status === 200) return true;
  tell(`waiting for ${url}: ${text.trim()}`);
  return false;
}

function askAbout(node: string, options: StartupOptions): AskAboutNode {
  const { accountFolder = defaultAccountFolder, apiUrl = apiServerOf(options.env) } = options;
  const url = `${apiUrl}/api/v1/nodes/${encodeURIComponent(node)}`;
  return async (below, patch) => {
    // The token is replaced while the pod lives.
    const authorization = `Bearer ${readFileSync(`${accountFolder}/token`, "utf8").trim()}`;
    const ca = readFileSync(`${accountFolder}/ca.crt`, "utf8");
    if (patch === undefined) return ask(`${url}${below}`, { headers: { authorization }, ca });
    const headers = { authorization, "content-type": `application/${patch.type}+json` };
    return ask(`${url}${below}`, { method: "PATCH", headers, ca, body: JSON.stringify(patch.body) });
  };
}

/** The API server's address, as every pod is told. */
function apiServerOf(env: Environment): string {
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "443" } = env;
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The certificate that the server's must be signed with. */
  readonly ca?: string;
  readonly body?: string;
}

function ask(
  url: string,
  { method = "GET", headers = {}, ca, body }: Question,
): Promise<{ status: number; text: string }> {
  const request = url.startsWith("https:") ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(replyTimeoutMs);
    const question = request(url, { method, headers, signal, ...(ca === undefined ? {} : { ca }) }, (reply) => {
      let text = "";
      reply.setEncoding("utf8").on("data", (part: string) => (text += part));
      reply.on("error", reject).on("end", () => resolve({ status: reply.statusCode ?? 0, text }));
    });
    question.on("error", reject).end(body);
  });
}
