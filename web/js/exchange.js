// @ts-check
/**
 * One exchange with one other participant: commit, key, reveal, sealed (docs/protocol.md section 7).
 *
 * A table of (state, kind) says what may come when; anything else is a refusal, and a refusal is
 * final. Nothing here knows of sockets or connections. The methods are async because WebCrypto is;
 * the caller must let each finish before the next (partner.js does), as counters must stay in order.
 */
import { fromBase64url, toBase64url, utf8 } from "./bytes.js";
import { checkFingerprints, decodeContent, encodeContent } from "./content.js";
import {
  Refusal, checkCommitment, decodeShare, deriveKeys, seal, transcriptOf, unseal,
} from "./sealing.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./sealing.js").OwnShare} OwnShare
 * @typedef {import("./sealing.js").ExchangeKeys} ExchangeKeys
 * @typedef {import("./sealing.js").Context} Context
 * @typedef {import("./sealing.js").RefusalReason} RefusalReason
 *
 * @typedef {"commit" | "key" | "reveal" | "sealed"} Kind
 * What is said beside the exchange, unnumbered and unsealed: it can end an exchange, as any garbage can,
 * but never open one.
 * @typedef {"restart" | "again" | "refused"} Notice
 * @typedef {{kind: Kind | Notice, exchange: string, seq: number, payload: Bytes}} Signal
 *
 * committed: A has sent its commitment. idle: B has nothing yet. keyed: B has sent its share.
 * @typedef {"committed" | "idle" | "keyed" | "open" | "refused"} ExchangeState
 *
 * What came of a signal: things to hand on, in this order.
 * @typedef {{type: "send", data: string}
 *   | {type: "ready"}
 *   | {type: "verified", verified: "link" | "code", code: string}
 *   | {type: "content", content: Content}
 *   | {type: "refused", reason: RefusalReason}} Output
 */

/** What `restart` and `again` name, for they belong to no exchange. */
export const NO_EXCHANGE = "A".repeat(16);

/** Counters whose repetition after a reconnect is told from a replay; a mailbox holds no more. */
const REMEMBERED = 256;

/**
 * @param {Kind | Notice} kind
 * @param {string} exchange
 * @param {number} seq
 * @param {Uint8Array} payload
 */
export function encodeSignal(kind, exchange, seq, payload) {
  return `${kind}.${exchange}.${seq}.${toBase64url(payload)}`;
}

/** Sent before kept signals are sent again, so that their repetition is no surprise (section 7.4). */
export function againNotice() {
  return encodeSignal("again", NO_EXCHANGE, 0, new Uint8Array());
}

const SIGNAL = /^(commit|key|reveal|sealed|restart|again|refused)\.([\w-]{16})\.(0|[1-9]\d{0,14})\.([\w-]*)$/;

/**
 * @param {string} data
 * @returns {Signal}
 * @throws {Refusal} malformed
 */
export function decodeSignal(data) {
  const [, kind, exchange = "", seq, text = ""] = SIGNAL.exec(data) ?? [];
  const payload = fromBase64url(text);
  if (kind === undefined || payload === null) throw new Refusal("malformed");
  return {
    kind: /** @type {Signal["kind"]} */ (kind), exchange, seq: Number(seq), payload,
  };
}

/**
 * @typedef {object} ExchangeOptions
 * @property {boolean} initiator
 * @property {Context} context
 * @property {OwnShare} own never used in another exchange
 * @property {Bytes | null} linkSecret
 * @property {boolean} secretRequired a partner without the link's secret is refused
 */

export class Exchange {
  /** @type {ExchangeState} */
  state;
  #options;
  #next = { sent: 0, taken: 0 };
  /** How often either side has reconnected, and when (in that count) each counter was taken. */
  #reconnections = 0;
  /** @type {Map<number, number>} */
  #takenAt = new Map();
  /** @type {Bytes | null} */
  #commitment = null;
  /** @type {Bytes | null} */
  #fingerprint = null;
  /** @type {ExchangeKeys | null} */
  #keys = null;
  /** @type {"link" | "code"} */
  #verified = "code";
  #told = false;

  /** @param {ExchangeOptions} options */
  constructor(options) {
    this.#options = options;
    this.state = options.initiator ? "committed" : "idle";
  }

  get id() {
    return this.#options.context.exchange;
  }

  /** The initiator's first signal. @returns {Output[]} */
  begin() {
    return [this.#send("commit", this.#options.own.commitment)];
  }

  /** Either side has reconnected: what was taken so far may come once more (section 5). */
  reconnected() {
    this.#reconnections += 1;
  }

  /**
   * @param {Signal} signal of this exchange
   * @returns {Promise<Output[]>}
   */
  async receive(signal) {
    if (this.state === "refused") return [];
    try {
      if (!this.#take(signal.seq)) return [];
      const transition = TRANSITIONS[this.state][/** @type {Kind} */ (signal.kind)];
      if (!transition) throw new Refusal("malformed");
      return await transition(this, signal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [this.refuse(error.reason)];
    }
  }

  /**
   * @param {RefusalReason} reason
   * @returns {Output}
   */
  refuse(reason) {
    this.state = "refused";
    this.#keys = null;
    return { type: "refused", reason };
  }

  /**
   * @param {Content} content
   * @returns {Promise<Output[]>} nothing when there are no keys (any more)
   */
  async seal(content) {
    if (!this.#keys) return [];
    const { fromInitiator, fromResponder } = this.#keys;
    const seq = this.#next.sent;
    this.#next.sent += 1;
    const ciphertext = await seal(
      this.#options.initiator ? fromInitiator : fromResponder,
      this.#sealedAs(this.#options.initiator, seq),
      encodeContent(content),
    );
    return [{ type: "send", data: encodeSignal("sealed", this.id, seq, ciphertext) }];
  }

  /** Step 1, at B. @param {Signal} signal */
  async onCommit(signal) {
    if (signal.payload.length !== 32) throw new Refusal("malformed");
    this.#commitment = signal.payload;
    this.state = "keyed";
    return [this.#send("key", this.#options.own.share)];
  }

  /** Step 2, at A. @param {Signal} signal */
  async onKey(signal) {
    const { own } = this.#options;
    await this.#agree(own.share, signal.payload, signal.payload);
    return [this.#send("reveal", own.share), ready];
  }

  /** Step 3, at B. @param {Signal} signal */
  async onReveal(signal) {
    if (!this.#commitment) throw new Refusal("malformed");
    await checkCommitment(this.#commitment, signal.payload);
    await this.#agree(signal.payload, this.#options.own.share, signal.payload);
    return [ready];
  }

  /** Step 4. @param {Signal} signal */
  async onSealed(signal) {
    if (!this.#keys || !this.#fingerprint) throw new Refusal("malformed");
    const { fromInitiator, fromResponder, code } = this.#keys;
    const plaintext = await unseal(
      this.#options.initiator ? fromResponder : fromInitiator,
      this.#sealedAs(!this.#options.initiator, signal.seq),
      signal.payload,
    );
    const content = decodeContent(plaintext);
    const negotiated = "data" in content ? content.data : content;
    if ("description" in negotiated) checkFingerprints(negotiated.description.sdp, this.#fingerprint);
    /** @type {Output[]} */
    const outputs = [];
    if (!this.#told) {
      // Only now: before the first seal has opened nothing shows that the other has the same keys.
      this.#told = true;
      outputs.push({ type: "verified", verified: this.#verified, code });
    }
    outputs.push({ type: "content", content });
    return outputs;
  }

  /**
   * Section 7.2.
   *
   * @param {Bytes} shareA
   * @param {Bytes} shareB
   * @param {Bytes} theirs which of the two came from the other side
   */
  async #agree(shareA, shareB, theirs) {
    const { own, context, linkSecret, secretRequired } = this.#options;
    const share = decodeShare(theirs);
    if (secretRequired && !share.hasSecret) throw new Refusal("secret_missing");
    const byLink = own.hasSecret && share.hasSecret;
    this.#keys = await deriveKeys({
      privateKeys: own.privateKeys,
      publicKeys: share.publicKeys,
      transcript: await transcriptOf(context, shareA, shareB),
      linkSecret: byLink ? linkSecret : null,
    });
    this.#fingerprint = share.fingerprint;
    this.#verified = byLink ? "link" : "code";
    this.state = "open";
  }

  /**
   * Each counter is taken once, in order (section 7.4).
   *
   * @param {number} seq
   * @returns {boolean} false: had already, and may be dropped
   */
  #take(seq) {
    if (seq > this.#next.taken) throw new Refusal("out_of_order");
    if (seq < this.#next.taken) {
      const takenAt = this.#takenAt.get(seq);
      if (takenAt === undefined || takenAt >= this.#reconnections) throw new Refusal("replayed");
      this.#takenAt.set(seq, this.#reconnections);
      return false;
    }
    this.#next.taken += 1;
    this.#takenAt.set(seq, this.#reconnections);
    this.#takenAt.delete(seq - REMEMBERED);
    return true;
  }

  /**
   * @param {Kind} kind
   * @param {Bytes} payload
   * @returns {Output}
   */
  #send(kind, payload) {
    const seq = this.#next.sent;
    this.#next.sent += 1;
    return { type: "send", data: encodeSignal(kind, this.id, seq, payload) };
  }

  /**
   * @param {boolean} byInitiator
   * @param {number} seq
   */
  #sealedAs(byInitiator, seq) {
    const { room, initiator, responder } = this.#options.context;
    const [sender, recipient] = byInitiator ? [initiator, responder] : [responder, initiator];
    return { room, sender, recipient, exchange: this.id, seq };
  }
}

/** @type {Output} */
const ready = { type: "ready" };

/** @typedef {(exchange: Exchange, signal: Signal) => Promise<Output[]>} Transition */

/** @type {Record<ExchangeState, Partial<Record<Kind, Transition>>>} */
const TRANSITIONS = {
  committed: { key: (exchange, signal) => exchange.onKey(signal) },
  idle: { commit: (exchange, signal) => exchange.onCommit(signal) },
  keyed: { reveal: (exchange, signal) => exchange.onReveal(signal) },
  open: { sealed: (exchange, signal) => exchange.onSealed(signal) },
  refused: {},
};
