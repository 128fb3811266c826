/*
 * What a hot benchmark is. Each file beside this one that has `cases` is one: the only place that knows how to call the function it
 * measures, so that it changes together with it. A revision is measured by the files that it has itself.
 */
import type { HotInputs } from "./inputs.ts";

/**
 * One call of what is measured, for the input with this number (0 or more, counted up). Returns something that depends on the
 * work, so that the engine cannot leave it out.
 */
export type HotCall = (turn: number) => unknown;

/** The cases of a benchmark, by name. Made once, before anything is measured; each throws when its call does not do the work. */
export type HotCases = (inputs: HotInputs) => Record<string, HotCall> | Promise<Record<string, HotCall>>;
