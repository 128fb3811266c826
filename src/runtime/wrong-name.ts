/*
 * What to say of a text that somebody wrote for a domain name, and that is none.
 */
import { domainToASCII } from "node:url";

/** Says why it cannot be asked for, and for a name in other letters, which name can. For people: a line without line ending. */
export function wrongNameText(text: string): string {
  const ascii = /[^ -~]/.test(text) ? domainToASCII(text) : "";
  if (ascii !== "") return `'${text}' is not ASCII: ask for ${ascii}`;
  return `'${text}' is not a domain name: labels have 1 to 63 octets, the whole at most 255, spaces are written \\032`;
}
