/*
 * What an attachment is given: the settings `attach.*`, and the means to put things on the node and to ask whether they work.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Netfilter } from "../runtime/netfilter.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { InterceptedSources } from "./intercept-table.ts";
import type { AttachMode } from "./modes.ts";
import type { OpenNftSession } from "./nft-session.ts";
import type { OwnLabels } from "./own-address-table.ts";
import type { RunProgram } from "./run-program.ts";

/** What to put in place (settings: attach), and the means to do so. */
export interface AttachmentOptions {
  readonly mode: AttachMode;
  readonly addresses: readonly string[];
  /** Where nodens listens whatever the mode (settings: listen.addresses). */
  readonly listenAddresses: readonly ServerAddress[];
  readonly virtualAddresses: readonly string[];
  readonly interceptPort: number;
  /** Whether pods' packets are kept out of connection tracking; `auto` where their replies leave all the same. */
  readonly notrack: boolean | "auto";
  /** Whose questions are intercepted, as the settings say now. */
  sources(): InterceptedSources;
  readonly clock: Clock;
  readonly run: RunProgram;
  readonly openSession: OpenNftSession;
  readonly netfilter: Netfilter;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** The first labels of the names that nodens's own questions ask for. */
  readonly ownLabels: OwnLabels;
  /** Whether this node tracks connections at all. */
  isTrackingInUse(): boolean;
  /** Whether this node has the address now. Asked ten times a second, or once where changes are heard. */
  hasAddress(host: string): boolean;
  /** Calls `onChange` when addresses of this node come or go. Returns what ends that; undefined where it cannot be heard. */
  hearAddressChanges(onChange: () => void): (() => void) | undefined;
  /** Whether this node has IPv6. */
  hasIpv6(): boolean;
  /** Opens UDP and TCP on the address, unless it is open already. Rejects with a message for people. */
  listen(address: ServerAddress): Promise<void>;
  /** Whether a question of our own to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /**
   * Whether a question to port 53 of this address was answered that the rules send on to the Service, as if nodens were away; undefined
   * where silence says nothing, because the Service is down.
   */
  answersAway(host: string, service: string): Promise<boolean | undefined>;
  /** Whether nodens is fit for pods at all: ready, and not in a loop. */
  isFit(): boolean;
  /** Whether pods that ask this Service address would find no more there than nodens does. */
  mayIntercept(virtualAddress: string): boolean;
}
