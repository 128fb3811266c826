/*
 * Asks a running nodens, at its admin address, what it would do with a lookup.
 */
import * as z from "zod";
import type { Foresight, RouteTaken } from "../resolve/step.ts";
import { forEachInferringRule, inferringRules } from "../search/rules.ts";
import { askAdmin, describeSilence } from "../runtime/ask-admin.ts";
import { formatServerAddress, type ServerAddress, type UnixSocketPath } from "../runtime/server-address.ts";
import { askedTypes, clientLibraries } from "./lookup-plan.ts";
import type { Explanation } from "./explain-lookup.ts";

/** What came of asking. `failure` is a message for people; `isRefused` means that a nodens understood the request and found it wrong. */
export type AskedExplanation =
  | { readonly explanation: Explanation }
  | { readonly failure: string; readonly isRefused: boolean };

/** Larger than any explanation: 33 names of 253 characters, twice. */
const maxReplySizeBytes = 1024 * 1024;

/** Made where it is needed: what serves has this module, and never asks. */
function explanationSchema() {
  // Printable ASCII only: names come from another process and go to a terminal.
  const text = z.string().regex(/^[ -~]*$/);
  const seconds = z.number();
  const transports: { readonly [T in RouteTaken["transport"]]: T } = { udp: "udp", tcp: "tcp" };
  const way = { route: text, transport: z.enum(transports) };

  const staleVerdict = z.enum(["data", "noData", "denied"]);

  const foresight = z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("refused") }),
    z.object({ kind: z.literal("cached"), verdict: z.enum(["data", "noData", "denied"]), ttlSeconds: seconds }),
    z.object({ kind: z.literal("ownHost"), hasData: z.boolean() }),
    z.object({ kind: z.literal("denied"), rule: z.enum(inferringRules), ttlSeconds: seconds }),
    z.object({ kind: z.literal("outsideName"), outside: text, isCached: z.boolean() }),
    z.object({ kind: z.literal("looping"), stale: staleVerdict.optional() }),
    z.object({ kind: z.literal("failed"), stale: staleVerdict.optional() }),
    z.object({ kind: z.literal("awayUpstream"), stale: staleVerdict, again: z.boolean() }),
    z.object({ kind: z.literal("shared") }),
    z.object({ kind: z.literal("waits"), forType: z.enum(askedTypes) }),
    z.object({ kind: z.literal("asksParent"), parent: text, isOnItsWay: z.boolean(), ...way }),
    z.object({ kind: z.literal("forwarded"), ...way }),
    z.object({ kind: z.literal("shed"), stale: staleVerdict.optional() }),
  ]) satisfies z.ZodType<Foresight>;

  return z.object({
    name: text,
    search: z.array(text),
    ndots: z.number(),
    clusterDomain: text,
    source: z.literal("running"),
    rules: z.object(forEachInferringRule(() => z.boolean())),
    steps: z.array(
      z.object({
        name: text,
        suffix: text,
        askedBy: z.array(z.enum(clientLibraries)),
        queries: z.array(z.object({ type: z.enum(askedTypes), now: foresight })),
      }),
    ),
    likelyStep: z.number(),
  }) satisfies z.ZodType<Explanation>;
}

/**
 * Asks the admin server at `place`, for `timeoutMs` at most. Never rejects: a reply that is not an explanation is a failure too. The
 * failure does not begin with the program's name.
 */
export async function askExplanation(
  place: ServerAddress | UnixSocketPath,
  parameters: URLSearchParams,
  timeoutMs: number,
): Promise<AskedExplanation> {
  const where = "path" in place ? place.path : formatServerAddress(place);
  try {
    const { status, body } = await askAdmin(place, `/explain?${parameters.toString()}`, timeoutMs, maxReplySizeBytes);
    if (status === 400 || status === 403)
      return { failure: `nodens at ${where} says: ${firstLine(body)}`, isRefused: true };
    if (status !== 200) return fail(`${where} answered ${status} to /explain: is it the admin address of a nodens?`);
    const explanation = explanationSchema().safeParse(JSON.parse(body));
    return explanation.success
      ? { explanation: explanation.data }
      : fail(`${where} answered /explain with something that this version does not understand`);
  } catch (error) {
    if (error instanceof SyntaxError) return fail(`${where} answered /explain, but not as nodens does`);
    return fail(`nothing at ${where} answers /explain: ${describeSilence(error, timeoutMs)}`);
  }
}

function fail(failure: string): AskedExplanation {
  return { failure, isRefused: false };
}

function firstLine(body: string): string {
  return (body.split("\n", 1)[0] ?? "").slice(0, 200).replaceAll(/[^ -~]/g, "?");
}
