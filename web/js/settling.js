// @ts-check
/**
 * What has just slid under a finger is not what the finger was meant for: the second half of a double
 * press would decide about the next one. Pure but for the clock.
 */
import { on } from "./dom.js";

/** Longer than the pause within a double press, ms. */
const REST = 500;

export class Settling {
  #rest;
  #now;
  #since = -Infinity;
  /** @type {readonly string[]} */
  #list = [];

  /** @param {number} [rest] ms @param {() => number} [now] ms, never set back */
  constructor(rest = REST, now = () => performance.now()) {
    this.#rest = rest;
    this.#now = now;
  }

  /** Another one lies now where one lay before. */
  moved() {
    this.#since = this.#now();
  }

  /** Who comes at the end moves nobody. @param {readonly string[]} list as it is shown from now on */
  see(list) {
    if (this.#list.some((one, at) => list[at] !== one)) this.moved();
    this.#list = list;
  }

  /** Properties of a button that decides about somebody. @param {() => void} act */
  guard(act) {
    return {
      onclick: on(() => {
        if (this.#now() - this.#since >= this.#rest) act();
      }),
      // However long Enter is held down, it is one press.
      onkeydown: on((/** @type {KeyboardEvent} */ event) => {
        if (event.repeat && event.key === "Enter") event.preventDefault();
      }),
    };
  }
}
