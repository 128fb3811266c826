/*
 * Classic BPF: small programs that the kernel runs over packets. The instructions, and how they are handed over:
 *
 *     struct sock_filter { u16 code; u8 jt, jf; u32 k; }
 *     struct sock_fprog { u16 length; struct sock_filter *filter; }
 */
import { endianness } from "node:os";
import { libc, SocketConstant } from "./libc.ts";

/** One instruction. Jumps count the instructions that they pass over. */
export interface BpfInstruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly operand: number;
}

/** The instructions that nodens uses, by what they do. */
export const bpf = {
  loadWord: (offset: number) => instruction(0x20, offset),
  loadHalf: (offset: number) => instruction(0x28, offset),
  loadOctet: (offset: number) => instruction(0x30, offset),
  /** Loads the half word at X plus an offset. */
  loadHalfBehindIndex: (offset: number) => instruction(0x48, offset),
  /** Sets X to the size of the IPv4 header at an offset. */
  indexBehindIpv4: (offset: number) => instruction(0xb1, offset),
  jump: (over: number) => instruction(0x05, over),
  jumpIfEqual: (value: number, ifTrue: number, ifFalse: number) => instruction(0x15, value, ifTrue, ifFalse),
  jumpIfAnyBit: (bits: number, ifTrue: number, ifFalse: number) => instruction(0x45, bits, ifTrue, ifFalse),
  /** Ends the program. For a filter: how many octets of the packet are kept; 0 to drop it. */
  result: (value: number) => instruction(0x06, value),
} as const;

/** Where a load finds what is known of a packet beside its octets (linux/filter.h: SKF_AD_OFF). */
export const bpfAncillary = {
  protocol: 0xffff_f000,
  packetType: 0xffff_f004,
  isVlanTagged: 0xffff_f030,
} as const;

/** Hands a program to a socket, by an option such as SO_ATTACH_FILTER. Returns whether the kernel took it. */
export function attachBpfProgram(fd: number, option: number, program: readonly BpfInstruction[]): boolean {
  if (libc === undefined) return false;
  const isLittle = endianness() === "LE";
  // The engine moves short buffers: what an address is taken of has to be longer.
  const memory = Buffer.alloc(Math.max(128, program.length * instructionSizeBytes));
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  for (const [index, { code, ifTrue, ifFalse, operand }] of program.entries()) {
    const at = index * instructionSizeBytes;
    view.setUint16(at, code, isLittle);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, operand, isLittle);
  }
  const description = new DataView(new ArrayBuffer(16));
  description.setUint16(0, program.length, isLittle);
  description.setBigUint64(8, libc.addressOf(memory), isLittle);
  const isTaken = libc.setsockopt(fd, SocketConstant.SOL_SOCKET, option, Buffer.from(description.buffer), 16) === 0;
  // Read after the call, so that the memory outlives it.
  return isTaken && memory.length > 0;
}

const instructionSizeBytes = 8;

function instruction(code: number, operand: number, ifTrue = 0, ifFalse = 0): BpfInstruction {
  return { code, ifTrue, ifFalse, operand };
}
