/*
 * Names as people write them (RFC 1035 §5.1): for settings, logs and command lines, never on the path of a query.
 */
import { foldOctet, maxNameSizeBytes } from "./name.ts";

/**
 * Reads a name in presentation form ("kubernetes.default", "a\.b.c", "\032x", with or without the final dot) into folded
 * wire form, a new array. Undefined for empty text, an empty label, a label over 63 octets, an escape over 255, or a name over 255.
 */
export function nameFromText(text: string): Uint8Array | undefined {
  if (text === "." || text === "") return text === "." ? Uint8Array.of(0) : undefined;
  const octets: number[] = [];
  const labels = splitLabels(text);
  if (labels === undefined) return undefined;
  if (labels.length > 1 && labels.at(-1)?.length === 0) labels.pop();
  for (const label of labels) {
    if (label.length === 0 || label.length > 63) return undefined;
    octets.push(label.length, ...label);
  }
  octets.push(0);
  return octets.length > maxNameSizeBytes ? undefined : Uint8Array.from(octets);
}

/** The presentation form of a name in wire form, without the final dot ("." for the root). Dots and unprintable octets are escaped. */
export function nameToText(name: Uint8Array): string {
  const labels: string[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += 1 + (name[at] as number)) {
    labels.push(Array.from(name.subarray(at + 1, at + 1 + (name[at] as number)), octetToText).join(""));
  }
  return labels.length === 0 ? "." : labels.join(".");
}

function splitLabels(text: string): number[][] | undefined {
  const labels: number[][] = [[]];
  for (const match of text.matchAll(/\\(\d{3})|\\?([^])/gu)) {
    const [whole, decimal, character = ""] = match;
    if (whole === ".") labels.push([]);
    else if (decimal !== undefined) {
      if (Number(decimal) > 255) return undefined;
      labels.at(-1)?.push(foldOctet(Number(decimal)));
    } else labels.at(-1)?.push(...new TextEncoder().encode(character).map(foldOctet));
  }
  return labels;
}

function octetToText(octet: number): string {
  if (octet === 0x2e || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
  if (octet > 0x20 && octet < 0x7f) return String.fromCharCode(octet);
  return `\\${String(octet).padStart(3, "0")}`;
}

/** Like nameFromText, for text that has been checked already. Throws an Error for any other: that is a bug in nodens. */
export function wireName(text: string): Uint8Array {
  const name = nameFromText(text);
  if (name === undefined) throw new Error(`a bug in nodens: "${text}" is not a domain name`);
  return name;
}

/**
 * Whether a text is one label as host names have them (RFC 1123 §2.1): 1 to 63 letters, digits and dashes, with no dash at either end. Kubernetes
 * has no other namespaces. In any case of letters.
 */
export function isHostLabel(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i.test(text);
}
