/*
 * How many connection-tracking entries pods' questions take: one for each 5-tuple. Found by a hash in sets of four, so that the memory is fixed.
 */

/** Recognises flows. */
export interface FlowTable {
  /** Whether the flow with this name begins now, or again after so long that its entry is gone. Moments are monotonic milliseconds. */
  begins(flow: string, nowMs: number): boolean;
}

/** The kernel keeps the entry of a flow with more than one exchange for two minutes (nf_conntrack_udp_timeout_stream), of others for less. */
const entryLifeSeconds = 120;

const ways = 4;

/** Creates a table of `flowCount` flows, a power of 2. Where there are more, some are counted again. */
export function createFlowTable(flowCount: number): FlowTable {
  const hashes = new Int32Array(flowCount);
  const seconds = new Int32Array(flowCount);
  const setMask = flowCount / ways - 1;

  function begins(flow: string, nowMs: number): boolean {
    const hash = hashOf(flow);
    // 0 is for flows that were never seen.
    const now = Math.floor(nowMs / 1000) + entryLifeSeconds;
    const start = ((hash ^ (hash >>> 15)) & setMask) * ways;
    let oldest = start;
    for (let at = start; at < start + ways; at += 1) {
      if (hashes[at] === hash && (seconds[at] as number) > now - entryLifeSeconds) {
        seconds[at] = now;
        return false;
      }
      if ((seconds[at] as number) < (seconds[oldest] as number)) oldest = at;
    }
    hashes[oldest] = hash;
    seconds[oldest] = now;
    return true;
  }

  return { begins };
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5 | 0;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  return hash;
}
