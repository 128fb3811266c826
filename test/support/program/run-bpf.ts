/*
 * Runs a classic BPF program over a packet, as the kernel does (linux/filter.h): as much of the language as nodens uses. Anything else throws.
 */
import type { BpfInstruction } from "../../../src/runtime/bpf-program.ts";

/** What the kernel knows of a packet beside its octets. */
export interface PacketFacts {
  /** The EtherType, the packet type (0 for this host, 3 for another, 4 outgoing), and whether it carries a VLAN tag. */
  readonly protocol: number;
  readonly packetType: number;
  readonly isVlanTagged?: boolean;
}

/** How many octets of the packet the program keeps; 0 if it drops it. A load beyond the end drops it, as in the kernel. */
export function runBpf(program: readonly BpfInstruction[], packet: Uint8Array, facts: PacketFacts): number {
  const ancillary = new Map([
    [0xffff_f000, facts.protocol],
    [0xffff_f004, facts.packetType],
    [0xffff_f030, Number(facts.isVlanTagged ?? false)],
  ]);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let accumulator = 0;
  let index = 0;
  for (let at = 0; at < program.length; at += 1) {
    const { code, operand, ifTrue, ifFalse } = program[at] as BpfInstruction;
    if (ifTrue > 255 || ifFalse > 255) throw new Error("a conditional jump of more than 255 instructions");
    if (code === known.result) return operand;
    if (code === known.jump) at += operand;
    else if (code in jumps) at += (jumps[code] as Jump)(accumulator, operand) ? ifTrue : ifFalse;
    else {
      const loaded = ancillary.get(operand) ?? load(code, view, operand, index);
      if (loaded === undefined) return 0;
      if (code === known.indexBehindIpv4) index = loaded;
      else accumulator = loaded;
    }
  }
  throw new Error("the program ran past its end");
}

type Jump = (accumulator: number, operand: number) => boolean;

const known = { jump: 0x05, result: 0x06, indexBehindIpv4: 0xb1 } as const;

const jumps: Readonly<Record<number, Jump>> = {
  0x15: (accumulator, operand) => accumulator === operand,
  0x45: (accumulator, operand) => (accumulator & operand) !== 0,
};

const loads: Readonly<Record<number, (view: DataView, offset: number, index: number) => number>> = {
  0x20: (view, offset) => view.getUint32(offset),
  0x28: (view, offset) => view.getUint16(offset),
  0x30: (view, offset) => view.getUint8(offset),
  0x48: (view, offset, index) => view.getUint16(index + offset),
  [known.indexBehindIpv4]: (view, offset) => (view.getUint8(offset) & 0x0f) * 4,
};

/** What the instruction loads; undefined if that lies beyond the packet. */
function load(code: number, view: DataView, offset: number, index: number): number | undefined {
  const loader = loads[code];
  if (loader === undefined) throw new Error(`unknown instruction 0x${code.toString(16)}`);
  try {
    return loader(view, offset, index);
  } catch {
    return undefined;
  }
}
