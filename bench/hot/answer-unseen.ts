/*
 * A hit from the packet to the reply, without the onlooker: what is left of answer-hit is its share.
 */
import { createAnswerer } from "./create-answerer.ts";
import type { HotCases } from "./hot-bench.ts";

/** Answered and not seen. */
export const cases: HotCases = async (inputs) => ({ "a hit": await createAnswerer(inputs, undefined) });
