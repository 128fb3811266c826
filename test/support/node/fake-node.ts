/*
 * A node as far as the attachment sees it: what `ip` and `nft` say, and what becomes of it. Anything can be made to fail.
 */
import type { InterceptCounter } from "../../../src/attach/intercept-table.ts";
import type { NftSession, OpenNftSession } from "../../../src/attach/nft-session.ts";
import type { Netfilter } from "../../../src/runtime/netfilter.ts";
import type { ProgramResult, RunProgram } from "../../../src/attach/run-program.ts";

/** An address on an interface. */
interface FakeAddress {
  readonly ifname: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly label?: string;
}

/** A session that was opened. */
export interface FakeSession {
  /** Every line of commands, in order. */
  readonly lines: string[];
  isClosed: boolean;
  /** Ends it as if nft had been killed. */
  kill(): void;
}

/** What a test sees and turns. */
export interface FakeNode {
  readonly run: RunProgram;
  readonly openSession: OpenNftSession;
  readonly addresses: FakeAddress[];
  /** The text of the untracked table as nft prints it; undefined when it is not there. */
  untracked: string | undefined;
  readonly sessions: FakeSession[];
  /** "program first-argument …" of every run. */
  readonly runs: string[];
  /** What the counters of the interception say. */
  counters: Record<InterceptCounter, number>;
  /** What the kernel says of its rules; nothing, unless a test exchanges it. */
  netfilter: Netfilter;
  /** What is in a set of the untracked table, as nft lists it. */
  elements: Map<string, string>;
  /** How many pods are in a set. */
  pods: { fallen4: number; tracked4: number };
  /** Answers instead of the program whose command line begins so. */
  failures: Map<string, Partial<ProgramResult>>;
  /** The complaint of sessions about their next lines; undefined is success. */
  complaint: string | undefined;
  /** Why sessions end with their first line: as the real ones do, they say so to both who asked and who waits for the end. */
  endsBecause: string | undefined;
}

/** A node with nothing on it but loopback and an address of its own. */
export function createFakeNode(): FakeNode {
  const node: FakeNode = {
    run,
    openSession,
    addresses: [
      { ifname: "lo", local: "127.0.0.1", prefixlen: 8 },
      { ifname: "eth0", local: "10.0.0.7", prefixlen: 24 },
    ],
    untracked: undefined,
    sessions: [],
    runs: [],
    counters: { intercepted: 0, answered: 0, fell_back: 0, unserved: 0, turned_tracked: 0, tracked: 0 },
    netfilter: { generation: () => undefined, elements: () => undefined },
    elements: new Map(),
    pods: { fallen4: 0, tracked4: 0 },
    failures: new Map(),
    complaint: undefined,
    endsBecause: undefined,
  };
  return node;

  function run(program: string, args: readonly string[], input = ""): Promise<ProgramResult> {
    const line = [program, ...args].join(" ");
    node.runs.push(line);
    const failure = [...node.failures].find(([start]) => line.startsWith(start))?.[1];
    if (failure !== undefined) return Promise.resolve({ code: 1, stdout: "", stderr: "", ...failure });
    return Promise.resolve(program === "ip" ? ip(args) : nft(args, input));
  }

  function ip(args: readonly string[]): ProgramResult {
    if (args.includes("show")) {
      const names = [...new Set(node.addresses.map(({ ifname }) => ifname))];
      const wanted = args.includes("lo") ? ["lo"] : names;
      // Older versions print empty objects for what they filter out.
      const list = wanted.map((ifname) => ({
        ifname,
        addr_info: [...node.addresses.filter((address) => address.ifname === ifname), {}],
      }));
      return ok(JSON.stringify([...list, {}]));
    }
    const [address = "", prefix = ""] = (args[2] ?? "").split("/");
    const at = node.addresses.findIndex(({ local }) => local === address);
    if (args[1] === "del") {
      node.addresses.splice(at, 1);
      return ok("");
    }
    if (at !== -1) return { code: 2, stdout: "", stderr: "RTNETLINK answers: File exists" };
    const label = args[args.indexOf("label") + 1];
    const isLabelled = args.includes("label") && label !== undefined;
    node.addresses.push({ ifname: "lo", local: address, prefixlen: Number(prefix), ...(isLabelled ? { label } : {}) });
    return ok("");
  }

  function nft(args: readonly string[], input: string): ProgramResult {
    if (args[0] === "-f") {
      node.untracked = input.includes("chain") ? input : undefined;
      return ok("");
    }
    if (args[0] === "--json") {
      const counters = Object.entries(node.counters).map(([name, packets]) => ({ counter: { name, packets } }));
      const sets = Object.entries(node.pods).map(([name, length]) => ({ set: { name, elem: Array.from({ length }) } }));
      return ok(JSON.stringify({ nftables: [{ metainfo: {} }, ...counters, ...sets] }));
    }
    if (args[0] === "delete") {
      const wasThere = node.untracked !== undefined;
      node.untracked = undefined;
      return wasThere ? ok("") : { code: 1, stdout: "", stderr: "Error: No such file or directory" };
    }
    if (args.includes("nodens"))
      return node.untracked === undefined ? { ...ok(""), code: 1 } : ok(listed(node.untracked));
    return ok("");
  }

  /** With what the kernel counted and noted. */
  function listed(text: string): string {
    const counted = text.replace(/(counter tracked \{)\n/, `$1\n    packets ${node.counters.tracked} bytes 60\n`);
    return [...node.elements].reduce(
      (list, [set, elements]) =>
        list.replace(new RegExp(`(set ${set} \\{[^}]*?)\\n  \\}`), `$1\n    elements = { ${elements} }\n  }`),
      counted,
    );
  }

  function openSession(onEnd: (reason: string) => void): NftSession {
    let isOver = false;
    const session: FakeSession = {
      lines: [],
      isClosed: false,
      kill() {
        isOver = true;
        onEnd("nft has ended");
      },
    };
    node.sessions.push(session);
    return {
      run(commands) {
        if (isOver) return Promise.resolve("nft has ended");
        if (node.endsBecause !== undefined) {
          isOver = true;
          onEnd(node.endsBecause);
          return Promise.resolve(node.endsBecause);
        }
        if (node.complaint !== undefined) return Promise.resolve(node.complaint);
        session.lines.push(commands);
        return Promise.resolve(undefined);
      },
      close() {
        session.isClosed = true;
        return Promise.resolve();
      },
    };
  }
}

function ok(stdout: string): ProgramResult {
  return { code: 0, stdout, stderr: "" };
}
