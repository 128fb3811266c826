/*
 * The parameters of a request to the admin server.
 */

/** Says what is wrong with the names of parameters: one that is not `known`, or that is there more than once. Undefined if nothing is. */
export function wrongParameter(parameters: URLSearchParams, known: readonly string[]): string | undefined {
  const given = [...parameters.keys()];
  const strange = given.find((name) => !known.includes(name));
  if (strange !== undefined)
    return known.length === 0
      ? `unknown parameter '${strange}'; there are none`
      : `unknown parameter '${strange}'; they are ${known.join(", ")}`;
  const repeated = given.find((name, index) => given.indexOf(name) !== index);
  return repeated === undefined ? undefined : `the parameter ${repeated} was given more than once`;
}
