/* Connection tracking entries of a bed's node that are questions of pods to the Service: what kube-dns was asked, past nodens. */
import { bedAddress, type NodeBed } from "./node-bed.ts";

/** The entries, as conntrack prints them, of both families. */
export async function straightFlows({ node, pods }: NodeBed): Promise<string[]> {
  const lists = await Promise.all(["ipv4", "ipv6"].map((family) => node.run("conntrack", ["-L", "-f", family])));
  const questions = pods.flatMap(({ address, address6 }) => [
    `src=${address} dst=${bedAddress.service} `,
    `src=${address6} dst=${bedAddress.service6} `,
  ]);
  return lists
    .flatMap(({ stdout }) => stdout.split("\n"))
    .filter((line) => questions.some((question) => line.includes(question)));
}
