/*
 * `nodens cache show` and `nodens cache flush`: what a running nodens has of a name, and that it forget it.
 */
import { type AgainstFlag, type PageOptions, printAdminPage } from "./admin-page.ts";

/** The flags of `cache show`, as the command line has them. */
export interface CacheShowFlags extends AgainstFlag {
  readonly json?: boolean | undefined;
}

/** The flags of `cache flush`, as the command line has them. */
export interface CacheFlushFlags extends CacheShowFlags {
  readonly below?: boolean | undefined;
}

/** Prints what is kept of a name, of all types unless one is given. */
export function cacheShow(
  name: string,
  type: string | undefined,
  { json, against }: CacheShowFlags,
  options: PageOptions,
): Promise<number> {
  const parameters = new URLSearchParams({ name, ...(type === undefined ? {} : { type }) });
  if (json === true) parameters.set("json", "");
  return printAdminPage({ against }, `/cache?${parameters.toString()}`, options);
}

/** Has it forgotten, and with `below` all names below it too. */
export function cacheFlush(
  name: string,
  { json, below, against }: CacheFlushFlags,
  options: PageOptions,
): Promise<number> {
  const parameters = new URLSearchParams({ name });
  if (below === true) parameters.set("below", "");
  if (json === true) parameters.set("json", "");
  return printAdminPage({ against }, `/cache/flush?${parameters.toString()}`, options, "POST");
}
