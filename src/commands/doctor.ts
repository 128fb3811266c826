/*
 * `nodens doctor`: what is wrong with DNS on this node, worst first, with or without a nodens on it.
 */
import { networkInterfaces, release } from "node:os";
import { readdirSync } from "node:fs";
import { type EachLine, notStarted, type RunProgram } from "../attach/run-program.ts";
import { examine } from "../doctor/examine.ts";
import { hasRoomToWatch } from "../doctor/memory-room.ts";
import type { NodeView } from "../doctor/node-view.ts";
import { pluginOutput, printFindings } from "../doctor/print-findings.ts";
import type { readSeen } from "../doctor/read-seen.ts";
import { readSystemFile } from "../observe/receive-drops.ts";
import { askAdmin } from "../runtime/ask-admin.ts";
import { type Clock, pauseAwake, systemClock } from "../runtime/clock.ts";
import { doWithoutOptimising } from "../runtime/short-run.ts";
import { eachFileLine } from "../runtime/file-lines.ts";
import { ownNetworkNamespace, processesCalled, socketOwners } from "../runtime/processes.ts";
import { parseServerAddress } from "../runtime/server-address.ts";
import { nameFromText } from "../wire/name-text.ts";
import type { WatchWire, WireWatch } from "../doctor/wire-view.ts";
import { defaultClusterDomain } from "../settings/command-defaults.ts";
import { adminPlaceFrom, wrongPlaceText } from "./admin-place.ts";
import { ExitCode } from "./exit-code.ts";

/** The flags of `doctor`, as the command line has them. */
export interface DoctorFlags {
  readonly against: string;
  readonly server?: readonly string[] | undefined;
  readonly name: string;
  /** How far the two looks are apart, "60s". */
  readonly watch?: string | undefined;
  readonly netns?: string | undefined;
  readonly json?: boolean | undefined;
  readonly npd?: boolean | undefined;
}

/** What `doctor` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface DoctorOptions {
  readonly run: RunProgram;
  readonly eachLine: EachLine;
  readonly self: readonly string[];
  /** Handed in, because the process has what they need already. */
  readonly readSeen: typeof readSeen;
  readonly watchWire: WatchWire;
  /** Writes a line about what goes on, without its end; nothing where nobody looks. */
  readonly writeProgress: (line: string) => void;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly node?: NodeView;
  readonly clock?: Clock;
  readonly pause?: (delayMs: number) => Promise<unknown>;
}

const pageTimeoutMs = 3000;
const dnsPort = 53;
const usualWatch = "5s";
/** node-problem-detector gives its plugins 5 s unless told otherwise. */
const pluginWatch = "1s";
const longestWatchSeconds = 3600;

/**
 * Looks and prints. Resolves with the exit code: 0 whatever was found, for it has been found; 64 for flags that cannot be used. With `npd`, that
 * of the plugin's protocol.
 */
export async function doctor(flags: DoctorFlags, options: DoctorOptions): Promise<number> {
  const { write, writeError } = options;
  const asked = readFlags(flags);
  if (typeof asked === "string") {
    writeError(`nodens: ${asked}\n`);
    return ExitCode.usage;
  }
  const { place, ...rest } = asked;
  const node = options.node ?? thisNode(options);
  const watchesWire = flags.watch !== undefined;
  if (!watchesWire || !hasRoomToWatch(node.readFile)) doWithoutOptimising();
  const findings = await examine({
    ...rest,
    node,
    name: flags.name,
    where: flags.against,
    pid: flags.netns,
    self: options.self,
    readSeen: options.readSeen,
    watchWire: watchesWire ? (addresses, zone) => watchOrSave(options.watchWire(addresses, zone)) : undefined,
    zone: /\.svc\.(.+?)\.?$/.exec(flags.name)?.[1] ?? defaultClusterDomain,
    onProgress: options.writeProgress,
    clock: options.clock ?? systemClock,
    pause: options.pause ?? pauseAwake,
    async askPage(path) {
      const reply = await askAdmin(place, path, pageTimeoutMs).catch(() => undefined);
      return reply?.status === 200 ? reply.body : undefined;
    },
  });
  if (flags.npd === true) {
    const { line, exitCode } = pluginOutput(findings);
    write(`${line}\n`);
    return exitCode;
  }
  write(flags.json === true ? `${JSON.stringify(findings, undefined, 2)}\n` : printFindings(findings));
  return ExitCode.ok;
}

/** Copies of packets may come by the thousand, which pays for an optimising compiler. Where none come, memory is saved. */
function watchOrSave(watch: WireWatch): WireWatch {
  if (watch.report().problem !== undefined) doWithoutOptimising();
  return watch;
}

/** What flags mean; a text for people that says which cannot be used. */
function readFlags({ against, server = [], name, watch, netns, npd }: DoctorFlags) {
  const place = adminPlaceFrom(against);
  if (place === undefined) return wrongPlaceText(against);
  const servers = server.flatMap((text) => parseServerAddress(text, dnsPort) ?? []);
  if (servers.length < server.length) return "a --server is not an address";
  if (nameFromText(name) === undefined) return `'${name}' is not a name`;
  const asked = watch ?? (npd === true ? pluginWatch : usualWatch);
  const watchSeconds = Number(asked.replace(/s$/, ""));
  if (!(watchSeconds >= 1 && watchSeconds <= longestWatchSeconds))
    return `--watch ${asked} is not from 1s to ${longestWatchSeconds}s`;
  if (netns !== undefined && !/^\d+$/.test(netns)) return `--netns ${netns} is not a process's number`;
  return { place, servers, watchMs: watchSeconds * 1000 };
}

function thisNode({ run, eachLine }: DoctorOptions): NodeView {
  return {
    readFile: readSystemFile,
    run,
    async eachLine(program, args, take) {
      const ended = await eachLine(program, args, take);
      if (ended.code !== notStarted) return ended;
      // An image has not all programs, but from a debugging pod those of the node can be reached.
      return eachLine("nsenter", ["--target=1", "--mount", "--", program, ...args], take);
    },
    eachFileLine,
    socketOwners,
    processesCalled,
    ownNetworkNamespace: ownNetworkNamespace(),
    kernelRelease: release(),
    interfaces: interfaceNames(),
  };
}

/** Also those without an address, which veth pairs on a node often are. */
function interfaceNames(): string[] {
  try {
    return readdirSync("/sys/class/net");
  } catch {
    return Object.keys(networkInterfaces());
  }
}
