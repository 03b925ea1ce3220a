// @ts-check
/**
 * Keys and ciphertexts of the sealed negotiation (docs/protocol.md section 7).
 *
 * Pure: no socket, no clock, no state; random bytes are handed in, except that WebCrypto makes the
 * key pairs itself. Runs in a page and under node alike.
 */
import { concat, equalBytes, lengthPrefixed, toBase64url, utf8 } from "./bytes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/**
 * Why an exchange ended for good (section 7.4).
 * @typedef {"commit_mismatch" | "no_common_suite" | "unsealing_failed" | "fingerprint_mismatch"
 *   | "malformed" | "replayed" | "out_of_order" | "secret_missing" | "too_many"} RefusalReason
 */

/** @type {ReadonlySet<string>} */
const REASONS = new Set(/** @satisfies {RefusalReason[]} */ ([
  "commit_mismatch", "no_common_suite", "unsealing_failed", "fingerprint_mismatch", "malformed",
  "replayed", "out_of_order", "secret_missing", "too_many",
]));

/**
 * @param {string} text
 * @returns {text is RefusalReason}
 */
export function isRefusalReason(text) {
  return REASONS.has(text);
}

export class Refusal extends Error {
  /** @param {RefusalReason} reason */
  constructor(reason) {
    super(reason);
    this.name = "Refusal";
    this.reason = reason;
  }
}

export const X25519 = 1;
export const P256 = 2;
const HAS_LINK_SECRET = 1;
const NONCE_LENGTH = 16;
export const FINGERPRINT_LENGTH = 32;

/**
 * @typedef {object} Suite
 * @property {EcKeyGenParams | {name: string}} algorithm for WebCrypto
 * @property {number} length of a public key in bytes
 */
/** Lowest number first: the first that both sides name is used. @type {ReadonlyMap<number, Suite>} */
const SUITES = new Map([
  [X25519, { algorithm: { name: "X25519" }, length: 32 }],
  [P256, { algorithm: { name: "ECDH", namedCurve: "P-256" }, length: 65 }],
]);

const { subtle } = globalThis.crypto;

/** @param {string} text */
const label = (text) => utf8(`${text}\0`);

/**
 * @typedef {object} Share
 * @property {boolean} hasSecret
 * @property {ReadonlyMap<number, Bytes>} publicKeys by suite; unknown suites are left out
 * @property {Bytes} fingerprint SHA-256 of the DTLS certificate
 */

/**
 * One side's contribution to one exchange, and what it must keep to itself.
 * @typedef {object} OwnShare
 * @property {Bytes} share as it goes over the wire
 * @property {Bytes} commitment to it
 * @property {ReadonlyMap<number, CryptoKey>} privateKeys by suite
 * @property {boolean} hasSecret
 */

/** @type {Promise<readonly number[]> | undefined} */
let ownSuites;

/** Suites this browser can do, found out once. */
export function supportedSuites() {
  ownSuites ??= subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]).then(
    () => [X25519, P256],
    () => [P256],
  );
  return ownSuites;
}

/**
 * Fresh key pairs and the share that names them.
 *
 * @param {{hasSecret: boolean, fingerprint: Uint8Array, nonce: Uint8Array, suites?: readonly number[]}} input
 *   nonce: 16 random bytes
 * @returns {Promise<OwnShare>}
 */
export async function makeShare({ hasSecret, fingerprint, nonce, suites }) {
  const numbers = suites ?? (await supportedSuites());
  const made = await Promise.all(
    numbers.map(async (number) => {
      const pair = /** @type {CryptoKeyPair} */ (
        await subtle.generateKey(suiteOf(number).algorithm, false, ["deriveBits"])
      );
      const publicKey = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
      return { number, privateKey: pair.privateKey, publicKey };
    }),
  );
  const share = encodeShare({
    hasSecret,
    publicKeys: new Map(made.map(({ number, publicKey }) => [number, publicKey])),
    nonce,
    fingerprint,
  });
  return {
    share,
    commitment: await commitmentTo(share),
    privateKeys: new Map(made.map(({ number, privateKey }) => [number, privateKey])),
    hasSecret,
  };
}

/**
 * @param {{hasSecret: boolean, publicKeys: ReadonlyMap<number, Uint8Array>, nonce: Uint8Array,
 *   fingerprint: Uint8Array}} input
 * @returns {Bytes}
 */
export function encodeShare({ hasSecret, publicKeys, nonce, fingerprint }) {
  if (nonce.length !== NONCE_LENGTH) throw new RangeError("a share's nonce has 16 bytes");
  if (fingerprint.length !== FINGERPRINT_LENGTH) throw new RangeError("a fingerprint has 32 bytes");
  const keys = [...publicKeys].sort(([a], [b]) => a - b);
  return concat(
    Uint8Array.of(hasSecret ? HAS_LINK_SECRET : 0, keys.length),
    ...keys.map(([number, key]) => concat(Uint8Array.of(number, key.length), key)),
    nonce,
    fingerprint,
  );
}

/**
 * @param {Uint8Array} bytes
 * @returns {Share}
 * @throws {Refusal} malformed
 */
export function decodeShare(bytes) {
  let at = 0;
  /** @param {number} length */
  const take = (length) => {
    if (at + length > bytes.length) throw new Refusal("malformed");
    at += length;
    return bytes.slice(at - length, at);
  };
  const [flags = 0, count = 0] = take(2);
  if ((flags & ~HAS_LINK_SECRET) !== 0) throw new Refusal("malformed");
  /** @type {Map<number, Bytes>} */
  const publicKeys = new Map();
  let last = 0;
  for (let index = 0; index < count; index += 1) {
    const [number = 0, length = 0] = take(2);
    if (number <= last) throw new Refusal("malformed");
    last = number;
    const key = take(length);
    const suite = SUITES.get(number);
    if (!suite) continue;
    if (length !== suite.length) throw new Refusal("malformed");
    publicKeys.set(number, key);
  }
  take(NONCE_LENGTH);
  const fingerprint = take(FINGERPRINT_LENGTH);
  if (at !== bytes.length) throw new Refusal("malformed");
  return { hasSecret: flags === HAS_LINK_SECRET, publicKeys, fingerprint };
}

/**
 * @param {Bytes} share
 * @returns {Promise<Bytes>}
 */
export async function commitmentTo(share) {
  return sha256(label("konsil/1 commit"), share);
}

/**
 * @param {Bytes} commitment
 * @param {Bytes} share
 * @throws {Refusal} commit_mismatch
 */
export async function checkCommitment(commitment, share) {
  if (!equalBytes(commitment, await commitmentTo(share))) throw new Refusal("commit_mismatch");
}

/**
 * @typedef {object} Context
 * @property {string} room
 * @property {string} initiator participant A
 * @property {string} responder participant B
 * @property {string} exchange
 */

/**
 * @param {Context} context
 * @param {Uint8Array} shareA
 * @param {Uint8Array} shareB
 * @returns {Promise<Bytes>}
 */
export async function transcriptOf(context, shareA, shareB) {
  return sha256(
    label("konsil/1 transcript"),
    lengthPrefixed(context.room),
    lengthPrefixed(context.initiator),
    lengthPrefixed(context.responder),
    lengthPrefixed(context.exchange),
    lengthPrefixed(shareA),
    lengthPrefixed(shareB),
  );
}

/**
 * @typedef {object} ExchangeKeys
 * @property {CryptoKey} fromInitiator AES-256-GCM, seals from A to B
 * @property {CryptoKey} fromResponder seals from B to A
 * @property {string} code the security code, six digits
 */

/**
 * @param {object} input
 * @param {ReadonlyMap<number, CryptoKey>} input.privateKeys own, by suite
 * @param {ReadonlyMap<number, Bytes>} input.publicKeys the other's
 * @param {Bytes} input.transcript
 * @param {Bytes | null} input.linkSecret 16 bytes where both flags say so, else null
 * @returns {Promise<ExchangeKeys>}
 * @throws {Refusal} no_common_suite, or malformed: a point that is none
 */
export async function deriveKeys({ privateKeys, publicKeys, transcript, linkSecret }) {
  const input = await subtle.importKey(
    "raw",
    await agree(privateKeys, publicKeys),
    "HKDF",
    false,
    ["deriveBits", "deriveKey"],
  );
  const salt = linkSecret ?? new Uint8Array(32);
  /** @param {string} purpose */
  const hkdf = (purpose) => ({
    name: "HKDF", hash: "SHA-256", salt, info: concat(label(purpose), transcript),
  });
  /** @param {string} purpose */
  const sealingKey = (purpose) =>
    subtle.deriveKey(hkdf(purpose), input, { name: "AES-GCM", length: 256 }, false,
      ["encrypt", "decrypt"]);
  const [fromInitiator, fromResponder, code] = await Promise.all([
    sealingKey("konsil/1 key A>B"),
    sealingKey("konsil/1 key B>A"),
    subtle.deriveBits(hkdf("konsil/1 code"), input, 64),
  ]);
  const digits = new DataView(code).getBigUint64(0) % 1_000_000n;
  return { fromInitiator, fromResponder, code: digits.toString().padStart(6, "0") };
}

/**
 * @typedef {object} SealedAs
 * @property {string} room
 * @property {string} sender
 * @property {string} recipient
 * @property {string} exchange
 * @property {number} seq of the signal; never twice under one key, as it is the nonce
 */

/**
 * @param {CryptoKey} key
 * @param {SealedAs} as
 * @param {Bytes} plaintext
 * @returns {Promise<Bytes>} ciphertext and tag
 */
export async function seal(key, as, plaintext) {
  return new Uint8Array(await subtle.encrypt(gcm(as), key, plaintext));
}

/**
 * @param {CryptoKey} key
 * @param {SealedAs} as
 * @param {Bytes} ciphertext
 * @returns {Promise<Bytes>}
 * @throws {Refusal} unsealing_failed
 */
export async function unseal(key, as, ciphertext) {
  try {
    return new Uint8Array(await subtle.decrypt(gcm(as), key, ciphertext));
  } catch {
    throw new Refusal("unsealing_failed");
  }
}

/**
 * Ours and theirs: section 2's way from a tab's secret to the name everybody sees.
 *
 * @param {string} room
 * @param {string} secret
 * @returns {Promise<string>}
 */
export async function participantOf(room, secret) {
  const hash = await sha256(label("konsil/1 participant"), utf8(room), Uint8Array.of(0), utf8(secret));
  return toBase64url(hash.subarray(0, 16));
}

/** @param {SealedAs} as */
function gcm({ room, sender, recipient, exchange, seq }) {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setBigUint64(4, BigInt(seq));
  const additionalData = concat(
    label("konsil/1 sealed"),
    lengthPrefixed(room),
    lengthPrefixed(sender),
    lengthPrefixed(recipient),
    lengthPrefixed(exchange),
    lengthPrefixed("sealed"),
  );
  return { name: "AES-GCM", iv, additionalData, tagLength: 128 };
}

/**
 * @param {ReadonlyMap<number, CryptoKey>} privateKeys
 * @param {ReadonlyMap<number, Bytes>} publicKeys
 * @returns {Promise<ArrayBuffer>} 32 bytes
 */
async function agree(privateKeys, publicKeys) {
  for (const [number, { algorithm }] of SUITES) {
    const [own, theirs] = [privateKeys.get(number), publicKeys.get(number)];
    if (!own || !theirs) continue;
    try {
      const publicKey = await subtle.importKey("raw", theirs, algorithm, false, []);
      const secret = await subtle.deriveBits({ name: algorithm.name, public: publicKey }, own, 256);
      // RFC 7748 section 6.1: a point of small order gives zeros whatever our key is.
      if (new Uint8Array(secret).some((byte) => byte !== 0)) return secret;
    } catch {
      // Not a point of the curve; WebCrypto does not say more.
    }
    throw new Refusal("malformed");
  }
  throw new Refusal("no_common_suite");
}

/** @param {number} number */
function suiteOf(number) {
  const suite = SUITES.get(number);
  if (!suite) throw new RangeError(`suite ${number} is unknown`);
  return suite;
}

/** @param {...Uint8Array} parts */
async function sha256(...parts) {
  return new Uint8Array(await subtle.digest("SHA-256", concat(...parts)));
}
