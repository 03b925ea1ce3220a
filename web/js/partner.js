// @ts-check
/**
 * The sealed side of one other participant: which exchange is the present one, and when a new one
 * begins (docs/protocol.md section 7.1). Pure: no connection, no timer; clock and bytes are handed in.
 *
 * Everything runs through one promise chain, since WebCrypto answers later and counters must not
 * overtake one another.
 */
import { fromUtf8, toBase64url, utf8 } from "./bytes.js";
import { Exchange, NO_EXCHANGE, decodeSignal, encodeSignal } from "./exchange.js";
import { isRefusalReason } from "./sealing.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {import("./exchange.js").Output} Output
 * @typedef {import("./exchange.js").Signal} Signal
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./sealing.js").OwnShare} OwnShare
 *
 * `begun`: a new exchange is under way or awaited, and whatever belonged to the former is void.
 * `notice`: like `send`, but not to be kept or repeated after a reconnect.
 * @typedef {Output | {type: "begun"} | {type: "notice", data: string}} PartnerOutput
 *
 * @typedef {{participant: string, role: import("./protocol.js").Role}} Identity
 *
 * @typedef {object} PartnerOptions
 * @property {string} room
 * @property {Identity} self
 * @property {Identity} other
 * @property {Bytes | null} linkSecret
 * @property {() => Promise<OwnShare>} takeShare a fresh one at every call
 * @property {(length: number) => Uint8Array} random
 * @property {() => number} now ms, monotonic
 * @property {(output: PartnerOutput) => void} output
 * @property {import("./standings.js").Standings} standings of all partners of this load of the page
 */

/** Old exchanges whose late signals are passed over in silence. */
const FORMER = 16;

/** `restart` is not authenticated: more often than this it is not listened to. In ms. */
const RESTART_PAUSE = 1000;

/**
 * Section 7.1: the host, else the smaller id.
 *
 * @param {Identity} self
 * @param {Identity} other
 */
export function isInitiator(self, other) {
  if ((self.role === "host") !== (other.role === "host")) return self.role === "host";
  return self.participant < other.participant;
}

export class Partner {
  /** @type {boolean} */
  initiator;
  #options;
  /** @type {Exchange | null} */
  #exchange = null;
  /** @type {string | null} */
  #instance = null;
  /** Refused only because the other side says that it has: its person may start again alone. */
  #refusedThere = false;
  /** The present exchange cannot end in a code. */
  #secretRequired = false;
  /** @type {string[]} */
  #former = [];
  #lastRestart = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** @type {Promise<void>} */
  #chain = Promise.resolve();

  /** @param {PartnerOptions} options */
  constructor(options) {
    this.#options = options;
    this.initiator = isInitiator(options.self, options.other);
  }

  /** Whether keys are agreed upon. */
  get open() {
    return this.#exchange?.state === "open";
  }

  get refused() {
    return this.#exchange?.state === "refused";
  }

  /**
   * The other is here, admitted, with this load of its page.
   *
   * @param {string} instance
   */
  peerSeen(instance) {
    this.#run(async () => {
      if (instance === this.#instance) return;
      const first = this.#instance === null;
      this.#instance = instance;
      if (this.initiator) await this.#open();
      else if (!first) this.#leave();
    });
  }

  /** @param {string} data of a `signal` from this participant */
  receive(data) {
    this.#run(async () => {
      /** @type {Signal} */
      let signal;
      try {
        signal = decodeSignal(data);
      } catch {
        this.#refuseMalformed();
        return;
      }
      if (signal.kind === "again") this.#exchange?.reconnected();
      else if (signal.kind === "restart") await this.#restarted();
      else if (signal.kind === "refused") this.#toldRefused(signal);
      else if (signal.kind === "commit" && !this.initiator) await this.#committed(signal);
      else if (signal.exchange === this.#exchange?.id) await this.#exchanged(signal);
      // Else it belongs to an exchange that is over, or to none: it can neither help nor harm.
    });
  }

  /** Either side's socket has come back (section 5): kept signals may be coming twice. */
  reconnected() {
    this.#run(async () => this.#exchange?.reconnected());
  }

  /** @param {Content} content goes out once the exchange is open; before, and after, it is dropped */
  send(content) {
    this.#run(async () => {
      for (const output of (await this.#exchange?.seal(content)) ?? []) this.#options.output(output);
    });
  }

  /** Nothing has happened for too long: the responder asks for a new exchange. */
  stalled() {
    this.#run(async () => {
      if (!this.initiator && !this.open && !this.refused) this.#askForRestart();
    });
  }

  /** A person wants to start again after a refusal. */
  retry() {
    this.#run(async () => {
      if (this.initiator) {
        await this.#open();
      } else {
        this.#leave();
        this.#askForRestart();
      }
    });
  }

  /** Nothing comes out any more. */
  close() {
    this.#closed = true;
    this.#exchange = null;
  }

  /** @returns {Promise<void>} when everything handed in so far is done (for tests) */
  settled() {
    return this.#chain;
  }

  /** @param {() => Promise<void>} task */
  #run(task) {
    this.#chain = this.#chain.then(() => (this.#closed ? undefined : task())).catch((error) => {
      // A fault of ours or of the browser; the next signal must still find a working chain.
      if (typeof globalThis.reportError === "function") globalThis.reportError(error);
      else throw error;
    });
  }

  /** The initiator begins a new exchange. */
  async #open() {
    const exchange = await this.#begin(toBase64url(this.#options.random(12)));
    this.#output(exchange.begin());
    this.#refuseIfTooMany();
  }

  /** @param {Signal} signal */
  async #committed(signal) {
    if (signal.exchange === this.#exchange?.id) {
      await this.#exchanged(signal);
      return;
    }
    // After a refusal only a person starts again, on this side too.
    if ((this.refused && !this.#refusedThere) || this.#former.includes(signal.exchange)) return;
    await this.#begin(signal.exchange);
    if (!this.#refuseIfTooMany()) await this.#exchanged(signal);
  }

  async #restarted() {
    if (!this.initiator || this.#instance === null) return;
    if (this.refused && !this.#refusedThere) return;
    if (this.#options.now() - this.#lastRestart < RESTART_PAUSE) return;
    this.#lastRestart = this.#options.now();
    await this.#open();
  }

  /** @param {string} id */
  async #begin(id) {
    this.#leave();
    const { room, self, other, linkSecret, takeShare, standings } = this.#options;
    const own = await takeShare();
    this.#secretRequired = linkSecret !== null
      && (self.role !== "host" || standings.hasProven(other.participant));
    const [a, b] = this.initiator ? [self, other] : [other, self];
    const exchange = new Exchange({
      initiator: this.initiator,
      context: { room, initiator: a.participant, responder: b.participant, exchange: id },
      own,
      linkSecret,
      secretRequired: this.#secretRequired,
    });
    this.#exchange = exchange;
    return exchange;
  }

  /** @returns {boolean} whether the exchange just begun was one too many, and is refused */
  #refuseIfTooMany() {
    const { other, standings } = this.#options;
    if (!this.#exchange || this.#secretRequired || standings.attempt(other.participant)) return false;
    this.#output([this.#exchange.refuse("too_many")]);
    return true;
  }

  #leave() {
    if (this.#exchange) this.#former = [this.#exchange.id, ...this.#former].slice(0, FORMER);
    this.#exchange = null;
    this.#refusedThere = false;
    this.#output([{ type: "begun" }]);
  }

  /** @param {Signal} signal */
  async #exchanged(signal) {
    this.#output((await this.#exchange?.receive(signal)) ?? []);
  }

  #askForRestart() {
    const data = encodeSignal("restart", NO_EXCHANGE, 0, new Uint8Array());
    this.#output([{ type: "notice", data }]);
  }

  /** @param {Signal} signal */
  #toldRefused({ exchange, payload }) {
    if (exchange !== this.#exchange?.id || this.refused) return;
    let reason = "";
    try {
      reason = fromUtf8(payload);
    } catch {
      // Whatever it was meant to say, the other side is out.
    }
    this.#refusedThere = true;
    this.#hand(this.#exchange.refuse(isRefusalReason(reason) ? reason : "malformed"));
  }

  #refuseMalformed() {
    // Without an exchange there is nothing to protect yet, and nothing to refuse.
    if (this.#exchange && !this.refused) this.#output([this.#exchange.refuse("malformed")]);
  }

  /** @param {PartnerOutput[]} outputs */
  #output(outputs) {
    for (const output of outputs) {
      this.#hand(output);
      if (output.type !== "refused" || !this.#exchange) continue;
      // Else the other side would go on connecting, and its person would never know why.
      const data = encodeSignal("refused", this.#exchange.id, 0, utf8(output.reason));
      this.#hand({ type: "send", data });
    }
  }

  /** @param {PartnerOutput} output */
  #hand(output) {
    const { other, standings } = this.#options;
    if (output.type === "verified" && output.verified === "link") standings.proven(other.participant);
    if (!this.#closed) this.#options.output(output);
  }
}
