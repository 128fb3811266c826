/*
 * Which labels are public top-level domains: a name whose last label before a search suffix is one was meant as an outside name. This
 * is only a hint: an error here costs one more query, never a wrong answer.
 */
import list from "tlds" with { type: "json" };

const domains = new Set(list.map(inAscii));

/** Whether a label (in lower case, "xn--" form) is a top-level domain of the public DNS, according to the package `tlds`. */
export function isTopLevelDomain(label: string): boolean {
  return domains.has(label);
}

/** The list has domains in their own scripts; queries have them in "xn--" form (RFC 5891 §4.4). */
function inAscii(domain: string): string {
  return new URL(`http://${domain}`).hostname;
}
