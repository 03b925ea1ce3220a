// @ts-check
/** Work that others cause, done for each of them one at a time and with a pause in between. Pure but for timers. */

export class OneByOne {
  #pause;
  #later;
  /** Whose work is under way or has just been; and what comes next. @type {Map<string, (() => Promise<void>) | null>} */
  #busy = new Map();

  /**
   * @param {number} pause after each, ms
   * @param {(what: () => void, ms: number) => void} [later]
   */
  constructor(pause, later = (what, ms) => void setTimeout(what, ms)) {
    this.#pause = pause;
    this.#later = later;
  }

  /**
   * Of what comes meanwhile the latest is done, and no other: so that there is never more than one to wait.
   * @param {string} whose
   * @param {() => Promise<void>} work
   */
  do(whose, work) {
    if (this.#busy.has(whose)) {
      this.#busy.set(whose, work);
      return;
    }
    this.#busy.set(whose, null);
    const rested = () => {
      const next = this.#busy.get(whose);
      this.#busy.delete(whose);
      if (next) this.do(whose, next);
    };
    void work().catch(() => {}).then(() => this.#later(rested, this.#pause));
  }
}
