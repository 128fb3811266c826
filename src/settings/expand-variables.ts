/* ${NAME} in the settings file: replaced by the environment's value before anything is checked. */

/** The environment variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The text with its variables replaced, or why that is not possible (completes "the value …"). */
export type Expansion = { readonly text: string } | { readonly wrong: string };

//                $${ (an escape)  or  ${NAME}  or  ${NAME:-default}  or  ${ followed by something else
const reference = /\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`; the default counts where the variable is unset or empty, as in a shell. `$${` stands
 * for `${`. Values are not expanded again. An unset variable without a default, and a malformed reference, are faults.
 */
export function expandVariables(text: string, environment: Environment): Expansion {
  const faults: string[] = [];
  const expanded = text.replaceAll(reference, (whole: string, name?: string, fallback?: string) => {
    if (whole === "$${") return "${";
    if (name === undefined) {
      faults.push('has an incomplete variable: "${" needs a name and "}"');
      return "";
    }
    const value = environment[name];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined) faults.push(`needs the environment variable ${name}, which is not set`);
    return value ?? "";
  });
  return faults.length === 0 ? { text: expanded } : { wrong: faults.join(" and ") };
}
