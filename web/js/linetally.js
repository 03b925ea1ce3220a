// @ts-check
/**
 * The plan of a measurement and the sum of it. Pure: the time is handed in.
 *
 * First a little, for the round trip; then as much as a call with picture takes, in one direction. As the
 * relay sends it back to the same page, it loads the line in both.
 */

/** @typedef {{kbit: number, wanted: number, loss: number, trip: number, busy: number}} Sum see Line */

/** Times in ms, sizes in bytes. */
export const PLAN = Object.freeze({
  light: Object.freeze({ time: 500, kbit: 40, size: 100 }),
  full: Object.freeze({ time: 3000, kbit: 1200, size: 1100 }),
  /** What is on its way at the end may still come. */
  linger: 500,
  /** More than this waits for no more than one timer that came late; bytes. */
  burst: 8800,
});
/** Of one measurement, as it leaves the page. */
export const MOST_BYTES = Math.ceil(
  (PLAN.light.time * PLAN.light.kbit + PLAN.full.time * PLAN.full.kbit) / 8,
);
/** A number (4 bytes), whether it is of the full part (1), and the time of sending (8). */
const HEAD = 13;

/** @param {number[]} values @param {number} share 0 to 1 */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export class Tally {
  #start;
  /** Messages and bytes sent of each part. */
  #sent = { light: 0, full: 0 };
  /** Which numbers have come, as the channel may bring one twice. @type {Set<number>} */
  #came = new Set();
  /** @type {{light: number[], full: number[]}} */
  #trips = { light: [], full: [] };
  #owed = 0;
  #last;
  #next = 0;
  /** When the first and the last message of the full part came. */
  #from = 0;
  #until = 0;

  /** @param {number} now ms */
  constructor(now) {
    this.#start = now;
    this.#last = now;
  }

  /** Whether everything was sent that is to be. @param {number} now */
  over(now) {
    return now - this.#start >= PLAN.light.time + PLAN.full.time;
  }

  /** Whether what has been sent has had its time to come. @param {number} now */
  done(now) {
    const sent = this.#sent.light + this.#sent.full;
    const rest = now - this.#start - PLAN.light.time - PLAN.full.time;
    return rest >= PLAN.linger || (rest >= 0 && this.#came.size === sent);
  }

  /**
   * The messages that are due.
   * @param {number} now
   * @param {boolean} room whether the channel takes more; what it does not take is not made up for
   * @returns {ArrayBuffer[]}
   */
  due(now, room) {
    const part = now - this.#start < PLAN.light.time ? "light" : "full";
    const { kbit, size } = PLAN[part];
    this.#owed = Math.min(this.#owed + ((now - this.#last) * kbit) / 8, PLAN.burst);
    this.#last = now;
    /** @type {ArrayBuffer[]} */
    const messages = [];
    if (this.over(now)) return messages;
    if (!room) this.#owed = 0;
    while (this.#owed >= size) {
      this.#owed -= size;
      const message = new ArrayBuffer(size);
      const view = new DataView(message);
      view.setUint32(0, this.#next);
      view.setUint8(4, part === "full" ? 1 : 0);
      view.setFloat64(5, now);
      this.#next += 1;
      this.#sent[part] += 1;
      messages.push(message);
    }
    return messages;
  }

  /** @param {ArrayBuffer} message @param {number} now */
  take(message, now) {
    if (message.byteLength < HEAD) return;
    const view = new DataView(message);
    const number = view.getUint32(0);
    const part = view.getUint8(4) === 1 ? "full" : "light";
    const trip = now - view.getFloat64(5);
    if (number >= this.#next || this.#came.has(number) || !(trip >= 0)) return;
    this.#came.add(number);
    this.#trips[part].push(trip);
    if (part === "light") return;
    if (this.#from === 0) this.#from = now;
    this.#until = now;
  }

  /** @returns {Sum | null} null where nothing came */
  sum() {
    const { light, full } = this.#trips;
    if (light.length + full.length === 0) return null;
    const sent = this.#sent.light + this.#sent.full;
    // At a line too slow for it the last ones come late: the time is what they took.
    const time = Math.max(PLAN.full.time, this.#until - this.#from);
    return {
      kbit: (full.length * PLAN.full.size * 8) / time,
      wanted: PLAN.full.kbit,
      loss: 1 - (light.length + full.length) / sent,
      trip: quantile(light.length > 0 ? light : full, 0.5),
      busy: quantile(full.length > 0 ? full : light, 0.95),
    };
  }
}
