/*
 * What the node's tables know of single pods, for whoever wants to know why one of them waited. Asked over netlink when a pod has waited, and not
 * before.
 */
import type { Netfilter } from "../runtime/netfilter.ts";
import { hostText } from "../runtime/socket-address.ts";
import { families } from "./address-family.ts";
import { stoppedPods } from "./blocked-pods.ts";
import { ownAddressTable } from "./own-address-table.ts";
import { leftPods } from "./pod-switches.ts";

/** What is wrong for one pod. */
export interface PodTrouble {
  /** Its questions were left to kube-dns; or a rule of the node drops what it asks, or what it is replied. */
  readonly kind: "leftToKubeDns" | "questionsDropped" | "repliesDropped";
  /** The pod, an IP literal. */
  readonly host: string;
  /** How many packets that was, lately. */
  readonly packets: number;
  /** How long ago the last of them came, in ms. */
  readonly lastAgoMs: number;
}

/** Reads them. `interceptTable` is that of the interception; undefined without one. What the kernel does not tell is left out. */
export function readPodTroubles({ elements }: Netfilter, interceptTable: string | undefined): PodTrouble[] {
  return families.flatMap((family) => {
    const left = interceptTable === undefined ? [] : (elements(interceptTable, `${leftPods.set}${family}`) ?? []);
    const stopped = (direction: "questions" | "replies") =>
      stoppedPods((set) => elements(ownAddressTable, set), direction, family) ?? [];
    return [
      ...left.map(({ key, packets, expiresInMs }) => ({
        kind: "leftToKubeDns" as const,
        host: hostText(Buffer.from(key, "hex")),
        packets,
        lastAgoMs: leftPods.seconds * 1000 - (expiresInMs ?? leftPods.seconds * 1000),
      })),
      ...stopped("questions").map((pod) => ({ kind: "questionsDropped" as const, ...pod })),
      ...stopped("replies").map((pod) => ({ kind: "repliesDropped" as const, ...pod })),
    ];
  });
}
