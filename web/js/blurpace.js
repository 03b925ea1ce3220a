// @ts-check
/**
 * How many pictures a second can be blurred without taking the machine away from the call. Pure. Every
 * picture that is sent has been looked at itself: fewer pictures, and never one with the cut of another.
 */

/** Pictures a second at best, and those below which it is no picture any more. */
const BEST = 30;
const LEAST = 7;
/** Share of one core that it may take. */
const SHARE = 0.6;
/** What one more picture counts in the average. */
const NEWS = 0.1;
/** It is too slow when it has been for so long, ms. A machine that opens a program is slow for a moment. */
const PATIENCE = 8_000;
/** After a pause as long as this, ms, what was before says nothing. */
const PAUSE = 2_000;

export class BlurPace {
  /** Work for one picture, ms. */
  #cost = 0;
  #last = Number.NEGATIVE_INFINITY;
  /** Too slow since then. @type {number | null} */
  #slowSince = null;

  /** Between two pictures, ms. */
  get interval() {
    return Math.max(1000 / BEST, this.#cost / SHARE);
  }

  /** @param {number} now ms @returns {boolean} whether a picture of now is to be taken */
  takes(now) {
    // Cameras are not exact to the millisecond.
    if (now - this.#last < this.interval * 0.8) return false;
    if (now - this.#last > PAUSE) this.#slowSince = null;
    this.#last = now;
    return true;
  }

  /**
   * @param {number} cost of the picture, ms
   * @param {number} now ms
   * @returns {boolean} whether this machine is too slow
   */
  took(cost, now) {
    this.#cost = this.#cost === 0 ? cost : this.#cost + (cost - this.#cost) * NEWS;
    if (this.interval <= 1000 / LEAST) this.#slowSince = null;
    else this.#slowSince ??= now;
    return this.#slowSince !== null && now - this.#slowSince >= PATIENCE;
  }
}
