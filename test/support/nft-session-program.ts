/*
 * Opens a session with nft, gives it good and bad commands at once, and prints as JSON what it said to each, what another nft sees
 * meanwhile, and what is left afterwards.
 */
import { openNftSession } from "../../src/attach/nft-session.ts";
import { runProgram } from "../../src/attach/run-program.ts";

const session = openNftSession(() => {});
await session.run("add table inet t { flags owner; }");
const commands = Array.from({ length: 30 }, (_, index) => {
  if (index % 3 === 0) return `add chain inet t c${index}; add counter inet t n${index}`;
  return index % 3 === 1 ? "delete chain inet t absent" : `nonsense${index} {`;
});
const complaints = await Promise.all(commands.map((command) => session.run(command)));
const { stdout: whileOpen } = await runProgram("nft", ["list", "tables"]);
const { stderr: deleting } = await runProgram("nft", ["delete", "table", "inet", "t"]);
await session.close();
const { stdout: after } = await runProgram("nft", ["list", "tables"]);
const said = complaints.map((complaint) => complaint ?? null);
console.log(JSON.stringify({ complaints: said, whileOpen, deleting, after }));
