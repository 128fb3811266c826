/*
 * The registered DNS numbers that mean something to nodens, and their mnemonics for logs and metrics.
 */

/** Resource record types (IANA "Resource Record TYPEs"). Any other type is relayed without being interpreted (RFC 3597). */
export const RrType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  SIG: 24,
  AAAA: 28,
  NXT: 30,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  SVCB: 64,
  HTTPS: 65,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

/** Classes (RFC 1035 §3.2.4, RFC 6895 §3.2). */
export const RrClass = { IN: 1, CH: 3, NONE: 254, ANY: 255 } as const;

/** Response codes (RFC 1035 §4.1.1, RFC 6891 §9). BADVERS needs the upper bits in the OPT record. */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
} as const;

/** Extended DNS error codes that nodens itself sends (RFC 8914 §4). `none` is not a registered code: it means that no option is sent. */
export const ExtendedError = {
  none: -1,
  staleAnswer: 3,
  cachedError: 13,
  staleNxdomain: 19,
  noReachableAuthority: 22,
  networkError: 23,
} as const;

const typeNames = new Map<number, string>(Object.entries(RrType).map(([name, code]) => [code, name]));
const rcodeNames = new Map<number, string>(Object.entries(Rcode).map(([name, code]) => [code, name]));
const typeCodes = new Map<string, number>(Object.entries(RrType));

/** The mnemonic of a type, or its number as in "TYPE65280" if it has none (RFC 3597 §5). */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** The number of a type given as a mnemonic in any case or as "TYPE65280". Undefined when there is no such type. */
export function typeFromName(name: string): number | undefined {
  const upper = name.toUpperCase();
  const generic = /^TYPE(\d{1,5})$/.exec(upper);
  if (generic === null) return typeCodes.get(upper);
  const code = Number(generic[1]);
  return code <= 0xffff ? code : undefined;
}

/** The mnemonic of a response code, or its number as in "RCODE11" if it has none. */
export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? `RCODE${rcode}`;
}

/** Whether a type is A or AAAA. */
export function isAddressType(type: number): boolean {
  return type === RrType.A || type === RrType.AAAA;
}

/** AAAA for A, and A for AAAA. */
export function otherAddressType(type: number): number {
  return type === RrType.A ? RrType.AAAA : RrType.A;
}

/**
 * Whether a type is one that programs ask for when they look up a host: the addresses and, beside them, CNAME (Netty), HTTPS and SVCB
 * (browsers; RFC 9460). For these a CoreDNS zone answers NXDOMAIN only where it has no such name at all.
 */
export function isHostType(type: number): boolean {
  return isAddressType(type) || type === RrType.CNAME || type === RrType.HTTPS || type === RrType.SVCB;
}
