/*
 * The plugins of CoreDNS that do not become settings: those whose work nodens does anyway, and those whose answers it cannot give,
 * with what to do instead.
 */

/** Plugins that change no answer, or that nodens has anyway. */
export const harmlessPlugins: ReadonlyMap<string, string> = new Map(
  Object.entries({
    any: "nodens forwards ANY like other types",
    autopath: "names that cannot exist are denied at once; see search.shortCircuit and search.answerOutsideName",
    cancel: "every question has a deadline; see upstream.deadlineMs",
    chaos: "nodens forwards version.bind and the like",
    debug: "see log.level",
    dnstap: "nodens does not support dnstap; see log.queries",
    errors: "failures are logged and counted",
    geoip: "nodens has no use for it",
    loadbalance: "records keep the order in which the upstream sent them",
    local: "nodens forwards localhost and the like",
    loop: "nodens always looks for loops; one stops forwarding, not the process",
    metadata: "nodens has no use for it",
    minimal: "replies stay as the upstream sent them",
    multisocket: "nodens opens one socket per address",
    nsid: "nodens does not add a name server identifier",
    on: "nodens does not run programs",
    pprof: "nodens has no profiler",
    ready: "see /readyz at admin.address, and the file ready in probes.directory",
    reload: "nodens always reloads a changed settings file",
    root: "nodens does not read zone files",
    shed: "see limits",
    startup: "nodens does not run programs",
    shutdown: "nodens does not run programs; see shutdown.drainMs",
    timeouts: "see listen.tcp.idleTimeoutMs",
    trace: "nodens has no tracing",
  }),
);

const inClusterDns = "Leave it to the cluster's DNS; nodens forwards there";
const exempt = "List the names it adds below the cluster's zone in search.exemptions";

/** Plugins that answer, or change answers. */
export const lostPlugins: ReadonlyMap<string, string> = new Map(
  Object.entries({
    acl: "nodens does not filter by name; for who may ask, see listen.allow",
    dns64: `nodens does not make up addresses. ${inClusterDns}`,
    dnssec: `nodens does not sign answers. ${inClusterDns}`,
    erratic: "nodens does not spoil answers",
    file: `nodens does not serve zones. ${inClusterDns}. Or name a server of the zone in upstream.stubDomains`,
    auto: `nodens does not serve zones. ${inClusterDns}. Or name a server of the zone in upstream.stubDomains`,
    secondary: `nodens does not serve zones. ${inClusterDns}. Or name the primary in upstream.stubDomains`,
    etcd: `nodens does not serve zones. ${inClusterDns}`,
    grpc: "nodens forwards over UDP and TCP only; in upstream.stubDomains, name a server that answers over those",
    header: `nodens does not change flags. ${inClusterDns}`,
    hosts: `nodens does not add names. ${inClusterDns}. ${exempt}`,
    k8s_external: `nodens does not add names. ${inClusterDns}`,
    kubernetes: `nodens does not make names from Services. ${inClusterDns}`,
    rewrite: `nodens does not rewrite names. ${inClusterDns}. ${exempt}`,
    siit: `nodens does not make up addresses. ${inClusterDns}`,
    template: `nodens does not make up answers. ${inClusterDns}. ${exempt}`,
    tls: "nodens answers over UDP and TCP only",
    transfer: "nodens does not transfer zones; ask the server that has them",
    view: "all clients get the same answers: those of the first block for a zone",
    whoami: "nodens does not tell clients their address",
  }),
);

/** Plugins that do become settings. */
const carriedPlugins = new Set(["bind", "bufsize", "cache", "forward", "health", "log", "prometheus"]);

/** Whether `nodens migrate` knows a plugin of this name. */
export function isPlugin(name: string): boolean {
  return carriedPlugins.has(name) || harmlessPlugins.has(name) || lostPlugins.has(name);
}
