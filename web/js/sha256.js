// @ts-check
/**
 * SHA-256 (FIPS 180-4), piece by piece, and HMAC (RFC 2104) with it: WebCrypto takes only what is whole,
 * and a file of a gigabyte is never whole in memory. It finds damage; secrecy does not hang on it.
 */
import { concat } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** Bytes that are taken at a time. */
const BLOCK = 64;

const PRIMES = firstPrimes(64);
/** First 32 bits of the fractional parts of the cube and square roots of the first primes (section 4.2.2, 5.3.3). */
const K = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/** @param {number} count */
function firstPrimes(count) {
  /** @type {number[]} */
  const found = [];
  for (let n = 2; found.length < count; n += 1) {
    if (found.every((prime) => n % prime !== 0)) found.push(n);
  }
  return found;
}

/** @param {number} root */
function fraction(root) {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

export class Sha256 {
  #state = START.slice();
  #block = new Uint8Array(BLOCK);
  #view = new DataView(this.#block.buffer);
  #words = new Int32Array(BLOCK);
  #filled = 0;
  #length = 0;

  /**
   * @param {Uint8Array} bytes
   * @returns {this}
   */
  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    if (this.#filled > 0) {
      at = Math.min(BLOCK - this.#filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), this.#filled);
      this.#filled += at;
      if (this.#filled < BLOCK) return this;
      this.#take(this.#view, 0);
      this.#filled = 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (; at + BLOCK <= bytes.length; at += BLOCK) this.#take(view, at);
    this.#block.set(bytes.subarray(at), 0);
    this.#filled = bytes.length - at;
    return this;
  }

  /** @returns {Bytes} 32 bytes; nothing can be added afterwards */
  digest() {
    const bits = this.#length * 8;
    this.#block.fill(0, this.#filled);
    this.#block[this.#filled] = 0x80;
    if (this.#filled >= BLOCK - 8) {
      this.#take(this.#view, 0);
      this.#block.fill(0);
    }
    this.#view.setUint32(BLOCK - 8, Math.floor(bits / 2 ** 32));
    this.#view.setUint32(BLOCK - 4, bits >>> 0);
    this.#take(this.#view, 0);
    const digest = new Uint8Array(32);
    const out = new DataView(digest.buffer);
    this.#state.forEach((word, index) => out.setInt32(index * 4, word));
    return digest;
  }

  /**
   * Section 6.2.2.
   *
   * @param {DataView} view
   * @param {number} at
   */
  #take(view, at) {
    const w = this.#words;
    for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + t * 4);
    for (let t = 16; t < 64; t += 1) {
      const x = /** @type {number} */ (w[t - 15]);
      const y = /** @type {number} */ (w[t - 2]);
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = (/** @type {number} */ (w[t - 16]) + s0 + /** @type {number} */ (w[t - 7]) + s1) | 0;
    }
    const state = this.#state;
    let a = state[0] ?? 0;
    let b = state[1] ?? 0;
    let c = state[2] ?? 0;
    let d = state[3] ?? 0;
    let e = state[4] ?? 0;
    let f = state[5] ?? 0;
    let g = state[6] ?? 0;
    let h = state[7] ?? 0;
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s1 + ((e & f) ^ (~e & g)) + /** @type {number} */ (K[t])
        + /** @type {number} */ (w[t])) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] = (state[0] ?? 0) + a;
    state[1] = (state[1] ?? 0) + b;
    state[2] = (state[2] ?? 0) + c;
    state[3] = (state[3] ?? 0) + d;
    state[4] = (state[4] ?? 0) + e;
    state[5] = (state[5] ?? 0) + f;
    state[6] = (state[6] ?? 0) + g;
    state[7] = (state[7] ?? 0) + h;
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Bytes}
 */
export function sha256(bytes) {
  return new Sha256().update(bytes).digest();
}

/**
 * @param {Uint8Array} key
 * @param {Uint8Array} message
 * @returns {Bytes} 32 bytes
 */
export function hmacSha256(key, message) {
  const block = new Uint8Array(BLOCK);
  block.set(key.length > BLOCK ? sha256(key) : key);
  const inner = sha256(concat(block.map((byte) => byte ^ 0x36), message));
  return sha256(concat(block.map((byte) => byte ^ 0x5c), inner));
}
