/*
 * Real DNS servers as upstreams: unbound, BIND and dnsmasq, each with a configuration made for the test, in a folder of its
 * own, in the foreground, as the current user. They know only the zones they are given and ask nobody else.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { askAll } from "../messages/ask-many.ts";
import { findFreePort } from "./free-port.ts";
import { buildQuery, Type } from "../messages/messages.ts";
import { findCommand } from "../program/requirements.ts";
import { until } from "./scripted-upstream.ts";

/** Zone files by origin, both without a dot at the end. */
export type Zones = Readonly<Record<string, string>>;

/** A server that runs, or ran. */
export interface RealServer {
  readonly host: string;
  readonly port: number;
  /** "HOST:PORT". */
  readonly address: string;
  /** Its configuration and zone files. */
  readonly folder: string;
  /** Starts it again, on the same port, after `stop`. Resolves once it answers over UDP and TCP. */
  start(): Promise<void>;
  /** Ends it and resolves when its process is gone. */
  stop(): Promise<void>;
  /** Ends it for good and removes its folder. */
  close(): Promise<void>;
  /** Everything it has written. */
  output(): string;
}

const host = "127.0.0.1";
const secondsToStop = 5;
/** What must not outlive a test process that ends early. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts unbound as the authority for `zones`. `lines` join its `server:` clause. */
export function startUnbound(zones: Zones, lines: readonly string[] = []): Promise<RealServer> {
  return startServer("unbound", zones, (at) => {
    const zoneClauses = Object.keys(zones).map(
      (origin) =>
        `auth-zone:\n name: "${origin}."\n zonefile: "${origin}.zone"\n for-downstream: yes\n for-upstream: no\n`,
    );
    const server = [
      `directory: "${at.folder}"`,
      'chroot: ""',
      'username: ""',
      'pidfile: ""',
      "use-syslog: no",
      `interface: ${host}@${at.port}`,
      'module-config: "iterator"',
      // Nothing but the zones exists: without this, unbound would ask the root servers.
      'local-zone: "." static',
      'local-data: ". 300 IN SOA ns.invalid. hostmaster.invalid. 1 1800 900 604800 300"',
      ...Object.keys(zones).map((origin) => `local-zone: "${origin}." transparent`),
      ...lines,
    ];
    const control = `remote-control:\n control-enable: yes\n control-interface: "${at.folder}/control"\n control-use-cert: no\n`;
    const text = `server:\n ${server.join("\n ")}\n${control}${zoneClauses.join("")}`;
    return { text, args: (file) => ["-d", "-c", file] };
  });
}

/** Starts BIND as the authority for `zones`. */
export function startNamed(zones: Zones): Promise<RealServer> {
  const root =
    "@ 300 SOA ns.invalid. hostmaster.invalid. 1 1800 900 604800 300\n@ 300 NS ns.invalid.\nns.invalid. 300 A 192.0.2.1\n";
  return startServer("named", { ...zones, root }, (at) => {
    const options = [
      `directory "${at.folder}"`,
      `managed-keys-directory "${at.folder}"`,
      "pid-file none",
      "session-keyfile none",
      `listen-on port ${at.port} { ${host}; }`,
      "listen-on-v6 { none; }",
      "recursion no",
      "empty-zones-enable no",
      "notify no",
      "dnssec-validation no",
      "max-udp-size 4096",
    ];
    const zoneClauses = [...Object.keys(zones), "root"].map(
      (origin) =>
        `zone "${origin === "root" ? "." : origin}" { type primary; file "${origin}.zone"; check-names ignore; };`,
    );
    const text = `options { ${options.join("; ")}; };\ncontrols { };\n${zoneClauses.join("\n")}\n`;
    return { text, args: (file) => ["-g", "-n", "1", "-c", file] };
  });
}

/** Starts dnsmasq, which has no zone files: `lines` say what it knows. */
export function startDnsmasq(lines: readonly string[]): Promise<RealServer> {
  return startServer("dnsmasq", {}, (at) => {
    const all = [
      `port=${at.port}`,
      `listen-address=${host}`,
      "bind-interfaces",
      `user=${userInfo().username}`,
      "pid-file=",
      "log-facility=-",
      "no-resolv",
      "no-hosts",
      ...lines,
    ];
    return { text: `${all.join("\n")}\n`, args: (file) => ["--keep-in-foreground", `--conf-file=${file}`] };
  });
}

interface Place {
  readonly folder: string;
  readonly port: number;
}

interface Configuration {
  readonly text: string;
  args(file: string): string[];
}

async function startServer(
  command: string,
  zones: Zones,
  configure: (place: Place) => Configuration,
): Promise<RealServer> {
  const path = findCommand(command);
  if (path === undefined) throw new Error(`no ${command} on this machine`);
  const port = await findFreePort();
  const folder = mkdtempSync(join(tmpdir(), `nodens-${command}-`));
  for (const [origin, text] of Object.entries(zones)) writeFileSync(join(folder, `${origin}.zone`), text);
  const { text, args } = configure({ folder, port });
  const file = join(folder, `${command}.conf`);
  writeFileSync(file, text);
  let child: ChildProcess | undefined;
  let output = "";

  async function start(): Promise<void> {
    let started = spawnServer();
    await until(`${command} answers at ${host}:${port}`, async () => {
      // dnsmasq has a process for each TCP connection, which may hold the port for a moment longer than the one that was stopped.
      if (started.exitCode !== null && output.includes("Address already in use")) started = spawnServer();
      if (started.exitCode !== null) throw new Error(`${command} ended with ${started.exitCode}: ${output}`);
      return (await isAnswering("udp")) && isAnswering("tcp");
    });
    // A server goes on without a zone that it cannot read.
    if (output.includes("not loaded due to errors")) throw new Error(`${command} could not load its zones`);
  }

  function spawnServer(): ChildProcess {
    output = "";
    const started = spawn(path as string, args(file), { stdio: ["ignore", "pipe", "pipe"] });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    }
    running.add(started);
    started.once("exit", () => running.delete(started));
    return started;
  }

  async function isAnswering(protocol: "udp" | "tcp"): Promise<boolean> {
    const [reply] = await askAll({ host, port }, protocol, [buildQuery(".", Type.NS)], { waitMs: 200 });
    return reply !== undefined;
  }

  async function stop(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child?.kill("SIGKILL"), secondsToStop * 1000);
    await gone;
    clearTimeout(timer);
  }

  async function close(): Promise<void> {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }

  const server: RealServer = {
    host,
    port,
    address: `${host}:${port}`,
    folder,
    start,
    stop,
    close,
    output: () => output,
  };
  try {
    await start();
    return server;
  } catch (error) {
    await close();
    throw new Error(`${String(error)}\n${output}`, { cause: error });
  }
}
