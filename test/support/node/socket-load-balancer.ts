/*
 * A data plane that translates Services where sockets connect and send, by eBPF programs of a cgroup, as Cilium does (source:
 * test/fixtures/clients/socket-load-balancer.c): no packet of the cgroup's programs ever has the Service's address.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "../servers/scripted-upstream.ts";
import { createControlGroup } from "./control-groups.ts";
import { patienceMs } from "./node-bed.ts";

/** Such a data plane. */
export interface SocketLoadBalancer {
  /** The command that runs a program in the cgroup: it comes before the program's own. */
  readonly inCgroup: readonly string[];
  /** Ends the programs, and removes the cgroup: call it when nothing runs there any more. */
  remove(): Promise<void>;
}

/** Starts the compiled program at the path `program`, with a cgroup of its own. */
export async function startSocketLoadBalancer(
  program: string,
  service: string,
  endpoint: string,
): Promise<SocketLoadBalancer> {
  const group = createControlGroup();
  const child = spawn(program, [group.folder, service, endpoint], { stdio: "pipe" });
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  child.stderr.on("data", (text) => (output += String(text)));
  const ended = once(child, "exit");

  async function remove(): Promise<void> {
    child.kill("SIGKILL");
    await ended;
    group.remove();
  }

  try {
    const isAttached = () => {
      if (child.exitCode !== null) throw new Error(`the load balancer ended with ${child.exitCode}: ${output}`);
      return output.includes("attached");
    };
    await until("the load balancer is attached", isAttached, patienceMs);
  } catch (error) {
    await remove();
    throw error;
  }
  return { inCgroup: ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group.folder], remove };
}
