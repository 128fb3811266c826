/*
 * Who else serves DNS on this node, and whose rules touch its packets.
 */
import { type DnsListener, dnsListeners, isEveryAddress, isListenedOn } from "./dns-listeners.ts";
import type { Finding } from "./finding.ts";
import type { NodeView } from "./node-view.ts";
import { isNodeNamespace, noNodeNamespace } from "./node-namespace.ts";
import type { NodeRules } from "./read-rules.ts";

/** Where NodeLocal DNSCache answers: its own choice, and Kubespray's. */
export const nodeLocalAddresses = ["169.254.20.10", "169.254.25.10"] as const;
const nodeLocalInterface = "nodelocaldns";

/** Looks for other caches and their rules. `isRunning`: a nodens runs on this node. */
export function checkOthers(rules: NodeRules, node: NodeView, isRunning: boolean): Finding[] {
  const listeners = dnsListeners(node);
  if (listeners === undefined) {
    const unread = { check: "other-caches", state: "unknown", found: "/proc/net/udp cannot be read" } as const;
    return [unread, checkOtherRules(rules, node)];
  }
  // A socket whose program cannot be seen may be that of the nodens that runs.
  const others = listeners.filter(({ program }) => program !== "nodens" && !(isRunning && program === ""));
  return [
    ...checkNodeLocal(rules, node, listeners, others, isRunning),
    checkCaches(node, others),
    checkOtherRules(rules, node),
  ];
}

/** NodeLocal DNSCache leaves its rules and its interface when it is killed: then pods ask an address where nobody listens. */
function checkNodeLocal(
  { untracked, isIptablesRead }: NodeRules,
  { interfaces }: NodeView,
  listeners: readonly DnsListener[],
  others: readonly DnsListener[],
  isRunning: boolean,
): Finding[] {
  const check = "node-local-dns";
  const hasInterface = interfaces.includes(nodeLocalInterface);
  const signs = [
    ...(hasInterface ? [`the interface ${nodeLocalInterface}`] : []),
    ...(untracked.length > 0 ? [`NOTRACK rules for ${untracked.join(", ")}`] : []),
  ];
  const addresses = [...new Set([...untracked, ...nodeLocalAddresses])].filter((address) =>
    others.some((listener) => listener.address === address),
  );
  if (signs.length === 0 && addresses.length === 0) return [];
  const found = `NodeLocal DNSCache: ${[...signs, ...addresses.map((address) => `it answers on ${address}`)].join(", ")}`;
  const deserted = untracked.filter((address) => !isListenedOn(address, listeners));
  const isInterfaceDeserted = hasInterface && isIptablesRead && untracked.length === 0 && !listeners.some(isNodeLocal);
  if (deserted.length > 0 || isInterfaceDeserted) {
    return [
      {
        check,
        state: "bad",
        found: `${found}; nobody listens on port 53 of ${deserted.join(", ") || nodeLocalAddresses[0]}`,
        why: "it was killed or deleted, and its rules stayed: pods that ask there get no answer at all",
        cure: [
          `ip link delete ${nodeLocalInterface}`,
          "iptables-save -t raw | grep NOTRACK    # delete those for these addresses, or start it again",
        ],
        link: "migrate.md#switch",
      },
    ];
  }
  if (isRunning && addresses.length > 0) {
    return [
      {
        check,
        state: "warn",
        found: `${found}; a nodens runs beside it`,
        why: "pods whose nameserver is that address ask NodeLocal DNSCache, not nodens",
        cure: ["delete its DaemonSet once nodens answers in its place"],
        link: "migrate.md#switch",
      },
    ];
  }
  return [{ check, state: "ok", found }];
}

function isNodeLocal({ address }: DnsListener): boolean {
  return isEveryAddress(address) || nodeLocalAddresses.some((known) => known === address);
}

function checkCaches({ readFile }: NodeView, others: readonly DnsListener[]): Finding {
  const check = "other-caches";
  const told = [
    ...others.map(({ address, program }) => `${program || programAt(address)} on ${address}`),
    ...(["/run/nscd/nscd.pid", "/var/run/nscd/nscd.pid"].some((path) => readFile(path) !== undefined) ? ["nscd"] : []),
  ];
  if (told.length === 0) return { check, state: "ok", found: "nobody else listens on port 53 of this node" };
  const greedy = others.filter(({ address }) => isEveryAddress(address));
  const found = `also here: ${told.join(", ")}`;
  if (greedy.length === 0) return { check, state: "ok", found };
  return {
    check,
    state: "warn",
    found,
    why: "a program that has port 53 of every address leaves none to nodens: only attach.mode intercept, on port 10053, fits beside it",
    cure: ["have it listen on the addresses that it serves (dnsmasq: bind-interfaces, listen-address)"],
    link: "install.md#choose-a-mode",
  };
}

/** Whose address it usually is. */
function programAt(address: string): string {
  if (address === "127.0.0.53" || address === "127.0.0.54") return "systemd-resolved";
  return nodeLocalAddresses.some((known) => known === address) ? "NodeLocal DNSCache" : "a program";
}

/** Rules for port 53 that neither kube-proxy nor nodens has made. */
function checkOtherRules(rules: NodeRules, node: NodeView): Finding {
  const check = "other-rules";
  if (!rules.isIptablesRead && !rules.isNftRead)
    return { check, state: "unknown", found: "rules cannot be read: NET_ADMIN is missing, or iptables-save and nft" };
  if (!isNodeNamespace(rules, node)) return { check, state: "unknown", found: noNodeNamespace };
  const { others } = rules;
  const inTheWay = others.filter(({ does }) => does !== "passes");
  const [first] = inTheWay;
  if (first === undefined) {
    const places = [...new Set(others.map(({ place }) => place))];
    const found = places.length === 0 ? "no rules of others for port 53" : `also for port 53: ${places.join(", ")}`;
    return { check, state: "ok", found };
  }
  return {
    check,
    state: "warn",
    found: `${inTheWay.map(({ place, does }) => `${place} ${does} packets for port 53`).join("; ")}: ${first.text}`,
    why: "what others redirect or drop reaches neither kube-dns nor nodens",
    cure: ["nft list ruleset; iptables-save: whose rule it is, and whether it is meant"],
    link: "install.md#firewalls-and-network-policies",
  };
}
