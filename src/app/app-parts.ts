/*
 * What a running nodens is made of, for the files that show, change or stop it.
 */
import type { Attachment } from "../attach/attachment.ts";
import type { AccessList } from "../listen/access-list.ts";
import type { Logger } from "../observe/log.ts";
import type { Chain } from "../resolve/create-chain.ts";
import type { Clock } from "../runtime/clock.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Seen } from "../seen/seen.ts";
import type { Readiness } from "./become-ready.ts";
import type { LiveShadow } from "./live-shadow.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import type { OwnSockets } from "./own-sockets.ts";
import type { Reload } from "./reload.ts";

/** The parts of a running nodens. */
export interface AppParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly lifeCycle: LifeCycle;
  readonly upstream: LiveUpstream;
  readonly chain: Chain;
  readonly sockets: OwnSockets;
  readonly attachment: Attachment;
  readonly reload: Reload;
  /** Whether nodens wants queries, and if not, why. */
  readiness(): Readiness;
  /** Who may see more of the admin server than whether nodens runs; a reload exchanges it. */
  readonly adminAccess: { readonly isAllowed: AccessList };
  /** Removes what tells probes that nodens is ready. */
  endProbes(): void;
  /** Ends the watch over nodens's own sockets. */
  endWatch(): void;
  readonly seen: Seen;
  /** What nodens would answer, where it only watches. */
  readonly shadow: LiveShadow | undefined;
}
