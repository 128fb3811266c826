/* Zones as settings take and hold them. */

/** What `isZone` asks for, in words. */
export const zoneInWords =
  "a domain name: labels of 1 to 63 letters, digits, `-` or `_`, together at most 253 characters, not the root";

/** Whether settings take the text for a zone: any case, with or without the last dot, not the root. */
export function isZone(text: string): boolean {
  const name = normaliseZone(text);
  return name.length <= 253 && name.split(".").every((label) => /^[a-z0-9_-]{1,63}$/.test(label));
}

/** A zone as the program has it: in lower case, without the last dot. */
export function normaliseZone(text: string): string {
  return text.toLowerCase().replace(/\.$/, "");
}
