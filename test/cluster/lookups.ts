/*
 * Single questions in pods, with dig in the pod's network, and answers in a form that can be compared.
 */
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./node.ts";
import { runIn, tryIn } from "./places.ts";

/** A question, and how it is asked. */
export interface Question {
  readonly name: string;
  readonly type: string;
  readonly overTcp?: boolean;
}

/** What a server said, without what may differ between two right answers: TTLs, the order of records. */
export interface Answer {
  readonly rcode: string;
  readonly records: readonly string[];
}

/** Pods that are looked into. */
export interface PodNetwork {
  /** Runs a program of the machine in the pod's network, and returns what it prints. */
  run(command: readonly string[]): Promise<string>;
  /** Asks `server` once, and waits for two seconds. Throws when nothing comes. */
  ask(server: string, question: Question): Promise<Answer>;
}

interface PodStatus {
  readonly status: {
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly containerID?: string }[];
  };
}

/** The network of a pod that runs on `node`. */
export async function enterPod(
  cluster: Cluster,
  node: ClusterNode,
  namespace: string,
  pod: string,
): Promise<PodNetwork> {
  const { status } = JSON.parse(await cluster.kubectl(["-n", namespace, "get", "pod", pod, "-o", "json"])) as PodStatus;
  const pid = await node.containerPid(status.containerStatuses?.[0]?.containerID ?? "");
  const inside = (command: readonly string[]) => ["nsenter", "--target", String(pid), "--net", "--", ...command];
  const run = (command: readonly string[]) => runIn(node.place, inside(command));
  return {
    run,
    async ask(server, question) {
      const { code, stdout } = await tryIn(node.place, inside(digOf(server, question)));
      if (code !== 0) throw new Error(`${server} did not answer ${question.name} ${question.type}: ${stdout}`);
      return parseDig(stdout);
    },
  };
}

function digOf(server: string, { name, type, overTcp = false }: Question): string[] {
  const flags = ["+noall", "+comments", "+answer", "+tries=1", "+time=2", overTcp ? "+tcp" : "+notcp"];
  const what = type === "PTR" && /^[\d.]+$/.test(name) ? ["-x", name] : [name, type];
  return ["dig", `@${server}`, ...flags, ...what];
}

function parseDig(text: string): Answer {
  const records = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith(";"))
    .map((line) => {
      const [name = "", , , type, ...data] = line.split(/\s+/);
      return [name.toLowerCase(), type, ...data].join(" ");
    });
  return { rcode: /status: (\w+)/.exec(text)?.[1] ?? "none", records: records.toSorted() };
}
