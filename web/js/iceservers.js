// @ts-check
/**
 * The relays that a call may use: asked for when they may be had, and again before the credentials
 * expire (docs/protocol.md section 8). Pure but for `ask`: clock and timer are handed in.
 */
import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./api.js").IceView} IceView
 *
 * @typedef {object} IceServersOptions
 * @property {() => Promise<IceView>} ask
 * @property {() => number} [now] ms, monotonic
 * @property {(ms: number, task: () => void) => () => void} [later] gives what cancels it
 *
 * @typedef {object} IceServersEvents
 * @property {[change: {renewed: boolean}]} change `current` is another one; renewed: it lasts longer than
 *   the one before, which connections in use hold
 */

/** Credentials are renewed when so much of their life is over. */
const RENEW_AT = 0.8;
/** A later expiry is worth a new path only beyond this, ms. */
const LONGER = 60_000;
/** Bounds of the pause after a try in vain, ms. */
const PAUSE = Object.freeze({ first: 1_000, most: 30_000 });
/** No renewal sooner than this, ms; the longest delay a timer takes. */
const SOONEST = 30_000;
const TIMER_MOST = 2 ** 31 - 1;

/** @extends {Emitter<IceServersEvents>} */
export class IceServers extends Emitter {
  /** @type {RTCIceServer[]} */
  current = [];
  #ask;
  #now;
  #later;
  #wanted = false;
  #expires = 0;
  /** @type {number} */
  #pause = PAUSE.first;
  /** @type {Promise<void> | null} */
  #asking = null;
  /** @type {() => void} */
  #cancel = () => {};
  #tried = gate();
  #known = gate();

  /** @param {IceServersOptions} options */
  constructor({ ask, now = () => performance.now(), later = timer }) {
    super();
    this.#ask = ask;
    this.#now = now;
    this.#later = later;
  }

  /** From now on they may be had, and are kept fresh. */
  want() {
    if (!this.#wanted) void this.refresh();
  }

  /** @returns {Promise<void>} when an answer has come, or none */
  refresh() {
    this.#wanted = true;
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** They may not be had any more; what is there is kept until it expires. */
  stop() {
    this.#wanted = false;
    this.#cancel();
  }

  /**
   * @param {{success: boolean, within: number}} wish success: a try in vain does not count; within: ms
   * @returns {Promise<void>} when they are known, or the time is over
   */
  ready({ success, within }) {
    return new Promise((resolve) => {
      const cancel = this.#later(within, resolve);
      void (success ? this.#known : this.#tried).opened.then(() => {
        cancel();
        resolve();
      });
    });
  }

  async #askOnce() {
    this.#cancel();
    const view = await this.#ask().catch(() => null);
    if (view === null) {
      this.#again(this.#pause);
      this.#pause = Math.min(this.#pause * 2, PAUSE.most);
    } else {
      this.#pause = PAUSE.first;
      this.#again(Math.max(view.ttl * 1000 * RENEW_AT, SOONEST));
      this.#take(view);
    }
    this.#tried.open();
  }

  /** @param {number} ms */
  #again(ms) {
    if (this.#wanted) this.#cancel = this.#later(Math.min(ms, TIMER_MOST), () => void this.refresh());
  }

  /** @param {IceView} view */
  #take({ ice_servers: servers, ttl }) {
    const expires = this.#now() + ttl * 1000;
    const renewed = this.#expires > 0 && expires > this.#expires + LONGER;
    const changed = JSON.stringify(servers) !== JSON.stringify(this.current);
    this.#expires = expires;
    this.current = servers;
    this.#known.open();
    if (changed) this.emit("change", { renewed });
  }
}

/** @param {number} ms @param {() => void} task */
function timer(ms, task) {
  const id = setTimeout(task, ms);
  return () => clearTimeout(id);
}

/** @returns {{opened: Promise<void>, open: () => void}} */
function gate() {
  /** @type {() => void} */
  let open = () => {};
  const opened = /** @type {Promise<void>} */ (new Promise((resolve) => {
    open = resolve;
  }));
  return { opened, open };
}
