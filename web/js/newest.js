// @ts-check
/**
 * Of what each person says the newest, and that once in a while at most: what follows from it may be dear.
 * Pure: the clock is handed in.
 *
 * @template T
 */
export class Newest {
  #pause;
  /** What has not been taken yet. @type {Map<string, T>} */
  #waiting = new Map();
  /** From when on more may be taken of this one, ms. @type {Map<string, number>} */
  #from = new Map();

  /** @param {number} pause ms between two of one person */
  constructor(pause) {
    this.#pause = pause;
  }

  /** @param {string} person @param {T} value goes before all that this one has said */
  put(person, value) {
    this.#waiting.set(person, value);
  }

  /** @param {number} now ms @returns {[person: string, value: T][]} what counts from now on */
  take(now) {
    const due = [...this.#waiting].filter(([person]) => now >= this.#due(person));
    for (const [person] of due) {
      this.#waiting.delete(person);
      this.#from.set(person, now + this.#pause);
    }
    return due;
  }

  /** When there is something to be taken, ms; never: Infinity. */
  get next() {
    return Math.min(...[...this.#waiting.keys()].map((person) => this.#due(person)));
  }

  /** @param {string} person */
  gone(person) {
    this.#waiting.delete(person);
    this.#from.delete(person);
  }

  /** @param {string} person */
  #due(person) {
    return this.#from.get(person) ?? Number.NEGATIVE_INFINITY;
  }
}
