/*
 * A hit from the packet to the reply, as it is in life: seen by the onlooker. What that costs is the difference from answer-unseen, which runs in a
 * process of its own, so that neither is compiled for both.
 */
import { createAnswerer } from "./create-answerer.ts";
import { createBenchSeen } from "./see-query.ts";
import type { HotCases } from "./hot-bench.ts";

/** Answered and seen. */
export const cases: HotCases = async (inputs) => ({ "a hit": await createAnswerer(inputs, createBenchSeen()) });
