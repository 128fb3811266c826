/*
 * Stand-ins in a Corefile for what only the cluster knows: the placeholders of NodeLocal DNSCache's manifests, and environment
 * variables. Both become something that a settings file can hold.
 */
import type { Directive, ServerBlock } from "./corefile.ts";

/** Stands for the address of the kube-dns Service where the file does not name it: a variable that the manifests of nodens set. */
export const kubeDnsVariable = "${KUBE_DNS_IP}";

/** At its start, NodeLocal DNSCache puts the servers of the node in its place, or those of kube-dns's `upstreamNameservers`. */
export const nodeServersPlaceholder = "__PILLAR__UPSTREAM__SERVERS__";

const serviceNames = ["__PILLAR__DNS__SERVER__", "__PILLAR__CLUSTER__DNS__"];
const ownNames = { __PILLAR__DNS__DOMAIN__: "cluster.local", __PILLAR__LOCAL__DNS__: "169.254.20.10" };

/**
 * The blocks with their placeholders filled in. `serviceAddress` is the address of the kube-dns Service. NodeLocal DNSCache has two
 * Services; nodens asks the first itself, and needs no second.
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

/** Whether a word is a variable, with or without a port, that nodens expands when it reads its settings. */
export function isVariable(text: string): boolean {
  return /^\$\{\w+\}(?::\d+)?$/.test(text);
}
