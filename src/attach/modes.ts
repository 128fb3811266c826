/*
 * How pods reach nodens, as data. One more mode is a row here, its name in the settings, and the file that does what is new about it.
 */

interface ModeRow {
  /** What pods ask, in a few words. */
  readonly asked: string;
  /** Whether `attach.addresses` are put on the node, answered on port 53 and kept out of connection tracking. */
  readonly placesAddresses: boolean;
  /** Whether port 53 of `listen.addresses` is kept out of connection tracking, where nodens may do that. */
  readonly untracksListeners: boolean;
  /** Whether what pods send to the kube-dns Service is redirected to nodens. */
  readonly intercepts: boolean;
}

/** Every mode, by the name that settings, overlays, the chart and the manual have for it. */
export const attachModes = {
  "host-ip": { asked: "the node's own address", placesAddresses: false, untracksListeners: true, intercepts: false },
  "link-local": {
    asked: "an address of nodens's own",
    placesAddresses: true,
    untracksListeners: false,
    intercepts: false,
  },
  intercept: { asked: "the kube-dns Service", placesAddresses: true, untracksListeners: false, intercepts: true },
  // Nothing on the node is touched: pods are pointed here by other means, such as a Service.
  none: { asked: "whatever leads here", placesAddresses: false, untracksListeners: false, intercepts: false },
} as const satisfies Record<string, ModeRow>;

/** The name of a mode. */
export type AttachMode = keyof typeof attachModes;
