/*
 * The rules of NodeLocal DNSCache on its node.
 */

/** For iptables-restore: adds or deletes the rules by which packets from and to its addresses are not tracked, and so not translated. */
export function nodeLocalRules(action: "-A" | "-D", addresses: readonly string[]): string {
  const rules = addresses.flatMap((address) =>
    ["udp", "tcp"].flatMap((protocol) => [
      `${action} PREROUTING -d ${address}/32 -p ${protocol} -m ${protocol} --dport 53 -j NOTRACK`,
      `${action} OUTPUT -s ${address}/32 -p ${protocol} -m ${protocol} --sport 53 -j NOTRACK`,
      `${action} OUTPUT -d ${address}/32 -p ${protocol} -m ${protocol} --dport 53 -j NOTRACK`,
    ]),
  );
  return `*raw\n${rules.join("\n")}\nCOMMIT\n`;
}
