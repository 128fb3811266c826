/*
 * Clients and servers as text. The same few come again and again, so their texts are kept.
 */
import { hostKey, hostOf, type SocketAddress } from "../runtime/socket-address.ts";

/** The IP literal of an address, which is read during the call only. */
export type AddressText = (address: SocketAddress) => string;

const mostKept = 4096;

/** Creates the function, which keeps 4,096 texts. */
export function createAddressText(): AddressText {
  const texts = new Map<string, string>();

  return (address) => {
    const key = hostKey(address);
    const known = texts.get(key);
    if (known !== undefined) return known;
    if (texts.size >= mostKept) texts.clear();
    const text = hostOf(address);
    texts.set(key, text);
    return text;
  };
}
