/*
 * The entry of a V8 start-up snapshot: nodens with all its modules loaded. The process that begins with it goes on in `main`.
 *
 * Nothing that differs between processes may be read while a module is loaded: it would be that of the process which made the snapshot.
 */
import { startupSnapshot } from "node:v8";
import { main } from "./main.ts";

startupSnapshot.setDeserializeMainFunction(() => {
  void main(process.argv).then((code) => (process.exitCode = code));
});
