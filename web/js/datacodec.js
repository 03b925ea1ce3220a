// @ts-check
/**
 * What goes over the data channels between two pages (docs/protocol.md section 11), and a check that
 * takes nothing else. Pure; tests/vectors/data.json holds its known answers.
 */
import { fromBase64url, toBase64url } from "./bytes.js";
import { isCleanText, MOST_TEXT } from "./chattext.js";
import { isSafeKind, isSafeName } from "./filename.js";

/**
 * @typedef {import("./chattext.js").Edit} Edit
 * @typedef {"declined" | "withdrawn" | "too_large" | "too_many"} DeclineReason
 * @typedef {"cancelled" | "withdrawn" | "unreadable" | "unwritable" | "damaged"} CancelReason
 *
 * @typedef {{own: number, other: number}} Known highest numbers of lines: of the one who speaks, and of
 *   the one who is spoken to
 * @typedef {{n: number, id: string, text: string, ago: number, proof: string}} Line
 *
 * @typedef {{type: "hello", version: 1, lines: Known, files: boolean, sending: string[]}} Hello
 * @typedef {{type: "line"} & Line} LineMessage
 * @typedef {{type: "returned"} & Line} ReturnedMessage
 * @typedef {{type: "ack", n: number}} AckMessage
 * @typedef {{type: "draft", id: string, start: boolean, edits: Edit[]}} DraftMessage
 * @typedef {{type: "consent", files: boolean}} ConsentMessage
 * @typedef {{type: "offer", file: string, name: string, size: number, kind: string}} OfferMessage
 * @typedef {{type: "accept", file: string, from: number}} AcceptMessage
 * @typedef {{type: "decline", file: string, reason: DeclineReason}} DeclineMessage
 * @typedef {{type: "got", file: string, bytes: number}} GotMessage
 * @typedef {{type: "end", file: string, sha256: string}} EndMessage
 * @typedef {{type: "done", file: string}} DoneMessage
 * @typedef {{type: "cancel", file: string, reason: CancelReason}} CancelMessage
 *
 * @typedef {{type: "hand", up: boolean, ago: number}} HandMessage
 * @typedef {{type: "lower"}} LowerMessage
 * @typedef {{type: "picture", sent: "yes" | "thin" | "chosen", wanted: boolean}} PictureMessage
 *
 * @typedef {"cancelled" | "failed" | "withdrawn"} PhotoEnd
 * @typedef {{type: "photo_ask", photo: string}
 *   | {type: "photo_answer", photo: string, agreed: boolean}
 *   | {type: "photo_taken", photo: string, width: number, height: number}
 *   | {type: "photo_end", photo: string, reason: PhotoEnd}} PhotoMessage
 *
 * @typedef {OfferMessage | AcceptMessage | DeclineMessage | GotMessage | EndMessage | DoneMessage
 *   | CancelMessage} FileMessage
 * @typedef {LineMessage | ReturnedMessage | AckMessage | DraftMessage} ChatMessage
 * @typedef {HandMessage | LowerMessage | PictureMessage} CallMessage
 * @typedef {Hello | ChatMessage | ConsentMessage | PhotoMessage | FileMessage | CallMessage} DataMessage
 *
 * @typedef {{file: string, offset: number, bytes: Uint8Array}} Chunk
 *
 * @typedef {"too_large" | "malformed" | "unknown_type" | "bad_field" | "unexpected" | "out_of_range"
 *   | "unknown_file" | "too_many" | "too_fast"} DataRefusalReason
 */

/** Why something that came was not taken. */
export class DataRefusal extends Error {
  /**
   * @param {DataRefusalReason} reason
   * @param {string} [field]
   */
  constructor(reason, field = "") {
    super(field === "" ? reason : `${reason}: ${field}`);
    this.name = "DataRefusal";
    this.reason = reason;
    this.field = field;
  }
}

/** Longest message, in bytes of UTF-8. */
export const MOST_MESSAGE = 24_576;
/** Most bytes of a file in one chunk; with its head it stays below what every browser takes at once. */
export const MOST_CHUNK = 61_440;
/** File id and offset in front of a chunk's bytes. */
const CHUNK_HEAD = 12 + 8;
/** Largest file, 64 GiB. */
export const MOST_SIZE = 2 ** 36;
/** Highest number of a line. */
const MOST_NUMBER = 2 ** 31;
/** A line, or a raised hand, is not older than two days, in ms. */
const MOST_AGE = 172_800_000;
/** Most files on their way to one person, and most edits in one draft message. */
export const MOST_FILES = 32;
const MOST_EDITS = 16;
/** Of a photo's sides, pixels. */
const MOST_PIXELS = 16_384;

/** @typedef {(value: unknown) => boolean} Check */

/** @type {(most: number) => Check} */
const integer = (most) => (value) =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most
  && !Object.is(value, -0);
/** @type {Check} */
const number = (value) => value !== 0 && integer(MOST_NUMBER)(value);
/** @type {Check} */
const side = (value) => value !== 0 && integer(MOST_PIXELS)(value);
/** @type {Check} */
const flag = (value) => typeof value === "boolean";
/** 96 bits. @type {Check} */
const id = (value) => typeof value === "string" && /^[\w-]{16}$/.test(value);
/** @type {(length: number) => Check} */
const digest = (length) => (value) =>
  typeof value === "string" && fromBase64url(value)?.length === length;
/** @type {Check} */
const text = (value) => typeof value === "string" && isCleanText(value);
/** @type {Check} */
const line = (value) => text(value) && /** @type {string} */ (value).trim() !== "";
/** @type {(most: number, check: Check) => Check} */
const list = (most, check) => (value) =>
  Array.isArray(value) && value.length <= most && value.every(check);
/** @type {(...values: string[]) => Check} */
const one = (...values) => (value) => typeof value === "string" && values.includes(value);
/** @type {(shape: Shape) => Check} */
const record = (shape) => (value) => {
  if (!isRecord(value)) return false;
  return Object.keys(value).length === Object.keys(shape).length
    && Object.entries(shape).every(([key, check]) => Object.hasOwn(value, key) && check(value[key]));
};

/** @typedef {Readonly<Record<string, Check>>} Shape */

/** @type {Shape} */
const LINE = {
  n: number, id, text: line, ago: integer(MOST_AGE), proof: digest(16),
};

/** @type {Readonly<Record<string, Shape>>} */
const SHAPES = Object.freeze({
  hello: {
    version: (value) => value === 1,
    lines: record({ own: integer(MOST_NUMBER), other: integer(MOST_NUMBER) }),
    files: flag, sending: list(MOST_FILES, id),
  },
  line: LINE,
  returned: LINE,
  ack: { n: number },
  draft: {
    id, start: flag,
    edits: list(MOST_EDITS, record({ at: integer(MOST_TEXT), erase: integer(MOST_TEXT), insert: text })),
  },
  consent: { files: flag },
  photo_ask: { photo: id },
  photo_answer: { photo: id, agreed: flag },
  photo_taken: { photo: id, width: side, height: side },
  photo_end: { photo: id, reason: one("cancelled", "failed", "withdrawn") },
  offer: {
    file: id,
    name: (value) => typeof value === "string" && isSafeName(value),
    size: integer(MOST_SIZE),
    kind: (value) => typeof value === "string" && isSafeKind(value),
  },
  accept: { file: id, from: integer(MOST_SIZE) },
  decline: { file: id, reason: one("declined", "withdrawn", "too_large", "too_many") },
  got: { file: id, bytes: integer(MOST_SIZE) },
  end: { file: id, sha256: digest(32) },
  done: { file: id },
  cancel: {
    file: id, reason: one("cancelled", "withdrawn", "unreadable", "unwritable", "damaged"),
  },
  hand: { up: flag, ago: integer(MOST_AGE) },
  lower: {},
  picture: { sent: one("yes", "thin", "chosen"), wanted: flag },
});

/**
 * @param {DataMessage} message
 * @returns {string}
 */
export function encodeMessage(message) {
  return JSON.stringify(message);
}

/**
 * @param {string} data
 * @returns {DataMessage}
 * @throws {DataRefusal} too_large, malformed, unknown_type, bad_field
 */
export function decodeMessage(data) {
  // A code unit is three bytes of UTF-8 at most; most messages need no counting.
  if (data.length * 3 > MOST_MESSAGE && new TextEncoder().encode(data).length > MOST_MESSAGE) {
    throw new DataRefusal("too_large");
  }
  const value = parse(data);
  if (!isRecord(value)) throw new DataRefusal("malformed");
  const { type } = value;
  if (typeof type !== "string" || !Object.hasOwn(SHAPES, type)) throw new DataRefusal("unknown_type");
  const shape = /** @type {Shape} */ (SHAPES[type]);
  for (const [key, check] of Object.entries(shape)) {
    if (!Object.hasOwn(value, key) || !check(value[key])) throw new DataRefusal("bad_field", key);
  }
  const unknown = Object.keys(value).find((key) => key !== "type" && !Object.hasOwn(shape, key));
  if (unknown !== undefined) throw new DataRefusal("bad_field", unknown.slice(0, 32));
  return /** @type {DataMessage} */ (/** @type {unknown} */ (value));
}

/**
 * @param {string} file
 * @param {number} offset of the first byte
 * @param {Uint8Array} bytes 1 to MOST_CHUNK of them
 * @returns {import("./bytes.js").Bytes}
 */
export function encodeChunk(file, offset, bytes) {
  const chunk = new Uint8Array(CHUNK_HEAD + bytes.length);
  chunk.set(/** @type {Uint8Array} */ (fromBase64url(file)), 0);
  new DataView(chunk.buffer).setBigUint64(12, BigInt(offset));
  chunk.set(bytes, CHUNK_HEAD);
  return chunk;
}

/**
 * @param {ArrayBuffer} data
 * @returns {Chunk} its bytes are a view of `data`
 * @throws {DataRefusal} too_large, malformed
 */
export function decodeChunk(data) {
  if (data.byteLength > CHUNK_HEAD + MOST_CHUNK) throw new DataRefusal("too_large");
  if (data.byteLength <= CHUNK_HEAD) throw new DataRefusal("malformed");
  const offset = new DataView(data).getBigUint64(12);
  if (offset >= BigInt(MOST_SIZE)) throw new DataRefusal("malformed");
  return {
    file: toBase64url(new Uint8Array(data, 0, 12)),
    offset: Number(offset),
    bytes: new Uint8Array(data, CHUNK_HEAD),
  };
}

/** @param {string} data @returns {unknown} */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new DataRefusal("malformed");
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
