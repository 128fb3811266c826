/*
 * How pods reach nodens, as data. One more mode is a row here, its name in the settings, and the file that does what is new about it.
 */

interface ModeRow {
  /** What pods ask, in a few words. */
  readonly asked: string;
  /** Whether nodens only watches: it opens no socket for pods, sends nothing upstream, and answers nobody. */
  readonly onlyWatches: boolean;
  /** The addresses that are kept out of connection tracking on port 53, where nodens may: by the settings that name them. */
  readonly own: "attach.addresses" | "listen.addresses" | undefined;
  /** Whether `attach.addresses` are put on the node, and answered on port 53. */
  readonly placesAddresses: boolean;
  /** Whether the kernel sends on to the Service what pods ask these addresses while nodens does not answer. */
  readonly fallsOpen: boolean;
  /** Whether what pods send to the kube-dns Service is redirected to nodens. */
  readonly intercepts: boolean;
}

/** Every mode, by the name that settings, overlays, the chart and the manual have for it. */
export const attachModes = {
  "host-ip": {
    asked: "the node's own address",
    onlyWatches: false,
    own: "listen.addresses",
    placesAddresses: false,
    fallsOpen: true,
    intercepts: false,
  },
  "link-local": {
    asked: "an address of nodens's own",
    onlyWatches: false,
    own: "attach.addresses",
    placesAddresses: true,
    fallsOpen: true,
    intercepts: false,
  },
  intercept: {
    asked: "the kube-dns Service",
    onlyWatches: false,
    own: "attach.addresses",
    placesAddresses: true,
    fallsOpen: false,
    intercepts: true,
  },
  // Nothing on the node is touched: pods are pointed here by other means, such as a Service.
  none: {
    asked: "whatever leads here",
    onlyWatches: false,
    own: undefined,
    placesAddresses: false,
    fallsOpen: false,
    intercepts: false,
  },
  // Nothing on the node is touched, and pods ask whom they asked before.
  observe: {
    asked: "kube-dns, as before",
    onlyWatches: true,
    own: undefined,
    placesAddresses: false,
    fallsOpen: false,
    intercepts: false,
  },
} as const satisfies Record<string, ModeRow>;

/** The name of a mode. */
export type AttachMode = keyof typeof attachModes;
