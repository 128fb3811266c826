/*
 * `nodens untaint`: waits until the nodens of a node is ready, then takes away the taint that the node was registered with, so that
 * pods may come. The only part of nodens that talks to the Kubernetes API: it runs in a pod of its own, with an account of its own.
 */
import { readFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIPv6 } from "node:net";
import { formatServerAddress, parseServerAddress } from "../runtime/server-address.ts";
import type { Environment } from "../settings/expand-variables.ts";
import { defaultSettings } from "../settings/settings-table.ts";
import { ExitCode } from "./exit-code.ts";

/** Flags of `untaint`, as they were typed. */
export interface UntaintFlags {
  /** The node's name. */
  readonly node: string;
  /** The taint's key, whatever its value and effect. */
  readonly taint: string;
  /** The admin address of the node's nodens. */
  readonly admin: string;
}

/** What `untaint` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface UntaintOptions {
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

const { admin } = defaultSettings();
const lookEveryMs = 1000;
const replyTimeoutMs = 5000;
const defaultAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Tries until it is done: there is nothing better to do for a node that nobody can use. Resolves with the exit code: 0, or 64 for
 * what is not an admin address.
 */
export async function untaint(flags: UntaintFlags, options: UntaintOptions): Promise<number> {
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
    const outcome = await removeTaint(flags, options).catch((error: Error) => ({ failure: error.message }));
    if (typeof outcome === "object") tell(`cannot remove the taint yet: ${outcome.failure}`);
    else write(`${outcome}\n`);
    return typeof outcome === "string";
  }, pause);
  return ExitCode.ok;
}

async function repeat(attempt: () => Promise<boolean>, pause: UntaintOptions["pause"]): Promise<void> {
  while (!(await attempt())) await pause(lookEveryMs);
}

async function isReady(url: string, tell: (why: string) => void): Promise<boolean> {
  const { status, text } = await ask(url, {}).catch((error: Error) => ({ status: 0, text: error.message }));
  if (status === 200) return true;
  tell(`waiting for ${url}: ${text.trim()}`);
  return false;
}

interface Node {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
}

/** Resolves with what was done, in words, or with why that failed. */
async function removeTaint(
  { node, taint }: UntaintFlags,
  options: UntaintOptions,
): Promise<string | { failure: string }> {
  const { accountFolder = defaultAccountFolder, apiUrl = apiServerOf(options.env) } = options;
  const url = `${apiUrl}/api/v1/nodes/${encodeURIComponent(node)}`;
  // The token is replaced while the pod lives.
  const authorization = `Bearer ${readFileSync(`${accountFolder}/token`, "utf8").trim()}`;
  const ca = readFileSync(`${accountFolder}/ca.crt`, "utf8");
  const found = await ask(url, { headers: { authorization }, ca });
  if (found.status !== 200) return { failure: `the API server says ${found.status} to a look at node ${node}` };
  const { metadata, spec } = JSON.parse(found.text) as Node;
  const { taints = [] } = spec;
  const others = taints.filter(({ key }) => key !== taint);
  if (others.length === taints.length) return `node ${node} has no taint ${taint}`;
  // Only on the node as it was seen: others add and remove taints at the same time.
  const patch = [
    { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion },
    { op: "replace", path: "/spec/taints", value: others },
  ];
  const headers = { authorization, "content-type": "application/json-patch+json" };
  const patched = await ask(url, { method: "PATCH", headers, ca, body: JSON.stringify(patch) });
  if (patched.status !== 200) return { failure: `the API server says ${patched.status} to the change of node ${node}` };
  return `removed the taint ${taint} from node ${node}`;
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
