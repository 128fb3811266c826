/*
 * Opens a session with nft, gives it good and bad commands at once, and prints as JSON what it said to each, what another nft sees
 * meanwhile, and what is left afterwards: after closing it, and after nft was killed. Beside it is a large set of somebody else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { nftSessionsOn } from "../../../src/attach/nft-session.ts";
import { runProgram } from "../../../src/attach/run-program.ts";
import { systemClock } from "../../../src/runtime/clock.ts";

const openNftSession = nftSessionsOn(systemClock);

const elements = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`);
const foreign = `table ip other { set s { type ipv4_addr; elements = { ${elements.join(", ")} }; }; }`;
await runProgram("nft", ["-f", "-"], foreign);
const session = openNftSession(() => {});
await session.run("add table inet t { flags owner; }");
const commands = Array.from({ length: 50 }, (_, index) => {
  if (index % 3 === 0) return `add chain inet t c${index}; add counter inet t n${index}`;
  return index % 3 === 1 ? "delete chain inet t absent" : `nonsense${index} {`;
});
const complaints = await Promise.all(commands.map((command) => session.run(command)));
const { stdout: whileOpen } = await runProgram("nft", ["list", "tables"]);
const { stderr: deleting } = await runProgram("nft", ["delete", "table", "inet", "t"]);
await session.close();
const { stdout: after } = await runProgram("nft", ["list", "tables"]);

const end = Promise.withResolvers<string>();
const killed = openNftSession(() => end.resolve("nft has ended"));
const beforeKill = await killed.run("add table inet t { flags owner; }");
process.kill(childNamed("nft"), "SIGKILL");
const onKill = await end.promise;
const { stdout: afterKill } = await runProgram("nft", ["list", "tables"]);
const said = complaints.map((complaint) => complaint ?? null);
console.log(
  JSON.stringify({ complaints: said, whileOpen, deleting, after, beforeKill: beforeKill ?? null, onKill, afterKill }),
);

function childNamed(name: string): number {
  const isOurs = (pid: string) => {
    try {
      const [, command, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      return command === name && parent === String(process.pid);
    } catch {
      return false;
    }
  };
  return Number(readdirSync("/proc").find((entry) => /^\d+$/.test(entry) && isOurs(entry)));
}
