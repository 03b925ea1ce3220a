// @ts-check
/**
 * What the page has asked of the server and not yet seen done: commands until they are answered,
 * signals until they are `delivered` (docs/protocol.md section 5). Pure.
 */

/**
 * @typedef {import("./protocol.js").Command} Command
 * @typedef {import("./protocol.js").OutgoingSignal} OutgoingSignal
 * @typedef {{message: Command | OutgoingSignal, sent: boolean, notBefore: number}} Item
 */

/** Kept at once, commands and signals together; see `add`. */
export const MAX_KEPT = 1024;
/** Signals to one participant that are under way at once: below the server's mailbox of 256. */
const WINDOW = 128;
/** The server allows 40 messages/s after a burst of 200; acks and pings count too. */
const BURST = 150;
const PER_MS = 30 / 1000;

export class Outbox {
  /** In order of `id`, which is the order of sending. @type {Map<number, Item>} */
  #items = new Map();
  /** Recipients who may already have what comes next. @type {Set<string>} */
  #again = new Set();
  #tokens = BURST;
  #refilled = 0;

  /**
   * @param {Command | OutgoingSignal} message its `id` higher than every one before
   * @returns {boolean} false at the bound of MAX_KEPT: nothing was taken
   */
  add(message) {
    if (this.#items.size >= MAX_KEPT) return false;
    this.#items.set(message.id, { message, sent: false, notBefore: 0 });
    return true;
  }

  /** A new socket: everything goes out again, and the server's allowance is fresh. @param {number} now */
  reopened(now) {
    for (const item of this.#items.values()) {
      if (item.sent && item.message.type === "signal") this.#again.add(item.message.to);
      item.sent = false;
    }
    this.#tokens = BURST;
    this.#refilled = now;
  }

  /** The recipient has come back and may have missed what was kept for it. @param {string} to */
  repeat(to) {
    for (const { item, message } of this.#signalsTo(to)) {
      if (item.sent) this.#again.add(message.to);
      item.sent = false;
    }
  }

  /**
   * What may be sent now.
   *
   * @param {number} now ms
   * @param {(to: string) => boolean} reaches whether signals to this one may be sent
   * @returns {{message: Command | OutgoingSignal, again: boolean}[]} again: announce first to its
   *   recipient that signals are repeated
   */
  due(now, reaches = () => true) {
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#refilled) * PER_MS);
    this.#refilled = now;
    /** @type {Map<string, number>} */
    const underWay = new Map();
    /** @type {Set<string>} */
    const held = new Set();
    const due = [];
    for (const item of this.#items.values()) {
      const { message } = item;
      const to = message.type === "signal" ? message.to : null;
      const ahead = to === null ? 0 : (underWay.get(to) ?? 0);
      if (to !== null) underWay.set(to, ahead + 1);
      if (item.sent) continue;
      if (this.#tokens < 2) break;
      const barred = to !== null && (held.has(to) || !reaches(to));
      if (item.notBefore > now || ahead >= WINDOW || barred) {
        // Later ones to the same recipient must not overtake it.
        if (to !== null) held.add(to);
        continue;
      }
      const again = to !== null && this.#again.delete(to);
      this.#tokens -= again ? 2 : 1;
      item.sent = true;
      due.push({ message, again });
    }
    return due;
  }

  /** When `due` is worth asking again; null: not before something else happens. @param {number} now */
  nextTimeout(now) {
    let next = Number.POSITIVE_INFINITY;
    for (const { sent, notBefore } of this.#items.values()) {
      if (sent) continue;
      // Those that wait for a window, or behind another, are set free by something else than time.
      if (this.#tokens < 2) next = Math.min(next, Math.max(notBefore, now + 100));
      else if (notBefore > now) next = Math.min(next, notBefore);
    }
    return Number.isFinite(next) ? next : null;
  }

  /**
   * @param {number} id
   * @returns {Command | OutgoingSignal | undefined}
   */
  get(id) {
    return this.#items.get(id)?.message;
  }

  /** The server will not hear of it now: it and what follows to the same recipient waits.
   *
   * @param {number} id
   * @param {number} notBefore ms
   */
  postpone(id, notBefore) {
    const refused = this.#items.get(id);
    if (!refused) return;
    refused.notBefore = notBefore;
    refused.sent = false;
    if (refused.message.type !== "signal") return;
    for (const { item, message } of this.#signalsTo(refused.message.to)) {
      if (message.id > id) {
        if (item.sent) this.#again.add(message.to);
        item.sent = false;
      }
    }
  }

  /** Answered. @param {number} id */
  settle(id) {
    this.#items.delete(id);
  }

  /** @param {string} to @param {number} upTo */
  delivered(to, upTo) {
    for (const { message } of this.#signalsTo(to)) {
      if (message.id <= upTo) this.#items.delete(message.id);
    }
  }

  /** Signals to somebody who is gone, or has lost what they belonged to. @param {string} to */
  forget(to) {
    for (const { message } of this.#signalsTo(to)) this.#items.delete(message.id);
    this.#again.delete(to);
  }

  /** @returns {Set<string>} */
  recipients() {
    const all = new Set();
    for (const { message } of this.#items.values()) if (message.type === "signal") all.add(message.to);
    return all;
  }

  /** @returns {Command[]} those not answered */
  commands() {
    const all = [];
    for (const { message } of this.#items.values()) if (message.type !== "signal") all.push(message);
    return all;
  }

  clear() {
    this.#items.clear();
    this.#again.clear();
  }

  /** @param {string} to */
  * #signalsTo(to) {
    for (const item of [...this.#items.values()]) {
      if (item.message.type === "signal" && item.message.to === to) {
        yield { item, message: item.message };
      }
    }
  }
}
