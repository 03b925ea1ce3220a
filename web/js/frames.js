// @ts-check
/**
 * Sealing of single audio and video frames, so that a forwarder passes on what it cannot see
 * (docs/protocol.md, "Frames"). Pure: no worker, no connection; time is handed in.
 *
 *     sealed frame = clear || AES-256-GCM(body) || tag(16) || stream(1) || epoch(2) || counter(4)
 */
import { concat, lengthPrefixed, utf8 } from "./bytes.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {"microphone" | "camera" | "screen" | "screen_audio"} Source
 * @typedef {"audio" | "video"} Kind
 *
 * Why a frame was not let through. `no_key`: none of this epoch, perhaps not yet.
 * @typedef {"short" | "no_key" | "replayed" | "unsealing_failed"} FrameFault
 */

const TAG = 16;
const TRAILER = 7;
/** What a sealed frame is longer than a plain one, in bytes. */
export const OVERHEAD = TAG + TRAILER;
/** Counters and epochs are never used twice, so these are their ends. */
export const LAST_COUNTER = 0xffff_ffff;
export const LAST_EPOCH = 0xffff;
const STREAMS = 256;
/** How far a frame may come behind the newest of its stream, in counters of its sender. */
export const WINDOW = 2048;
/** Keys of one sender that are kept at once. */
const KEYS = 4;
/** A key opens for so long after the first frame under a newer one, ms. */
export const OVERLAP = 2_000;

const LABEL = utf8("konsil/1 frame\0");

export class FrameRefusal extends Error {
  /** @param {FrameFault} fault */
  constructor(fault) {
    super(fault);
    this.name = "FrameRefusal";
    this.fault = fault;
  }
}

/**
 * How much of a frame stays readable, since packets are made and taken apart by it: of VP8 the frame
 * tag, and in key frames the start code and size as well (RFC 6386 section 9.1); of Opus the TOC byte
 * (RFC 6716 section 3.1).
 *
 * @param {Kind} kind
 * @param {Uint8Array} data plain or sealed: the deciding bit is in the clear
 */
export function clearLength(kind, data) {
  if (kind === "audio") return 1;
  return ((data[0] ?? 1) & 1) === 0 ? 10 : 3;
}

/**
 * Binds a frame to who sends it from where, and to its own clear bytes.
 *
 * @param {{room: string, sender: string, source: Source}} origin
 * @returns {Bytes} what comes before the clear bytes and the trailer
 */
export function contextOf({ room, sender, source }) {
  return concat(LABEL, lengthPrefixed(room), lengthPrefixed(sender), lengthPrefixed(source));
}

/**
 * @param {CryptoKey} key
 * @param {{context: Bytes, kind: Kind, stream: number, epoch: number, counter: number}} as
 * @param {Uint8Array} frame
 * @returns {Promise<Bytes>}
 * @throws {FrameRefusal} short: it has no room for the clear bytes
 */
export async function sealFrame(key, { context, kind, stream, epoch, counter }, frame) {
  const clear = clearLength(kind, frame);
  if (frame.length < clear) throw new FrameRefusal("short");
  const sealed = new Uint8Array(frame.length + OVERHEAD);
  sealed.set(frame.subarray(0, clear));
  const trailer = sealed.length - TRAILER;
  const view = new DataView(sealed.buffer);
  view.setUint8(trailer, stream);
  view.setUint16(trailer + 1, epoch);
  view.setUint32(trailer + 3, counter);
  const parameters = gcm(context, sealed.subarray(0, clear), sealed.subarray(trailer), counter);
  const body = /** @type {Bytes} */ (frame.subarray(clear));
  sealed.set(new Uint8Array(await crypto.subtle.encrypt(parameters, key, body)), clear);
  return sealed;
}

/**
 * What a frame says of itself, not to be believed before it has opened.
 *
 * @param {Kind} kind
 * @param {Uint8Array} sealed
 * @returns {{stream: number, epoch: number, counter: number}}
 * @throws {FrameRefusal} short
 */
export function trailerOf(kind, sealed) {
  if (sealed.length < clearLength(kind, sealed) + OVERHEAD) throw new FrameRefusal("short");
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const at = sealed.length - TRAILER;
  return { stream: view.getUint8(at), epoch: view.getUint16(at + 1), counter: view.getUint32(at + 3) };
}

/**
 * @param {CryptoKey} key
 * @param {{context: Bytes, kind: Kind}} as
 * @param {Uint8Array} sealed
 * @returns {Promise<Bytes>}
 * @throws {FrameRefusal} short, unsealing_failed
 */
export async function openFrame(key, { context, kind }, sealed) {
  const { counter } = trailerOf(kind, sealed);
  const clear = clearLength(kind, sealed);
  const trailer = sealed.length - TRAILER;
  const parameters = gcm(context, sealed.subarray(0, clear), sealed.subarray(trailer), counter);
  try {
    const body = /** @type {Bytes} */ (sealed.subarray(clear, trailer));
    const opened = new Uint8Array(await crypto.subtle.decrypt(parameters, key, body));
    return concat(sealed.subarray(0, clear), opened);
  } catch {
    throw new FrameRefusal("unsealing_failed");
  }
}

/**
 * The nonce is the counter alone: a sender counts all its frames under one key together.
 *
 * @param {Bytes} context
 * @param {Uint8Array} clear
 * @param {Uint8Array} trailer
 * @param {number} counter
 */
function gcm(context, clear, trailer, counter) {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setUint32(8, counter);
  return { name: "AES-GCM", iv, additionalData: concat(context, clear, trailer), tagLength: 128 };
}

/** Which counters of one stream were taken, the newest and `WINDOW` before it. */
export class ReplayWindow {
  #newest = -1;
  #taken = new Uint8Array(WINDOW);

  /** @param {number} counter @returns {boolean} whether it is new, and not too old to tell */
  isFresh(counter) {
    if (counter > this.#newest) return true;
    return counter > this.#newest - WINDOW && this.#taken[counter % WINDOW] === 0;
  }

  /** @param {number} counter a fresh one, of a frame that has opened */
  take(counter) {
    if (counter - this.#newest >= WINDOW) this.#taken.fill(0);
    else for (let at = this.#newest + 1; at < counter; at += 1) this.#taken[at % WINDOW] = 0;
    this.#taken[counter % WINDOW] = 1;
    this.#newest = Math.max(this.#newest, counter);
  }
}

/** The frames that this page sends: one key at a time, one counter for all of them. */
export class FrameSealer {
  /** @type {{key: CryptoKey, epoch: number} | null} */
  #present = null;
  #epoch = -1;
  #counter = 0;
  #nextStream = 0;

  /** @param {number} epoch rises @param {CryptoKey | null} key never used before; null: seal no more */
  setKey(epoch, key) {
    if (key !== null && epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#present = key && { key, epoch };
    this.#counter = 0;
  }

  /** @returns {number} names one encoding of one source, so that its replay window is its own */
  newStream() {
    const stream = this.#nextStream % STREAMS;
    this.#nextStream += 1;
    return stream;
  }

  /**
   * @param {{context: Bytes, kind: Kind, stream: number}} as
   * @param {Uint8Array} frame
   * @returns {Promise<Bytes>}
   * @throws {FrameRefusal} no_key, short
   */
  async seal(as, frame) {
    if (this.#present === null || this.#counter > LAST_COUNTER) throw new FrameRefusal("no_key");
    const { key, epoch } = this.#present;
    const counter = this.#counter;
    this.#counter += 1;
    return sealFrame(key, { ...as, epoch, counter }, frame);
  }
}

/**
 * @typedef {{key: CryptoKey, windows: Map<string, ReplayWindow>, until: number}} OpeningKey until: ms
 */

/** The frames of one sender. */
export class FrameOpener {
  /** @type {Map<number, OpeningKey>} */
  #keys = new Map();
  #newest = -1;

  /** @param {number} epoch @param {CryptoKey} key */
  addKey(epoch, key) {
    if (this.#keys.has(epoch)) return;
    this.#keys.set(epoch, { key, windows: new Map(), until: Number.POSITIVE_INFINITY });
    for (const old of [...this.#keys.keys()].sort((a, b) => b - a).slice(KEYS)) this.#keys.delete(old);
  }

  /**
   * @param {{context: Bytes, kind: Kind, source: Source}} as
   * @param {Uint8Array} sealed
   * @param {number} now ms
   * @returns {Promise<Bytes>}
   * @throws {FrameRefusal}
   */
  async open({ context, kind, source }, sealed, now) {
    const { stream, epoch, counter } = trailerOf(kind, sealed);
    const known = this.#keys.get(epoch);
    if (known === undefined || now > known.until) throw new FrameRefusal("no_key");
    const name = `${source} ${stream}`;
    if (known.windows.get(name)?.isFresh(counter) === false) throw new FrameRefusal("replayed");
    const frame = await openFrame(known.key, { context, kind }, sealed);
    // Only what has opened may move a window, or anybody could; and the same frame may have been
    // under way twice.
    const window = known.windows.get(name) ?? new ReplayWindow();
    known.windows.set(name, window);
    if (!window.isFresh(counter)) throw new FrameRefusal("replayed");
    window.take(counter);
    this.#used(epoch, now);
    return frame;
  }

  /**
   * The sender has gone over to a newer key: whoever was thrown out then has the older ones.
   *
   * @param {number} epoch
   * @param {number} now
   */
  #used(epoch, now) {
    if (epoch <= this.#newest) return;
    this.#newest = epoch;
    for (const [older, entry] of this.#keys) {
      if (older < epoch) entry.until = Math.min(entry.until, now + OVERLAP);
    }
  }
}
