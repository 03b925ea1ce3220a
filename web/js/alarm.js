// @ts-check
/** Rings at a time of day. A device that sleeps stops timers; this one looks at the clock again and again. */

/** How often, ms. */
const LOOK = 15_000;

export class Alarm {
  #at = Infinity;
  #ring = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    document.addEventListener("visibilitychange", this.#look);
    addEventListener("pageshow", this.#look);
  }

  /** In place of what was set before. @param {number} at ms since 1970 @param {() => void} ring */
  set(at, ring) {
    this.#at = at;
    this.#ring = ring;
    this.#look();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#at = Infinity;
  }

  #look = () => {
    clearTimeout(this.#timer);
    const left = this.#at - Date.now();
    if (left === Infinity) return;
    if (left > 0) {
      this.#timer = setTimeout(this.#look, Math.min(left, LOOK));
    } else {
      this.stop();
      this.#ring();
    }
  };
}
