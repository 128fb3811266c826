/*
 * What commands use of the program that serves. A process that begins with the snapshot has it, with the libraries it needs, so commands are handed it
 * instead of loading it once more: they run within the server's memory limit.
 */
import { mutableLimitsOf } from "../app/parts-of-settings.ts";
import { watchWire } from "../app/watch-wire.ts";
import { readSeen } from "../doctor/read-seen.ts";
import { askExplanation } from "../explain/ask-explanation.ts";
import { explainByRules } from "../explain/explain-by-rules.ts";
import type { Explanation } from "../explain/explain-lookup.ts";
import type { ExplainRequest } from "../explain/explain-request.ts";
import { defaultSettings } from "../settings/settings-table.ts";

/** By what each is called where it is handed in. */
export const alreadyLoaded = {
  askExplanation,
  readSeen,
  watchWire,
  /** Explains with the limits that settings have by default. */
  explainByRules: (request: ExplainRequest, clusterDomain: string): Promise<Explanation> =>
    explainByRules(request, clusterDomain, mutableLimitsOf(defaultSettings())),
} as const;
