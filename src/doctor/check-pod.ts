/*
 * One lookup from a pod's own network namespace: what the pod's packets go through, and nothing else does.
 */
import type { Finding } from "./finding.ts";
import type { NodeView } from "./node-view.ts";

/** What a lookup from a pod needs: the process whose network namespace it is, and how this program is run again. */
export interface PodCheck {
  readonly pid: string;
  /** Who is asked if the pod's own resolv.conf cannot be read. */
  readonly server: string | undefined;
  readonly name: string;
  /** The command line of this program: the interpreter and what it runs. */
  readonly self: readonly string[];
}

/** Looks up a name there. */
export async function checkPod({ run, readFile }: NodeView, asked: PodCheck): Promise<Finding> {
  const check = "from-pod";
  const { pid, name, self } = asked;
  const resolvConf = readFile(`/proc/${pid}/root/etc/resolv.conf`) ?? "";
  const server = /^nameserver\s+(\S+)/m.exec(resolvConf)?.[1] ?? asked.server;
  if (server === undefined)
    return {
      check,
      state: "unknown",
      found: `neither kube-dns nor /etc/resolv.conf of process ${pid} is known: give --server`,
    };
  const query = [...self, "query", name, "A", "--server", server, "--short"];
  const { code, stderr, stdout } = await run("nsenter", [`--net=/proc/${pid}/ns/net`, "--", ...query]);
  if (code === 0) {
    const [address = ""] = stdout.trim().split("\n");
    const said = address === "" ? `it has no address of ${name}: give a name that exists with --name` : address;
    return { check, state: "ok", found: `${server} answers in the network namespace of process ${pid}: ${said}` };
  }
  if (code === 69) {
    return {
      check,
      state: "bad",
      found: `${server} does not answer in the network namespace of process ${pid}: ${stderr.split("\n")[0] ?? ""}`,
      why: "this pod has no DNS, whatever the node has: a policy, or the path of its packets",
      cure: [`nsenter --net=/proc/${pid}/ns/net -- nodens query ${name} --server ${server}`],
      link: "runbook.md#nodenspodswait",
    };
  }
  return {
    check,
    state: "unknown",
    found: `cannot enter the network namespace of process ${pid}: ${stderr.split("\n")[0] ?? `nsenter ended with ${code ?? "a signal"}`}`,
  };
}
