/*
 * Which labels are public top-level domains: a name whose last label before a search suffix is one was meant for the outside. Only
 * a hint: whoever is wrong here costs one more query, never a wrong answer.
 */
import list from "tlds" with { type: "json" };

const domains = new Set(list.map(inAscii));

/** Whether a label (in lower case) is a top-level domain of the public DNS, by the list of the package `tlds`. */
export function isTopLevelDomain(label: string): boolean {
  return domains.has(label);
}

/** The list has domains in their own scripts; queries have the form with "xn--" (RFC 5891 §4.4). */
function inAscii(domain: string): string {
  return new URL(`http://${domain}`).hostname;
}
