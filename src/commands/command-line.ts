/*
 * The command line: the commands and flags, their help, and the message for a wrong one. What the commands do is passed in.
 */
import { Command, CommanderError, Option } from "commander";
import { nearestName } from "../runtime/nearest-name.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import type { FlagValues } from "../settings/load-settings.ts";
import { topTabs } from "../seen/top-choices.ts";
import type { SettingNotes } from "../settings/setting-kinds.ts";
import { defaultSettings } from "../settings/settings-table.ts";
import { tableEntries } from "../settings/table-entries.ts";
import type { CacheFlushFlags, CacheShowFlags } from "./cache.ts";
import type { DoctorFlags } from "./doctor.ts";
import { ExitCode } from "./exit-code.ts";
import type { ExplainFlags } from "./explain.ts";
import type { QueryFlags } from "./query.ts";
import type { ReportReadyFlags } from "./report-ready.ts";
import type { UntaintFlags } from "./untaint.ts";
import type { AdviseFlags, TailFlags, TopFlags } from "./seen.ts";

/** The flags of `serve`, as text: those that override settings, and the settings file. */
interface ServeFlags extends FlagValues {
  readonly config?: string | undefined;
}

/** What runs for each command, with its arguments and flags as they were typed. Each returns the exit code. */
export interface CommandActions {
  serve(flags: ServeFlags): Promise<number> | number;
  check(filePath: string): Promise<number> | number;
  query(name: string, type: string | undefined, flags: QueryFlags): Promise<number> | number;
  explain(name: string, flags: ExplainFlags): Promise<number> | number;
  top(flags: TopFlags): Promise<number> | number;
  tail(flags: TailFlags): Promise<number> | number;
  cacheShow(name: string, type: string | undefined, flags: CacheShowFlags): Promise<number> | number;
  cacheFlush(name: string, flags: CacheFlushFlags): Promise<number> | number;
  advise(flags: AdviseFlags): Promise<number> | number;
  doctor(flags: DoctorFlags): Promise<number> | number;
  migrate(filePath: string): Promise<number> | number;
  detach(filePath: string | undefined): Promise<number> | number;
  untaint(flags: UntaintFlags): Promise<number> | number;
  reportReady(flags: ReportReadyFlags): Promise<number> | number;
  version(): Promise<number> | number;
}

/** Where help and errors go. Both functions receive whole lines, line endings included. */
export interface Terminal {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** The commands, ready to run. */
export interface CommandLine {
  /**
   * Reads the arguments (without program and script), runs the command they name and resolves with its exit code: 64, with one
   * line that says why, for arguments that cannot be understood; 1 for a command that throws. Flags without a command mean
   * `serve`. Never rejects.
   */
  run(args: readonly string[]): Promise<number>;
}

/** Creates the command line of nodens. Nothing is read or run before `run` is called. */
export function createCommandLine(actions: CommandActions, terminal: Terminal): CommandLine {
  return {
    async run(args) {
      let exitCode: number = ExitCode.ok;
      const program = createProgram(actions, terminal, (code) => (exitCode = code));
      try {
        await program.parseAsync(args, { from: "user" });
        return exitCode;
      } catch (error) {
        // Commander ends by throwing, even after help; its own exit codes are only 0 and 1.
        if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
        terminal.writeError(`nodens: ${error instanceof Error ? error.stack : String(error)}\n`);
        return ExitCode.unexpected;
      }
    },
  };
}

/** What the help says about each exit code. */
const exitCodeMeanings: Readonly<Record<keyof typeof ExitCode, string>> = {
  ok: "success; for query: a reply arrived, whatever it says",
  unexpected: "an error that nodens did not expect; for cache: nothing is kept of the name",
  usage: "wrong command line: an unknown command or flag; for query and explain: an unusable name, type or server",
  incomplete: "for migrate: the settings are written, but something that changes answers was not carried over",
  unavailable: "an address is in use; for query and explain: no reply",
  system: "the system refused, for example an address that the machine does not have",
  noPermission: "not allowed, for example to listen on port 53",
  configuration: "the settings or a file are wrong or cannot be read, or Node.js is too old",
};

const { listen, cluster, admin } = defaultSettings();
const [ownServer = { host: "127.0.0.1", port: 53 }] = listen.addresses;

type Finish = (exitCode: number) => void;

function createProgram(actions: CommandActions, { write, writeError }: Terminal, finish: Finish): Command {
  const program = new Command("nodens")
    .description("Node-local caching DNS server for Kubernetes.")
    .usage("[command] [flags]")
    .helpCommand(false)
    .helpOption("-h, --help", "show this help; after a command, that command's help")
    .option("--version", "same as the command version")
    .configureOutput({ writeOut: write, writeErr: writeError, outputError: (text) => writeError(asOneLine(text)) })
    .configureHelp({ helpWidth: 100 })
    .exitOverride()
    .addHelpText("after", programEpilogue());
  addServe(program, actions, finish);
  addQuery(program, actions, finish);
  addExplain(program, actions, finish);
  addSeen(program, actions, finish);
  addCache(program, actions, finish);
  addDoctor(program, actions, finish);
  program
    .command("check")
    .description("report everything that is wrong with a settings file, or print the effective settings")
    .argument("<file>", "the settings file (YAML)")
    .action(async (filePath: string) => finish(await actions.check(filePath)))
    .addHelpText("after", examples("nodens check nodens.yaml"));
  program
    .command("migrate")
    .description("write settings from a Corefile, or from a ConfigMap that holds one or kube-dns's stubDomains")
    .argument("<file>", "the Corefile or the manifest (YAML or JSON); - is standard input")
    .action(async (filePath: string) => finish(await actions.migrate(filePath)))
    .addHelpText(
      "after",
      [
        "\nThe settings go to standard output. What became of everything else goes to standard error, a line each.",
        "A line marked LOST means that answers will change; the exit code is then 65. It is 78 if the file cannot be read.",
        examples(
          "nodens migrate Corefile > nodens.yaml",
          "kubectl -n kube-system get configmap node-local-dns -o yaml | nodens migrate - > nodens.yaml",
        ),
      ].join("\n"),
    );
  program
    .command("detach")
    .description("remove what nodens has left on this node: its addresses on lo and its nftables table")
    .option("--config <FILE>", "settings file (YAML) that names the addresses")
    .action(async ({ config }: { config?: string }) => finish(await actions.detach(config)))
    .addHelpText("after", examples("nodens detach", "nodens detach --config /etc/nodens/nodens.yaml"));
  addStartup(program, actions, finish);
  program
    .command("version")
    .description("print the versions of nodens and Node.js, and the platform")
    .action(async () => finish(await actions.version()));
  program
    .command("help")
    .description("show this help, or a command's help")
    .argument("[command...]", "the name of a command, as in help cache show")
    .action((names: readonly string[]) => {
      let command = program;
      for (const name of names) {
        const below = command.commands.find((known) => known.name() === name);
        if (below === undefined) return program.error(unknownCommand(command, name));
        command = below;
      }
      return command.outputHelp();
    });
  return program;
}

function addServe(program: Command, actions: CommandActions, finish: Finish): void {
  const serve = program
    .command("serve", { isDefault: true })
    .description("answer DNS queries until stopped; the default command");
  for (const { notes } of tableEntries.values()) if (notes?.flag !== undefined) serve.addOption(optionOf(notes));
  serve
    .option("--config <FILE>", "settings file (YAML); flags override it")
    // An unknown command ends up here too, as an argument, and deserves a better message than "too many arguments".
    .allowExcessArguments()
    .action(async (flags: ServeFlags, command: Command) => {
      const [stray] = command.args;
      if (stray !== undefined) program.error(strayArgument(program, stray));
      finish(await (program.opts()["version"] === true ? actions.version() : actions.serve(flags)));
    })
    .addHelpText(
      "after",
      examples(
        "nodens serve --embedded",
        "nodens serve --listen 127.0.0.1:5353 --listen [::1]:5353 --upstream 10.96.0.10:53",
        "nodens serve --config /etc/nodens/nodens.yaml",
      ),
    );
}

function optionOf({ flag, default: written }: SettingNotes): Option {
  const { name = "", value, help = "" } = flag ?? {};
  const option = new Option(
    value === undefined ? name : `${name} <${value}>`,
    Array.isArray(written) ? `${help}; repeatable` : help,
  );
  if (!Array.isArray(written)) return option;
  return option.argParser((text: string, earlier?: readonly string[]) => [...(earlier ?? []), text]);
}

function addQuery(program: Command, actions: CommandActions, finish: Finish): void {
  program
    .command("query")
    .description("ask a DNS server one question and show everything in the reply")
    .argument("<name>", "the name to ask for; an IP address stands for its reverse name")
    .argument(
      "[type]",
      "a record type such as AAAA, or TYPE followed by its number (default: A; PTR for an IP address)",
    )
    .option("--server <ADDR:PORT>", "server to ask; without a port, port 53", formatServerAddress(ownServer))
    .option("--tcp", "ask over TCP from the start, not only after a truncated reply")
    .addOption(new Option("--dnssec", "ask for DNSSEC signatures as well (DO)").conflicts("edns"))
    .option("--no-edns", "ask as a client without EDNS does: at most 512 octets over UDP")
    .option("--twice", "ask again 1.1 seconds later and compare TTLs and times, to see whether a cache answered")
    .addOption(new Option("--short", "print only the answers' data, one per line").conflicts(["json", "twice"]))
    .option("--json", "print the reply as JSON")
    .option("--timeout-ms <NUMBER>", "how long to wait for a reply, in milliseconds", "5000")
    .action(async (name: string, type: string | undefined, flags: QueryFlags) =>
      finish(await actions.query(name, type, flags)),
    )
    .addHelpText(
      "after",
      examples(
        "nodens query kubernetes.default.svc.cluster.local",
        "nodens query _https._tcp.kubernetes.default.svc.cluster.local SRV --tcp",
        "nodens query 10.96.0.1 --server 10.96.0.10:53",
        "nodens query example.com TYPE65 --dnssec --json",
      ),
    );
}

function addExplain(program: Command, actions: CommandActions, finish: Finish): void {
  program
    .command("explain")
    .description("show how a pod looks up a name, and what nodens does with each of its queries")
    .argument("<name>", "the name as a program in the pod writes it, with or without a final dot")
    .option("--namespace <NS>", "the pod's namespace, with which its search list begins", "default")
    .addOption(
      new Option("--resolv-conf <FILE>", "the pod's resolv.conf, for its search list and ndots").conflicts("namespace"),
    )
    .option("--cluster-domain <NAME>", `zone of the cluster (default: that of --resolv-conf, else ${cluster.domain})`)
    .option(
      "--against <ADDR:PORT|PATH>",
      "admin address of a running nodens whose state is used; without it, the rules alone are",
    )
    .option("--json", "print the explanation as JSON")
    .option("--no-color", "print without colours, even on a terminal")
    .action(async (name: string, flags: ExplainFlags) => finish(await actions.explain(name, flags)))
    .addHelpText(
      "after",
      examples(
        "nodens explain www.example.com",
        "nodens explain web --namespace shop",
        "nodens explain api.example.com --resolv-conf /etc/resolv.conf --against 127.0.0.1:9253",
      ),
    );
}

const againstFlag = [
  "--against <ADDR:PORT|PATH>",
  "admin address of the running nodens, or its Unix socket",
  formatServerAddress(admin.address),
] as const;

function addSeen(program: Command, actions: CommandActions, finish: Finish): void {
  program
    .command("top")
    .description("show who asks, what, where it ends, and which pods waited and why")
    .option("--once", "print one screen and end; so does a pipe")
    .addOption(new Option("--tab <NAME>", "what to show below").choices(topTabs))
    .option("--json", "print all of it as JSON")
    .option(...againstFlag)
    .action(async (flags: TopFlags) => finish(await actions.top(flags)))
    .addHelpText("after", examples("nodens top", "nodens top --once --tab waits", "nodens top --json"));
  program
    .command("tail")
    .description("print the last queries that were recorded")
    .option("--client <ADDR>", "only those of this client")
    .option("--name <TEXT>", "only names that contain this")
    .option("--rcode <RCODE>", "only replies with this code, or waiting, or dropped")
    .option("--slower <MS>", "only those that took longer")
    .option("--repeated", "only those that were asked again")
    .option("--incident <N>", "those that were kept when pods waited or lookups failed; 1 is the newest incident")
    .option("--limit <N>", "how many at most (default: 100, or all of an incident)")
    .option("--json", "print them as JSON")
    .option(...againstFlag)
    .action(async (flags: TailFlags) => finish(await actions.tail(flags)))
    .addHelpText("after", examples("nodens tail --client 10.244.3.17 --slower 100", "nodens tail --rcode SERVFAIL"));
  program
    .command("advise")
    .description("say for each namespace what would spare its pods queries, how many, and what would break")
    .option("--json", "print the advice as JSON")
    .option(...againstFlag)
    .action(async (flags: AdviseFlags) => finish(await actions.advise(flags)))
    .addHelpText("after", examples("nodens advise"));
}

function addCache(program: Command, actions: CommandActions, finish: Finish): void {
  const cache = program
    .command("cache")
    .description("show what the running nodens has of a name, or have it forgotten")
    .helpCommand(false)
    .usage("show|flush <name>")
    .argument("[show|flush]")
    .allowExcessArguments()
    .action((what?: string) => {
      if (what === undefined) return cache.error("error: cache takes show or flush");
      return cache.error(unknownCommand(cache, what));
    });
  cache
    .command("show")
    .description(
      "show what is kept of a name: records, denials, failures, how long they live, and how often they were used",
    )
    .allowExcessArguments(false)
    .argument("<name>", "the name in full")
    .argument("[type]", "a record type such as AAAA; all types if left out")
    .option("--json", "print it as JSON")
    .option(...againstFlag)
    .action(async (name: string, type: string | undefined, flags: CacheShowFlags) =>
      finish(await actions.cacheShow(name, type, flags)),
    )
    .addHelpText("after", examples("nodens cache show web.shop.svc.cluster.local AAAA"));
  cache
    .command("flush")
    .description("forget what is kept of a name, so that it is asked for again")
    .allowExcessArguments(false)
    .argument("<name>", "the name in full")
    .option("--below", "also of all names below it")
    .option("--json", "print what was forgotten as JSON")
    .option(...againstFlag)
    .action(async (name: string, flags: CacheFlushFlags) => finish(await actions.cacheFlush(name, flags)))
    .addHelpText("after", examples("nodens cache flush api.example.com", "nodens cache flush example.com --below"));
  cache.addHelpText(
    "after",
    examples("nodens cache show web.shop.svc.cluster.local", "nodens cache flush example.com --below"),
  );
}

function addDoctor(program: Command, actions: CommandActions, finish: Finish): void {
  program
    .command("doctor")
    .description("say what is wrong with DNS on this node, worst first; works without a running nodens")
    .option("--server <ADDR...>", "DNS servers to ask; by default kube-dns, as kube-proxy's rules name it")
    .option("--name <NAME>", "a name that exists", `kubernetes.default.svc.${cluster.domain}`)
    .option(
      "--watch <SECONDS>",
      "look twice, so far apart (default: 5s, with --npd 1s), and watch what pods ask meanwhile: needs NET_RAW",
    )
    .option("--netns <PID>", "also look up from the network namespace of this process, as a pod does")
    .option("--json", "print the findings as JSON")
    .option("--npd", "print one line and end with 0, 1 or 2, as node-problem-detector's plugins do")
    .option(...againstFlag)
    .action(async (flags: DoctorFlags) => finish(await actions.doctor(flags)))
    .addHelpText("after", examples("nodens doctor", "nodens doctor --watch 60s --netns $(pgrep -o php-fpm)"));
}

/** The commands of a pod that may change its node. */
function addStartup(program: Command, actions: CommandActions, finish: Finish): void {
  const afterReady = (name: string, description: string): Command =>
    program
      .command(name)
      .description(`wait until a node's nodens is ready, then ${description}; for a pod that may do so`)
      .requiredOption("--node <NAME>", "the node's name")
      .requiredOption("--admin <ADDR[:PORT]>", "admin address of the node's nodens");
  afterReady("untaint", "remove a taint from the node")
    .requiredOption("--taint <KEY>", "the taint's key")
    .action(async (flags: UntaintFlags) => finish(await actions.untaint(flags)))
    .addHelpText("after", examples("nodens untaint --node n1 --taint example.com/nodens --admin 10.0.3.7"));
  afterReady("report-ready", "say so in a condition of the node")
    .requiredOption("--condition <TYPE>", "the condition's type")
    .action(async (flags: ReportReadyFlags) => finish(await actions.reportReady(flags)))
    .addHelpText("after", examples("nodens report-ready --node n1 --condition example.com/Ready --admin 10.0.3.7"));
}

function programEpilogue(): string {
  const codes = Object.entries(exitCodeMeanings).map(
    ([name, meaning]) => `  ${String(ExitCode[name as keyof typeof ExitCode]).padEnd(3)} ${meaning}`,
  );
  return [
    "\nWithout a command, nodens serves; see nodens help serve for the flags.",
    examples(
      "nodens --listen 127.0.0.1:5353 --upstream 10.96.0.10:53",
      "nodens check nodens.yaml",
      "nodens query kubernetes.default.svc.cluster.local --twice",
    ),
    `\nExit codes:\n${codes.join("\n")}`,
  ].join("\n");
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** Says what is wrong with an argument given to `serve`, which takes none. */
function strayArgument(program: Command, argument: string): string {
  if (program.args[0] === "serve") return `error: serve takes no arguments, but was given '${argument}'`;
  const isCommand = program.commands.some((command) => command.name() === argument);
  return isCommand ? `error: the command '${argument}' must come before its flags` : unknownCommand(program, argument);
}

function unknownCommand(program: Command, name: string): string {
  const names = program.commands.map((command) => command.name());
  if (names.length === 0) return `error: ${program.name()} has no command '${name}'`;
  const nearest = nearestName(name, names);
  return `error: unknown command '${name}' (${nearest === undefined ? `there are ${names.join(", ")}` : `did you mean ${nearest}?`})`;
}

/** Commander's "error: ...\n(Did you mean --listen?)" on one line, in the form of nodens's other errors. */
function asOneLine(text: string): string {
  return `${text
    .trim()
    .replace(/^error: /, "nodens: ")
    .replaceAll("\n(Did", " (did")
    .replaceAll(/\s+/g, " ")}\n`;
}
