// @ts-check
/**
 * Raised hands (docs/protocol.md section 11.6): who has asked for the word, and in which order. Pure: the
 * clock is handed in, messages come out. One entry for each person in the call, which the room bounds.
 */
import { Bucket } from "./bucket.js";
import { DataRefusal } from "./datacodec.js";

/**
 * @typedef {import("./datacodec.js").HandMessage} HandMessage
 */

/** Messages of one person at once, and per second in the long run. */
const BURST = 6;
const PER_SECOND = 1;
/** Between two messages of our own, ms: slower than anybody refuses. */
export const HAND_PAUSE = 1_200;

export class Hands {
  /** Since when, ms. @type {Map<string, number>} */
  #raised = new Map();
  /** @type {Map<string, Bucket>} */
  #buckets = new Map();
  /** Since when our own is up. @type {number | null} */
  #own = null;

  /** Our own is up. */
  get up() {
    return this.#own !== null;
  }

  /** @param {boolean} up @param {number} now ms */
  raise(up, now) {
    this.#own = up ? this.#own ?? now : null;
  }

  /** @param {number} now ms @returns {HandMessage} how our own is; said after every greeting, too */
  message(now) {
    return { type: "hand", up: this.up, ago: Math.max(0, Math.round(now - (this.#own ?? now))) };
  }

  /**
   * @param {string} person
   * @param {HandMessage} message
   * @param {number} now ms
   * @returns {boolean} whether it went up, or down
   * @throws {DataRefusal} too_fast
   */
  receive(person, { up, ago }, now) {
    this.#count(person, now);
    const was = this.#raised.has(person);
    if (!up) this.#raised.delete(person);
    // Said again after a reconnect: it keeps its place.
    else if (!was) this.#raised.set(person, now - ago);
    return was !== up;
  }

  /**
   * Somebody wants our hand down.
   *
   * @param {string} person
   * @param {boolean} host whether this one may
   * @param {number} now ms
   * @returns {boolean} whether it was up
   * @throws {DataRefusal} unexpected, too_fast
   */
  lower(person, host, now) {
    if (!host) throw new DataRefusal("unexpected", "type");
    this.#count(person, now);
    const was = this.up;
    this.#own = null;
    return was;
  }

  /** @param {string} person has left */
  gone(person) {
    this.#buckets.delete(person);
    return this.#raised.delete(person);
  }

  /** @returns {readonly string[]} whoever has raised a hand, the first first */
  get order() {
    return [...this.#raised].sort(([a, at], [b, then]) => at - then || (a < b ? -1 : 1)).map(([id]) => id);
  }

  /** @param {string} person @param {number} now */
  #count(person, now) {
    const bucket = this.#buckets.get(person) ?? new Bucket(BURST, PER_SECOND, now);
    this.#buckets.set(person, bucket);
    if (!bucket.take(now)) throw new DataRefusal("too_fast");
  }
}
