/*
 * The programs whose memory is compared: how each is started in front of one upstream, with room for a number of names.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ShippedForm } from "../../test/support/program/shipped-form.ts";

/** Where a program listens (on 127.0.0.1), whom it asks, and what it may keep. */
export interface Place {
  readonly folder: string;
  readonly port: number;
  readonly adminPort: number;
  readonly upstreamPort: number;
  /** Undefined for the program's own default. */
  readonly cacheMib: number | undefined;
}

/** A program as it is started. */
export interface Line {
  readonly words: readonly string[];
  readonly env?: ShippedForm["env"];
  /** The page that says that it is ready; undefined for programs that have none. */
  readonly readyUrl?: string;
  /** It answers no query. */
  readonly isMute?: true;
}

/** nodens as the image has it. */
export function nodensLine(form: ShippedForm, { folder, port, adminPort, upstreamPort, cacheMib }: Place): Line {
  const file = join(folder, `nodens-${port}.yaml`);
  const cache = cacheMib === undefined ? {} : { answersBytes: `${cacheMib}MiB` };
  const settings = {
    listen: { addresses: [`127.0.0.1:${port}`] },
    admin: { address: `127.0.0.1:${adminPort}` },
    upstream: { servers: [`127.0.0.1:${upstreamPort}`] },
    search: { resolvConf: "" },
    shutdown: { drainMs: 0 },
    cache,
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(settings));
  return {
    words: [...form.line, "serve", "--config", file],
    env: form.env,
    readyUrl: `http://127.0.0.1:${adminPort}/readyz`,
  };
}

/** unbound, with a cache as large as that of nodens. */
export function unboundLine({ folder, port, upstreamPort, cacheMib = 40 }: Place): Line {
  const file = join(folder, `unbound-${port}.conf`);
  const lines = [
    "server:",
    "interface: 127.0.0.1",
    `port: ${port}`,
    "do-daemonize: no",
    'chroot: ""',
    'username: ""',
    'pidfile: ""',
    `directory: "${folder}"`,
    "use-syslog: no",
    "num-threads: 1",
    "do-not-query-localhost: no",
    'module-config: "iterator"',
    // What is asked lies below it; by default unbound denies all of it by itself (RFC 6761 §6.2).
    'local-zone: "test." nodefault',
    `msg-cache-size: ${cacheMib}m`,
    `rrset-cache-size: ${cacheMib}m`,
    "remote-control:",
    "control-enable: no",
    "forward-zone:",
    'name: "."',
    `forward-addr: 127.0.0.1@${upstreamPort}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return { words: ["unbound", "-d", "-c", file] };
}

/** dnsmasq, with as many entries as it takes. */
export function dnsmasqLine({ port, upstreamPort, cacheMib }: Place): Line {
  const entries = cacheMib === undefined ? 100_000 : 2_500_000;
  const flags = ["--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--user=root"];
  const own = [`--port=${port}`, `--server=127.0.0.1#${upstreamPort}`, `--cache-size=${entries}`];
  return { words: ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", ...flags, ...own] };
}

/** CoreDNS with the cache of NodeLocal DNSCache, and nothing else. */
export function corednsLine(program: string, { folder, port, upstreamPort, cacheMib }: Place): Line {
  const file = join(folder, `Corefile-${port}`);
  const entries = cacheMib === undefined ? 9984 : 2_500_000;
  const cache = `cache 3600 {\n success ${entries} 3600\n denial ${entries} 5\n }`;
  writeFileSync(file, `.:${port} {\n bind 127.0.0.1\n ${cache}\n forward . 127.0.0.1:${upstreamPort}\n}\n`);
  return { words: [program, "-conf", file] };
}

/** Node.js that does nothing: the floor of what nodens can reach. */
export function bareLine(): Line {
  return { words: [process.execPath, "-e", "setInterval(() => {}, 1e6)"], isMute: true };
}
