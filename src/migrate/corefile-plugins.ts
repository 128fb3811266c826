/*
 * The plugins of CoreDNS that become no setting: those that nodens does without being told, and those whose answers it cannot
 * give, with what to do instead.
 */

/** Plugins that change no answer, or that nodens has anyway. */
export const harmlessPlugins: ReadonlyMap<string, string> = new Map(
  Object.entries({
    any: "ANY is asked upstream like other types",
    autopath: "suffixes that cannot exist are denied at once, see search.shortCircuit and search.answerOutsideName",
    cancel: "every question has a deadline, see upstream.deadlineMs",
    chaos: "version.bind and its like are asked upstream",
    debug: "see log.level",
    dnstap: "there is no dnstap; see log.queries",
    errors: "failures are logged and counted",
    geoip: "nothing here uses it",
    loadbalance: "records stay in the order in which the upstream sent them",
    local: "localhost and its like are asked upstream",
    loop: "loops are always looked for, and end forwarding instead of the process",
    metadata: "nothing here uses it",
    minimal: "replies stay as the upstream sent them",
    multisocket: "one process has one socket for each address",
    nsid: "no name server identifier is added",
    on: "no programs are run",
    pprof: "there is no profiler",
    ready: "/readyz at admin.address, and a file in probes.directory",
    reload: "a changed settings file is always taken over",
    root: "no files are read",
    shed: "see limits",
    startup: "no programs are run",
    shutdown: "no programs are run; see shutdown.drainMs",
    timeouts: "see listen.tcp.idleTimeoutMs",
    trace: "there is no tracing",
  }),
);

const inClusterDns = "let the cluster's DNS do it, which is asked";
const exempt = "and name what it adds below the cluster's zone in search.exemptions";

/** Plugins that answer, or change answers. */
export const lostPlugins: ReadonlyMap<string, string> = new Map(
  Object.entries({
    acl: "see listen.allow for who may ask",
    dns64: `no addresses are made up; ${inClusterDns}`,
    dnssec: `nothing is signed; ${inClusterDns}`,
    erratic: "answers are not spoilt",
    file: `no zones are served; ${inClusterDns}, or a server in upstream.stubDomains`,
    auto: `no zones are served; ${inClusterDns}, or a server in upstream.stubDomains`,
    secondary: `no zones are served; ${inClusterDns}, or name the primary in upstream.stubDomains`,
    etcd: `no zones are served; ${inClusterDns}`,
    grpc: "nodens asks over UDP and TCP only; name a server that answers those in upstream.stubDomains",
    header: `flags stay as the upstream sent them; ${inClusterDns}`,
    hosts: `no names are added; ${inClusterDns}, ${exempt}`,
    k8s_external: `no names are added; ${inClusterDns}`,
    kubernetes: `no names are made from Services; ${inClusterDns}`,
    rewrite: `nothing is rewritten; ${inClusterDns}, ${exempt}`,
    siit: `no addresses are made up; ${inClusterDns}`,
    template: `no answers are made up; ${inClusterDns}, ${exempt}`,
    tls: "nodens answers over UDP and TCP only",
    transfer: "no zones are transferred; ask the server that has them",
    view: "all clients get the same answers; the first block of a zone is taken",
    whoami: "clients are not told their address",
  }),
);

/** Plugins that do become settings. */
const carriedPlugins = new Set(["bind", "bufsize", "cache", "forward", "health", "log", "prometheus"]);

/** Whether it is a plugin that is known here. */
export function isPlugin(name: string): boolean {
  return carriedPlugins.has(name) || harmlessPlugins.has(name) || lostPlugins.has(name);
}
