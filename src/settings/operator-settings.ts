/* Settings for operators: probes, admin server, log, metrics, shutdown. */
import { defaultAdminAddress } from "./command-defaults.ts";
import { addressRanges, filePath, group, listenAddress, oneOf, wholeNumber, yesOrNo } from "./setting-kinds.ts";

/** The group `probes`. */
export const probes = group(
  "Files for the exec probes of a pod. An HTTP probe may reach the other pod of a rolling update.",
  {
    directory: filePath({
      default: "",
      effect: "restart",
      help: "A folder for the files `ready`, which exists while nodens is ready, and `alive`, which is touched in every second in which the event loop runs. A nodens that waits for its sockets, for the node or for upstream is alive and not ready. The admin server is there too, as the Unix socket `admin.sock`, for this user and root.",
    }),
  },
);

/** The group `admin`. */
export const admin = group("The HTTP server for operators: `/metrics`, `/healthz`, `/readyz`.", {
  address: listenAddress({
    default: defaultAdminAddress,
    effect: "restart",
    flag: { name: "--admin", value: "ADDR:PORT", help: "address for metrics and health over HTTP" },
    help: "Where it listens. On the same port of 127.0.0.1 too, for what it tells this machine only. It has no passwords: keep it on loopback or on the node's own network.",
  }),
  allow: addressRanges({
    default: [],
    effect: "live",
    help: "Clients that it answers. Empty means those of `listen.allow`. Everybody may see `/healthz` and `/readyz`, which tell no more than that: the kubelet may come from any address. `/explain` tells what pods ask, and only to clients on loopback and on the Unix socket in `probes.directory`.",
  }),
});

/** The group `log`. */
export const log = group("The log: JSON lines on standard error.", {
  level: oneOf(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
    default: "info",
    effect: "live",
    help: "The lowest level that is written.",
  }),
  queries: yesOrNo({
    default: false,
    effect: "live",
    help: "Whether every query is logged. Expensive, and names reveal what pods do.",
  }),
});

/** The group `metrics`. */
export const metrics = group("What `/metrics` shows.", {
  compat: oneOf(["coredns", "off"], {
    default: "coredns",
    effect: "restart",
    help: "Whether metrics are also shown under the `coredns_*` names that dashboards for node-local-dns expect.",
  }),
});

/** What the end takes beside `shutdown.drainMs`: half of it to answer what the kernel has queued, half to close everything. */
export const closingMs = 2000;

/** The group `shutdown`. */
export const shutdown = group("What happens at the end.", {
  drainMs: wholeNumber("ms", {
    default: 5000,
    between: [0, 60_000],
    effect: "live",
    help: "How long nodens keeps answering after SIGTERM, so that pods have time to find another server. It has to be 2 s shorter than `shutdown.gracePeriodSeconds`.",
  }),
  gracePeriodSeconds: wholeNumber("s", {
    default: 15,
    between: [2, 3600],
    effect: "live",
    help: "When whoever sends SIGTERM loses patience: the `terminationGracePeriodSeconds` of the pod. nodens has ended by itself before, whatever it still waits for.",
  }),
});
