/*
 * What stands in a Corefile for something that is known only on the cluster: the placeholders of NodeLocal DNSCache's manifests,
 * and variables of the environment. Both become something that a settings file of nodens can hold.
 */
import type { Directive, ServerBlock } from "./corefile.ts";

/** The kube-dns Service's address, where nothing names it: a variable that our manifests set. */
export const kubeDnsVariable = "${KUBE_DNS_IP}";

/** NodeLocal DNSCache replaces it by the servers of the node, or of kube-dns's `upstreamNameservers`, when it starts. */
export const nodeServersPlaceholder = "__PILLAR__UPSTREAM__SERVERS__";

const serviceNames = ["__PILLAR__DNS__SERVER__", "__PILLAR__CLUSTER__DNS__"];
const ownNames = { __PILLAR__DNS__DOMAIN__: "cluster.local", __PILLAR__LOCAL__DNS__: "169.254.20.10" };

/**
 * The blocks with their placeholders filled in. `serviceAddress` is the address of the kube-dns Service: nodens asks the Service
 * itself, so that there is only one where NodeLocal DNSCache has two.
 */
export function fillPlaceholders(blocks: readonly ServerBlock[], serviceAddress: string): ServerBlock[] {
  const values = [...Object.entries(ownNames), ...serviceNames.map((name): [string, string] => [name, serviceAddress])];
  const fill = (text: string): string =>
    values
      .reduce((filled, [name, value]) => filled.replaceAll(name, () => value), text)
      .replaceAll(/\{\$(\w+)\}|\{%(\w+)%\}/g, (_, unix?: string, windows?: string) => `\${${unix ?? windows}}`);
  const fillDirective = (directive: Directive): Directive => ({
    ...directive,
    arguments: directive.arguments.map(fill),
    block: directive.block.map(fillDirective),
  });
  return blocks.map((block) => ({
    ...block,
    keys: block.keys.map(fill),
    directives: block.directives.map(fillDirective),
  }));
}

/** Whether a word is a variable that nodens puts in itself when it reads its settings. */
export function isVariable(text: string): boolean {
  return /^\$\{\w+\}(?::\d+)?$/.test(text);
}
