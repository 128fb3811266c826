/*
 * The YAML form of a cluster zone: what it may contain, and what is wrong with a file that contains anything else.
 */
import { readFileSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";
import { isNode, LineCounter, parseDocument } from "yaml";
import { z } from "zod";

const label = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be one lower-case DNS label");
const hostName = z
  .string()
  .max(253)
  .regex(/^[-_a-z0-9]{1,63}(\.[-_a-z0-9]{1,63})*$/, "must be a lower-case DNS name without a final dot")
  .refine((text) => !isIPv4(text), "must be a name, not an address");
const ipv4 = z.string().refine(isIPv4, "must be an IPv4 address");
const ipv6 = z.string().refine(isUnscopedIPv6, "must be an IPv6 address");
const ip = z.string().refine((text) => isIPv4(text) || isUnscopedIPv6(text), "must be an IP address");
const ttlSeconds = z.int().min(0).max(86_400);

const service = z
  .strictObject({
    clusterIPs: z.array(ip).min(1).optional(),
    externalName: hostName.optional(),
    ports: z
      .array(
        z.strictObject({
          name: label,
          port: z.int().min(1).max(65_535),
          protocol: z.enum(["TCP", "UDP", "SCTP"]).default("TCP"),
        }),
      )
      .default([]),
    endpoints: z
      .array(z.strictObject({ ip, hostname: label.optional(), ready: z.boolean().default(true) }))
      .default([]),
  })
  .refine((value) => value.clusterIPs === undefined || value.externalName === undefined, {
    error: "a Service has clusterIPs or an externalName, or neither (headless), but not both",
  });

const namespace = z.strictObject({ pods: z.array(ip).default([]), services: z.record(label, service).default({}) });

const outsideRecords = z.strictObject({
  A: z.array(ipv4).default([]),
  AAAA: z.array(ipv6).default([]),
  CNAME: hostName.optional(),
  MX: z.array(z.strictObject({ preference: z.int().min(0).max(65_535), exchange: hostName })).default([]),
  TXT: z.array(z.string().max(255)).default([]),
});

const outside = z.strictObject({
  ttl: ttlSeconds.default(300),
  names: z.record(hostName, outsideRecords).default({}),
});

const zone = z.strictObject({
  zone: hostName,
  ttl: ttlSeconds.default(30),
  pods: z.enum(["insecure", "verified", "disabled"]).default("insecure"),
  namespaces: z.record(label, namespace).default({}),
  outside: outside.default({ ttl: 300, names: {} }),
});

/** A Service as written in the zone file. Without clusterIPs and externalName it is headless. */
export type ServiceDefinition = z.input<typeof service>;
/** A zone as written in the zone file. What has a default may be left out. */
export type ZoneDefinition = z.input<typeof zone>;
/** A Service with every default filled in. */
export type CheckedService = z.output<typeof service>;
/** A zone with every default filled in. */
export type CheckedZone = z.output<typeof zone>;
/** The small table of names outside the cluster, with every default filled in. */
export type OutsideTable = CheckedZone["outside"];

/** All that is wrong with a zone file: a sentence for each problem, with its line and column. */
export interface ZoneFault {
  readonly problems: readonly string[];
}

/** The example zone that comes with nodens. */
const exampleZoneFile = new URL("./zone.yaml", import.meta.url);

/** Fills in the defaults of a zone that is made in code. Throws an Error that names every wrong value. */
export function checkZone(definition: ZoneDefinition): CheckedZone {
  return valueOrThrow(zone.safeParse(definition), "cluster zone");
}

/** Fills in the defaults of a Service that is made in code. Throws an Error that names every wrong value. */
export function checkService(definition: ServiceDefinition): CheckedService {
  return valueOrThrow(service.safeParse(definition), "Service");
}

/** Returns the name of a namespace or Service as it is. Throws an Error if it is not one lower-case DNS label. */
export function checkLabel(name: string): string {
  return valueOrThrow(label.safeParse(name), `the name "${name}"`);
}

/** Reads a zone from YAML text. Returns what is wrong with it instead of throwing; `fileName` only appears in the problems. */
export function parseZone(text: string, fileName: string): CheckedZone | ZoneFault {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => `${fileName}:${lines.linePos(offset).line}:${lines.linePos(offset).col}`;
  if (document.errors.length > 0) {
    return { problems: document.errors.map((error) => `${place(error.pos[0])}: ${error.message}`) };
  }
  const result = zone.safeParse(document.toJS());
  if (result.success) return result.data;
  return {
    problems: result.error.issues.map(
      (issue) => `${place(offsetOf(document, issue.path))}: ${describeIssue(issue, "cluster zone")}`,
    ),
  };
}

/** Reads a zone file, by default the example zone. Throws an Error that names the file and everything that is wrong with it. */
export function readZoneFile(file: string | URL = exampleZoneFile): CheckedZone {
  const fileName = file instanceof URL ? file.pathname : file;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(`cannot read the zone file ${fileName}`, { cause });
  }
  const parsed = parseZone(text, fileName);
  if ("problems" in parsed) throw new Error(parsed.problems.join("\n"));
  return parsed;
}

/** Where the value at `path` is in the text; for a missing value, where the closest thing around it is. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range !== undefined && node.range !== null) return node.range[0];
  }
  return 0;
}

function valueOrThrow<Value>(result: z.ZodSafeParseResult<Value>, what: string): Value {
  if (result.success) return result.data;
  throw new Error(result.error.issues.map((issue) => describeIssue(issue, what)).join("\n"));
}

function describeIssue(issue: z.core.$ZodIssue, what: string): string {
  return `${issue.path.length === 0 ? what : issue.path.join(".")}: ${issue.message}`;
}

function isUnscopedIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes("%");
}
