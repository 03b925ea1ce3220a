// @ts-check
/**
 * What this load of the page remembers of other participants' exchanges, so that a server in the middle
 * gains nothing by beginning them again and again (docs/protocol.md section 7.4). Pure.
 *
 * A short code holds because whoever is in the middle has one try at it. An exchange that is given up
 * before anybody compares anything would be a further try, and a server can make both sides begin as
 * often as it likes: by saying that the other page was loaded anew.
 */

/**
 * Exchanges with one participant that may have ended in a code to compare, until a person says to start
 * again. Enough for a bad line and a page that is loaded anew a few times; with as many on the other
 * side a server has 144 tries at one in a million.
 */
export const ATTEMPTS = 12;
/** The same over all participants, since the server also says who is there. */
export const ATTEMPTS_IN_ALL = 60;

export class Standings {
  /** @type {Map<string, number>} no more entries than ATTEMPTS_IN_ALL */
  #attempts = new Map();
  #inAll = 0;
  /** Who has proven the link's secret. @type {Set<string>} */
  #proven = new Set();

  /**
   * An exchange that may end in a code begins.
   *
   * @param {string} participant
   * @returns {boolean} false: there were too many, a person has to decide
   */
  attempt(participant) {
    const made = this.#attempts.get(participant) ?? 0;
    if (made >= ATTEMPTS || this.#inAll >= ATTEMPTS_IN_ALL) return false;
    this.#attempts.set(participant, made + 1);
    this.#inAll += 1;
    return true;
  }

  /**
   * A person wants to start again.
   *
   * @param {string} participant
   */
  forgive(participant) {
    this.#inAll = 0;
    this.#attempts.delete(participant);
  }

  /**
   * A seal made with the link's secret has opened: without it this one is not believed any more. It
   * takes nothing from the bounds, and a page meets no more people than it has admitted.
   *
   * @param {string} participant
   */
  proven(participant) {
    this.#attempts.delete(participant);
    this.#proven.add(participant);
  }

  /** @param {string} participant */
  hasProven(participant) {
    return this.#proven.has(participant);
  }
}
