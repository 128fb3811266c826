/* ${NAME} in the settings file: replaced by the environment's value before anything is checked. */
import { isIPv6 } from "node:net";

/** The environment variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The text with its variables replaced, or why that is not possible (completes "the value …"). */
export type Expansion = { readonly text: string } | { readonly wrong: string };

//                $${ (an escape)  or  ${NAME}  or  ${NAME:-default}  or  ${ followed by something else
const reference = /\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`; the default counts where the variable is unset or empty, as in a shell. `$${` stands
 * for `${`. Values are not expanded again. An unset variable without a default, and a malformed reference, are faults. An IPv6
 * address before a colon, as in `${HOST_IP}:53`, gets the brackets that it needs, so that one file serves nodes of both families.
 */
export function expandVariables(text: string, environment: Environment): Expansion {
  const faults: string[] = [];
  const expand = (whole: string, name: string | undefined, fallback: string | undefined, offset: number): string => {
    if (whole === "$${") return "${";
    if (name === undefined) {
      faults.push('has an incomplete variable: "${" needs a name and "}"');
      return "";
    }
    const value = environment[name] === "" ? (fallback ?? "") : (environment[name] ?? fallback);
    if (value === undefined) faults.push(`needs the environment variable ${name}, which is not set`);
    const isBeforePort = offset === 0 && text[whole.length] === ":";
    return isBeforePort && isIPv6(value ?? "") ? `[${value}]` : (value ?? "");
  };
  const expanded = text.replaceAll(reference, expand);
  return faults.length === 0 ? { text: expanded } : { wrong: faults.join(" and ") };
}
