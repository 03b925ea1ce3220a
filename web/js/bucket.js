// @ts-check
/** So many at once, and so many a second in the long run. Pure: the clock is handed in. */
export class Bucket {
  #most;
  #perSecond;
  #tokens;
  #filledAt;

  /** @param {number} most @param {number} perSecond @param {number} now ms */
  constructor(most, perSecond, now) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#tokens = most;
    this.#filledAt = now;
  }

  /** @param {number} now ms @returns {boolean} whether one more is in order */
  take(now) {
    this.#tokens = Math.min(this.#most, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
