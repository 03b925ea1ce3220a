// @ts-check
/**
 * When a line is too thin for pictures, and when it may be tried again. Pure: the clock and what was
 * measured are handed in. One for what goes out, and in a group one for what comes in.
 *
 * A line that carries no picture any more does not tell what it would carry. So the way back is a trial:
 * the picture returns, and when it goes badly again soon, the next trial comes later.
 *
 * @typedef {object} Measured of about one second
 * @property {number | null} lost part of the packets of sound that did not arrive, 0 to 1
 * @property {number | null} room bit/s that the browser believes to have; of what goes out only
 * @property {number | null} roundTrip ms
 * @property {boolean} stalled of several pictures that should come none does
 *
 * @typedef {"picture" | "thin" | "trial" | "chosen"} LineState thin: sound only, until a trial goes well;
 *   chosen: sound only, until the person wants otherwise
 */

/** Bad when any is worse than `bad`; good when all are better than `good`; else neither. */
const LOST = Object.freeze({ bad: 0.12, good: 0.04 });
const ROOM = Object.freeze({ bad: 110_000, good: 180_000 });
const ROUND_TRIP = Object.freeze({ bad: 1_500, good: 700 });

/** A bad line for so long, good moments taken off, ends the picture, ms. In a trial sooner. */
const PATIENCE = 5_000;
const TRIAL_PATIENCE = 3_000;
/** A trial that has lasted as long has gone well, ms. */
const TRIAL = 12_000;
/** A good line without a picture for so long is worth a trial, ms; doubled with each that goes badly. */
const FIRST_WAIT = 10_000;
const LONGEST_WAIT = 160_000;
/** After so long with a picture all earlier trials are forgotten, ms. */
const FORGET = 120_000;
/** The browser's belief begins low and rises; before that nothing is judged by it, ms. In a trial sooner. */
const SETTLING = 8_000;
const TRIAL_SETTLING = 5_000;
/** No step of time counts for more: a page that slept has measured nothing, ms. */
const LONGEST_STEP = 2_500;

/**
 * @param {Measured} measured
 * @param {boolean} picture whether one goes over the line: without one nothing is known of its room
 * @returns {"bad" | "good" | "between"}
 */
export function gradeOf({ lost, room, roundTrip, stalled }, picture) {
  const known = picture ? room : null;
  const bad = stalled || (lost !== null && lost > LOST.bad) || (known !== null && known < ROOM.bad)
    || (roundTrip !== null && roundTrip > ROUND_TRIP.bad);
  if (bad) return "bad";
  const good = (lost === null || lost < LOST.good) && (known === null || known > ROOM.good)
    && (roundTrip === null || roundTrip < ROUND_TRIP.good);
  return good ? "good" : "between";
}

export class Line {
  /** @type {LineState} */
  state = "picture";
  #last;
  #since;
  #began;
  /** How long the line has been bad, or without a picture good, ms. */
  #bad = 0;
  #good = 0;
  #wait = FIRST_WAIT;

  /** @param {number} now ms */
  constructor(now) {
    this.#last = now;
    this.#since = now;
    this.#began = now;
  }

  /** Pictures may go over it. */
  get open() {
    return this.state === "picture" || this.state === "trial";
  }

  /** Another connection, or a picture where there was none: its estimate begins anew. @param {number} now ms */
  settle(now) {
    this.#began = now;
  }

  /**
   * @param {Measured} measured
   * @param {number} now ms
   * @returns {boolean} whether the state is another one now
   */
  take(measured, now) {
    const step = Math.min(LONGEST_STEP, Math.max(0, now - this.#last));
    this.#last = now;
    if (this.state === "chosen") return false;
    const settled = now - this.#began >= SETTLING
      && (this.state !== "trial" || now - this.#since >= TRIAL_SETTLING);
    const grade = gradeOf(settled ? measured : { ...measured, room: null, stalled: false }, this.open);
    if (grade === "bad") {
      this.#bad += step;
      this.#good = 0;
    } else if (grade === "good") {
      this.#bad = Math.max(0, this.#bad - step);
      this.#good += step;
    }
    const lasted = now - this.#since;
    switch (this.state) {
      case "picture":
        if (lasted > FORGET) this.#wait = FIRST_WAIT;
        return this.#bad >= PATIENCE && this.#go("thin", now);
      case "thin":
        return this.#good >= this.#wait && this.#go("trial", now);
      case "trial":
        if (this.#bad >= TRIAL_PATIENCE) {
          this.#wait = Math.min(LONGEST_WAIT, this.#wait * 2);
          return this.#go("thin", now);
        }
        return lasted >= TRIAL && this.#go("picture", now);
    }
  }

  /** The person wants sound only, for good. @param {number} now ms */
  choose(now) {
    this.#go("chosen", now);
  }

  /** The person wants the picture again, at once; a bad line ends it again. @param {number} now ms */
  again(now) {
    this.#wait = FIRST_WAIT;
    if (!this.open) this.#go("trial", now);
  }

  /** @param {LineState} state @param {number} now */
  #go(state, now) {
    this.state = state;
    this.#since = now;
    this.#bad = 0;
    this.#good = 0;
    return true;
  }
}
