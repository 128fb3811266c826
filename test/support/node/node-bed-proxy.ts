/*
 * kube-proxy's rules for one Service, as its two modes write them: questions to the Service's address get one of two endpoints at
 * random and, as with `masqueradeAll`, the node's address as their source.
 */
interface Endpoint {
  readonly address: string;
  readonly address6: string;
}

/** The modes of kube-proxy that a node in namespaces can have. */
export type ProxyStyle = "iptables" | "nftables";

/** The program that loads the rules, its arguments, and the text for its standard input. */
export function proxyRules(
  style: ProxyStyle,
  endpoints: readonly Endpoint[],
  { service, service6 }: { readonly service: string; readonly service6: string },
): { program: string; args: string[]; text: string } {
  const [first, second] = endpoints;
  if (first === undefined || second === undefined) throw new Error("a Service of the bed has two endpoints");
  if (style === "nftables") {
    return { program: "nft", args: ["-f", "-"], text: nftablesRules(first, second, service, service6) };
  }
  // Both families in one call: each restore program reads its own part.
  const script = `iptables-restore <<'RULES' && ip6tables-restore <<'RULES6'\n${iptablesRules(`${service}/32`, first.address, second.address)}\nRULES\n${iptablesRules(`${service6}/128`, `[${first.address6}]`, `[${second.address6}]`)}\nRULES6\n`;
  return { program: "sh", args: ["-e"], text: script };
}

function iptablesRules(service: string, first: string, second: string): string {
  const perTransport = (["udp", "tcp"] as const).map((transport) => {
    const [svc, ep1, ep2] = [`KUBE-SVC-${transport}`, `KUBE-SEP-${transport}1`, `KUBE-SEP-${transport}2`];
    const endpoint = (chain: string, address: string) =>
      `-A ${chain} -p ${transport} -m ${transport} -j DNAT --to-destination ${address}:53`;
    return {
      chains: [svc, ep1, ep2].map((chain) => `:${chain} - [0:0]`),
      rules: [
        `-A KUBE-SERVICES -d ${service} -p ${transport} -m ${transport} --dport 53 -j ${svc}`,
        `-A ${svc} -j KUBE-MARK-MASQ`,
        `-A ${svc} -m statistic --mode random --probability 0.5 -j ${ep1}`,
        `-A ${svc} -j ${ep2}`,
        endpoint(ep1, first),
        endpoint(ep2, second),
      ],
    };
  });
  return [
    "*nat",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-MARK-MASQ - [0:0]",
    ":KUBE-POSTROUTING - [0:0]",
    ...perTransport.flatMap(({ chains }) => chains),
    "-A PREROUTING -j KUBE-SERVICES",
    "-A OUTPUT -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ...perTransport.flatMap(({ rules }) => rules),
    "COMMIT",
  ].join("\n");
}

function nftablesRules(first: Endpoint, second: Endpoint, service: string, service6: string): string {
  // Added first, because a table that is not there cannot be deleted: so the rules can be loaded again.
  const family = (name: "ip" | "ip6", vip: string, one: string, other: string) => `
add table ${name} kube-proxy
delete table ${name} kube-proxy
table ${name} kube-proxy {
  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
  chain masquerading {
    meta mark and 0x4000 == 0 return
    meta mark set meta mark xor 0x4000
    masquerade fully-random
  }
  chain endpoint-1 { meta l4proto { tcp, udp } dnat to ${one}:53; }
  chain endpoint-2 { meta l4proto { tcp, udp } dnat to ${other}:53; }
  chain service-dns {
    jump mark-for-masquerade
    numgen random mod 2 vmap { 0 : goto endpoint-1, 1 : goto endpoint-2 }
  }
  map service-ips {
    type ${name === "ip" ? "ipv4_addr" : "ipv6_addr"} . inet_proto . inet_service : verdict
    elements = { ${vip} . udp . 53 : goto service-dns, ${vip} . tcp . 53 : goto service-dns }
  }
  chain services { ${name} daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept; jump masquerading; }
}`;
  return `${family("ip", service, first.address, second.address)}${family("ip6", service6, `[${first.address6}]`, `[${second.address6}]`)}\n`;
}
