/*
 * CoreDNS in the node's namespace of a bed, with the settings and the packet rules of NodeLocal DNSCache: what nodens is compared with.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "../program/run-nodens.ts";
import { until } from "../servers/scripted-upstream.ts";
import { bedAddress, type NodeBed, patienceMs } from "./node-bed.ts";

/** The release that is built (test/fixtures/coredns/go.mod). */
export const corednsVersion = "1.14.7";

/** A CoreDNS on the node of a bed, on the node's own address. */
export interface CorednsOnNode {
  stop(): Promise<void>;
}

/**
 * The path of the program, built with Go unless it is there already, in the folder that NODENS_COREDNS_FOLDER names
 * (node_modules/.cache unless it is set). Rejects where Go is missing, or cannot fetch the modules.
 */
export async function buildCoredns(): Promise<string> {
  const folder =
    process.env["NODENS_COREDNS_FOLDER"] ?? join(projectFolder, "node_modules", ".cache", "nodens-coredns");
  const source = join(projectFolder, "test", "fixtures", "coredns");
  // Other plugins, another program.
  const plugins = createHash("sha256")
    .update(readFileSync(join(source, "main.go")))
    .digest("hex")
    .slice(0, 8);
  const program = join(folder, `coredns-${corednsVersion}-${plugins}`);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  // Go's usual folder is often on no PATH.
  const env = { ...process.env, PATH: [process.env["PATH"], "/usr/local/go/bin"].join(delimiter) };
  const args = ["build", "-trimpath", "-buildvcs=false", "-o", program, "."];
  await promisify(execFile)("go", args, { cwd: source, env });
  return program;
}

/** Starts it. It ends with its bed at the latest. */
export async function startCorednsOnNode(bed: NodeBed, program: string): Promise<CorednsOnNode> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-coredns-"));
  const file = join(folder, "Corefile");
  writeFileSync(file, corefile);
  const address = await bed.node.run("ip", ["address", "add", `${bedAddress.own}/32`, "dev", "lo"]);
  const rules = await bed.node.run("nft", ["-f", "-"], untracked);
  if (address.code !== 0 || rules.code !== 0)
    throw new Error(`cannot set up the node: ${address.stderr}${rules.stderr}`);
  const child = bed.node.start(program, ["-conf", file]);
  let output = "";
  child.stdout?.on("data", (text) => (output += String(text)));
  child.stderr?.on("data", (text) => (output += String(text)));
  await until(
    "CoreDNS listens",
    () => {
      if (child.exitCode !== null) throw new Error(`CoreDNS ended with ${child.exitCode}: ${output}`);
      return output.includes(`CoreDNS-${corednsVersion}`);
    },
    patienceMs,
  );
  return {
    async stop() {
      child.kill("SIGKILL");
      await until("CoreDNS has ended", () => child.exitCode !== null || child.signalCode !== null);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** NodeLocal DNSCache's template, with kube-dns for all names, as nodens has it by default. */
const corefile = `cluster.local:53 {
    errors
    cache {
        success 9984 30
        denial 9984 5
    }
    loop
    bind ${bedAddress.own}
    forward . ${bedAddress.service} {
        force_tcp
    }
}
.:53 {
    errors
    cache 30
    loop
    bind ${bedAddress.own}
    forward . ${bedAddress.service} {
        force_tcp
    }
}
`;

/** What pods ask the node's own address is not tracked. */
const untracked = `table ip node_local_dns {
  chain before { type filter hook prerouting priority raw; ip daddr ${bedAddress.own} meta l4proto { tcp, udp } th dport 53 notrack; }
  chain out { type filter hook output priority raw; ip saddr ${bedAddress.own} meta l4proto { tcp, udp } th sport 53 notrack; }
}
`;
