/*
 * A screenshot with a palette of 256 colours, which takes a third of the room: what a palette lacks are some shades at the edges of letters.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const signatureBytes = 8;
const [colourType, paletteType] = [2, 3] as const;
const paletteSize = 256;

/** Rewrites a PNG as Chromium makes them: 8 bits a channel, no alpha, not interlaced. Throws for any other. */
export function withPalette(png: Buffer): Buffer {
  const header = Buffer.from(chunks(png, "IHDR"));
  if (header[9] !== colourType) throw new Error(`not a picture without alpha: colour type ${header[9] ?? "?"}`);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const colours = coloursOf(unfilter(inflateSync(chunks(png, "IDAT")), width * 3, height));
  const counts = new Map<number, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts]
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, paletteSize)
    .map(([colour]) => colour);
  const indices = new Map([...counts.keys()].map((colour) => [colour, nearest(colour, palette)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (const [at, colour] of colours.entries()) rows[at + Math.floor(at / width) + 1] = indices.get(colour) ?? 0;
  header[9] = paletteType;
  return Buffer.concat([
    png.subarray(0, signatureBytes),
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(palette.flatMap(channelsOf))),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The contents of all chunks of a kind. */
function chunks(png: Buffer, kind: string): Buffer {
  const found: Buffer[] = [];
  for (let at = signatureBytes; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString("latin1", at + 4, at + 8) === kind)
      found.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  return Buffer.concat(found);
}

function chunk(kind: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), content]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([size, named, sum]);
}

/** Takes back what each row's filter did (PNG §9.2). */
function unfilter(filtered: Buffer, rowBytes: number, height: number): Buffer {
  const plain = Buffer.alloc(rowBytes * height);
  for (let row = 0; row < height; row += 1) {
    const filter = filtered[row * (rowBytes + 1)];
    for (let column = 0; column < rowBytes; column += 1) {
      const at = row * rowBytes + column;
      const left = column >= 3 ? (plain[at - 3] as number) : 0;
      const above = row > 0 ? (plain[at - rowBytes] as number) : 0;
      const corner = column >= 3 && row > 0 ? (plain[at - rowBytes - 3] as number) : 0;
      const guesses = [0, left, above, (left + above) >> 1, paeth(left, above, corner)];
      plain[at] = (filtered[row * (rowBytes + 1) + 1 + column] as number) + (guesses[filter ?? 0] as number);
    }
  }
  return plain;
}

function paeth(left: number, above: number, corner: number): number {
  const [byLeft, byAbove, byCorner] = [
    Math.abs(above - corner),
    Math.abs(left - corner),
    Math.abs(left + above - 2 * corner),
  ];
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}

function coloursOf(pixels: Buffer): Uint32Array {
  return Uint32Array.from({ length: pixels.length / 3 }, (_, index) => pixels.readUIntBE(index * 3, 3));
}

function channelsOf(colour: number): number[] {
  return [colour >> 16, (colour >> 8) & 255, colour & 255];
}

/** The index of the colour in the palette that is nearest to this one. */
function nearest(colour: number, palette: readonly number[]): number {
  const wanted = channelsOf(colour);
  const distances = palette.map((other) =>
    channelsOf(other).reduce((sum, channel, index) => sum + (channel - (wanted[index] ?? 0)) ** 2, 0),
  );
  return distances.indexOf(Math.min(...distances));
}
