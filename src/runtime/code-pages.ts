/*
 * Pages of the program's own files that starting has read and serving does not need: most of Node.js. As long as they are mapped, they count
 * as resident, and the kernel takes them back late. What is in use comes back with the next access.
 */
import type { MemoryMapping } from "./memory-mappings.ts";

/** The mappings that show a file and that nothing can have changed: not writable, and all pages as in the file. */
export function codePages(mappings: readonly MemoryMapping[]): MemoryMapping[] {
  // The linker writes addresses to some before it takes away the right to.
  return mappings.filter(({ isOfFile, isWritable, anonymousBytes }) => isOfFile && !isWritable && anonymousBytes === 0);
}
