/*
 * Every way in which the manifests are meant to be put together, by kustomize and by helm alike.
 */
import { type AttachMode, attachModes } from "../../../src/attach/modes.ts";
import { buildFolder, buildWith, renderChart, type KubernetesObject } from "./manifests.ts";

/** One of them. */
export interface Variant {
  readonly name: string;
  /** How pods reach nodens: the chart's `mode`. */
  readonly mode: Exclude<AttachMode, "none"> | "service" | "cilium-local-redirect";
  /** Whether nodens may change the node's network. */
  readonly isNetworkAdmin: boolean;
  /** Whether nodens may read copies of packets. */
  readonly readsPackets: boolean;
  kustomize(): KubernetesObject[];
  helm(): KubernetesObject[];
}

const inject = { inject: { enabled: true } };
const monitoring = { monitoring: { enabled: true } };
const eksAddress = { clusterDNS: { serviceIP: "172.20.0.10" } };

/** The overlays, and combinations of components that the documents name. */
export const variants: readonly Variant[] = [
  overlay("host-ip", "host-ip", {}),
  overlay("link-local", "link-local", {}),
  overlay("intercept", "intercept", {}),
  overlay("observe", "observe", {}),
  overlay("managed-cluster", "link-local", { ...inject, ...eksAddress }),
  variant("the base alone", "host-ip", () => buildFolder("base"), { hostIP: { networkAdmin: false } }, false),
  combination("service", ["service"], {}),
  combination("cilium-local-redirect", ["cilium-local-redirect"], {}),
  combination("intercept", ["intercept", "monitoring"], monitoring),
  combination("link-local", ["link-local", "inject", "monitoring"], { ...inject, ...monitoring }),
  combination("service", ["monitoring", "service"], monitoring),
  combination("link-local", ["link-local", "startup-taint"], { startupTaint: { enabled: true } }),
  combination("link-local", ["link-local", "node-readiness"], { nodeReadiness: { enabled: true } }),
];

/** The overlay of that name, or the component alone. Throws when there is none. */
export function variantOf(name: string): Variant {
  const found = variants.find((one) => one.name.endsWith(` ${name}`));
  if (found === undefined) throw new Error(`no variant ${name}`);
  return found;
}

function overlay(name: string, mode: Variant["mode"], values: object): Variant {
  return variant(`overlay ${name}`, mode, () => buildFolder(`overlays/${name}`), values);
}

function combination(mode: Variant["mode"], components: readonly string[], values: object): Variant {
  return variant(`components ${components.join(", ")}`, mode, () => buildWith("base", components), values);
}

/** Each is rendered once: many tests look at it. */
function variant(
  name: string,
  mode: Variant["mode"],
  build: () => KubernetesObject[],
  values: object,
  isNetworkAdmin = mode in attachModes && mode !== "observe",
): Variant {
  const readsPackets = mode === "observe";
  return {
    name,
    mode,
    isNetworkAdmin,
    readsPackets,
    kustomize: once(build),
    helm: once(() => renderChart({ mode, ...values })),
  };
}

function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => (made ??= make());
}
