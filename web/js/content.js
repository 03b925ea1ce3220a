// @ts-check
/** What is inside a sealed signal (docs/protocol.md section 7.3), and the check of its fingerprints. */
import { fromBase64url, fromUtf8, utf8 } from "./bytes.js";
import { Refusal } from "./sealing.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 *
 * @typedef {{type: "offer" | "answer", sdp: string}} Description
 * @typedef {{audio: boolean, video: boolean}} Media whether microphone and camera are on
 *
 * @typedef {{epoch: number, key?: string}} FrameKey 32 bytes as base64url; without them it is the receipt
 *
 * Of a connection for data alone.
 * @typedef {{description: Description} | {candidate: RTCIceCandidateInit | null}} DataContent
 *
 * Exactly one member.
 * @typedef {{description: Description} | {candidate: RTCIceCandidateInit | null} | {media: Media}
 *   | {restart: true} | {key: FrameKey} | {moved: "p2p" | "sfu"} | {receipt: string} | {screen: boolean}
 *   | {data: DataContent}} Content restart: the
 *   responder asks the initiator to restart ICE; moved: the sender takes our media from there now;
 *   receipt: of the sender's consent, as the server has signed it; screen: whether the sender shows one
 *   over this connection
 */

/** Longest receipt, characters. */
const RECEIPT_MOST = 16_384;

/**
 * @param {Content} content
 * @returns {Bytes}
 */
export function encodeContent(content) {
  return utf8(JSON.stringify(content));
}

/**
 * @param {Uint8Array} plaintext
 * @returns {Content}
 * @throws {Refusal} malformed
 */
export function decodeContent(plaintext) {
  const value = parse(plaintext);
  if (!isRecord(value) || Object.keys(value).length !== 1) throw new Refusal("malformed");
  if ("description" in value && isDescription(value.description)) {
    return { description: value.description };
  }
  if ("candidate" in value && (value.candidate === null || isCandidate(value.candidate))) {
    return { candidate: value.candidate };
  }
  if ("data" in value && isDataContent(value.data)) return { data: value.data };
  if ("media" in value && isMedia(value.media)) return { media: value.media };
  if ("screen" in value && typeof value.screen === "boolean") return { screen: value.screen };
  if ("restart" in value && value.restart === true) return { restart: true };
  if ("key" in value && isFrameKey(value.key)) return { key: value.key };
  if ("moved" in value && (value.moved === "p2p" || value.moved === "sfu")) return { moved: value.moved };
  if ("receipt" in value && isReceipt(value.receipt)) return { receipt: value.receipt };
  throw new Refusal("malformed");
}

/**
 * Every fingerprint a description names must be the one its sender committed itself to before
 * anything else was exchanged; that is what ties the DTLS connection to this exchange.
 *
 * Stricter than an SDP parser: any line that as much as mentions a fingerprint must have this form.
 *
 * @param {string} sdp
 * @param {Uint8Array} fingerprint SHA-256 of the certificate
 * @throws {Refusal} fingerprint_mismatch
 */
export function checkFingerprints(sdp, fingerprint) {
  const expected = formatFingerprint(fingerprint);
  const named = sdp.split(/\r\n|\r|\n/).filter((line) => /fingerprint/i.test(line));
  const right = named.every((line) => {
    const match = /^a=fingerprint:sha-256 ([0-9A-F:]+)$/i.exec(line);
    return match?.[1]?.toUpperCase() === expected;
  });
  if (named.length === 0 || !right) throw new Refusal("fingerprint_mismatch");
}

/**
 * @param {Uint8Array} fingerprint
 * @returns {string} as in SDP: `AB:CD:…` (RFC 8122 section 5)
 */
export function formatFingerprint(fingerprint) {
  return [...fingerprint].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}

/**
 * @param {string} text `AB:CD:…`
 * @returns {Bytes | null}
 */
export function parseFingerprint(text) {
  if (!/^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/i.test(text)) return null;
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

/** @param {Uint8Array} plaintext @returns {unknown} */
function parse(plaintext) {
  try {
    return JSON.parse(fromUtf8(plaintext));
  } catch {
    throw new Refusal("malformed");
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value @returns {value is DataContent} */
function isDataContent(value) {
  if (!isRecord(value) || Object.keys(value).length !== 1) return false;
  if ("description" in value) return isDescription(value.description);
  return "candidate" in value && (value.candidate === null || isCandidate(value.candidate));
}

/** @param {unknown} value @returns {value is Description} */
function isDescription(value) {
  return isRecord(value) && Object.keys(value).length === 2
    && (value.type === "offer" || value.type === "answer") && typeof value.sdp === "string";
}

/** @param {unknown} value @returns {value is RTCIceCandidateInit} */
function isCandidate(value) {
  return isRecord(value) && typeof value.candidate === "string"
    && (value.sdpMid === null || typeof value.sdpMid === "string")
    && (value.sdpMLineIndex === null || typeof value.sdpMLineIndex === "number")
    && (value.usernameFragment === undefined || value.usernameFragment === null
      || typeof value.usernameFragment === "string");
}

/** @param {unknown} value @returns {value is Media} */
function isMedia(value) {
  return isRecord(value) && Object.keys(value).length === 2
    && typeof value.audio === "boolean" && typeof value.video === "boolean";
}

/** @param {unknown} value @returns {value is string} */
function isReceipt(value) {
  return typeof value === "string" && value !== "" && value.length <= RECEIPT_MOST;
}

/** @param {unknown} value @returns {value is FrameKey} */
function isFrameKey(value) {
  if (!isRecord(value) || !Number.isInteger(value.epoch)) return false;
  const { epoch, key, ...more } = value;
  const known = key === undefined || (typeof key === "string" && fromBase64url(key)?.length === 32);
  return Object.keys(more).length === 0 && Number(epoch) >= 0 && Number(epoch) <= 0xffff && known;
}
