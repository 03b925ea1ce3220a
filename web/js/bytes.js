// @ts-check
/** Bytes and their text forms: base64url without padding (RFC 4648 section 5), UTF-8, length prefixes. */

/** Bytes in memory of their own, as WebCrypto wants them. @typedef {Uint8Array<ArrayBuffer>} Bytes */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @param {string} text
 * @returns {Bytes}
 */
export function utf8(text) {
  return encoder.encode(text);
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 * @throws {TypeError} not UTF-8
 */
export function fromUtf8(bytes) {
  return decoder.decode(bytes);
}

/**
 * @param {...Uint8Array} parts
 * @returns {Bytes}
 */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * `lp(x)` of protocol section 7: two bytes of length, big-endian, then x.
 *
 * @param {Uint8Array | string} value at most 65,535 bytes; text as UTF-8
 * @returns {Bytes}
 */
export function lengthPrefixed(value) {
  const bytes = typeof value === "string" ? utf8(value) : value;
  if (bytes.length > 0xffff) throw new RangeError("longer than a two-byte length can say");
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes);
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64url(bytes) {
  let text = "";
  // In pieces: an argument list has a bound of its own.
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * One text for one sequence of bytes: padding, other characters and stray bits at the end are refused.
 *
 * @param {string} text
 * @returns {Bytes | null} null: not base64url
 */
export function fromBase64url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
  const tail = text.length % 4;
  if (tail && toBase64url(bytes.subarray(bytes.length - (tail - 1))) !== text.slice(-tail)) return null;
  return bytes;
}

/**
 * Compares in time that does not depend on where the difference is.
 *
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export function equalBytes(a, b) {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at += 1) difference |= (a[at] ?? 0) ^ (b[at] ?? 0);
  return difference === 0;
}
