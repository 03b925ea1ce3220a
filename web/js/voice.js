// @ts-check
/**
 * Whether somebody speaks into a microphone that is off, or whether one that is on gives nothing. Pure: the
 * clock and the level are handed in. It speaks up seldom: who goes on talking to somebody in the same room
 * has heard it once.
 *
 * @typedef {"" | "muted" | "silent"} Warning muted: one speaks and is not heard; silent: the microphone is
 *   on and there is not even the noise of a room
 */

/** From here on it is speech, and below it is none any more, dB relative to full scale. */
const SPEECH = -38;
const PAUSE = -46;
/** No microphone that works is as quiet as this: its own noise is louder. */
const NOTHING = -85;

/** Speech for so long, ms; of pauses half is taken off, so that typing and a chair never come to it. */
const TALKING = 700;
/** The warning goes by itself after so long without speech, ms. */
const LINGER = 6_000;
/** Until it comes again while the microphone stays off, ms; doubled. After the third it does not. */
const AGAIN = 45_000;
const MOST_WARNINGS = 3;

/** No step of time counts for more: a page that slept has heard nothing, ms. */
const LONGEST_STEP = 300;

/** Nothing for so long, ms; where there has been sound before, longer: some devices close by themselves. */
const SILENT = 8_000;
const SILENT_AFTER_SOUND = 40_000;

export class Voice {
  /** @type {Warning} */
  warning = "";
  #on = true;
  #talked = 0;
  #lastSpeech = Number.NEGATIVE_INFINITY;
  #speaking = false;
  #last;
  #warnings = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #nothing = 0;
  #sounded = false;
  #silentTold = false;

  /** @param {number} now ms */
  constructor(now) {
    this.#last = now;
  }

  /** @param {boolean} on the microphone was switched @param {number} now ms */
  switched(on, now) {
    if (on === this.#on) return;
    this.#on = on;
    this.warning = "";
    this.#talked = 0;
    this.#nothing = 0;
    this.#speaking = false;
    this.#lastSpeech = Number.NEGATIVE_INFINITY;
    this.#last = now;
    // Said once, and the person has done something about it: the next time is another time.
    if (on) {
      this.#warnings = 0;
      this.#notBefore = Number.NEGATIVE_INFINITY;
    }
  }

  /** Another microphone. @param {number} now ms */
  replaced(now) {
    this.#nothing = 0;
    this.#sounded = false;
    this.#silentTold = false;
    if (this.warning === "silent") this.warning = "";
    this.#last = now;
  }

  /** The person has read it. @param {number} now ms */
  dismiss(now) {
    if (this.warning === "muted") this.#pause(now);
    this.warning = "";
  }

  /**
   * @param {number} level dB relative to full scale, of the last moment
   * @param {number} now ms
   * @returns {boolean} whether the warning is another one now
   */
  hear(level, now) {
    const before = this.warning;
    const step = Math.min(LONGEST_STEP, Math.max(0, now - this.#last));
    this.#last = now;
    if (this.#on) this.#hearOn(level, step);
    else this.#hearOff(level, step, now);
    return this.warning !== before;
  }

  /** @param {number} level @param {number} step */
  #hearOn(level, step) {
    if (level > NOTHING) {
      this.#nothing = 0;
      this.#sounded = true;
      if (this.warning === "silent") this.warning = "";
      return;
    }
    this.#nothing += step;
    if (this.#silentTold || this.#nothing < (this.#sounded ? SILENT_AFTER_SOUND : SILENT)) return;
    this.#silentTold = true;
    this.warning = "silent";
  }

  /** @param {number} level @param {number} step @param {number} now */
  #hearOff(level, step, now) {
    this.#speaking = level > (this.#speaking ? PAUSE : SPEECH);
    if (this.#speaking) {
      this.#lastSpeech = now;
      this.#talked += step;
    } else {
      this.#talked = Math.max(0, this.#talked - step / 2);
    }
    if (this.warning === "muted") {
      if (now - this.#lastSpeech <= LINGER) return;
      this.warning = "";
      this.#pause(now);
    } else if (this.#talked >= TALKING && now >= this.#notBefore && this.#warnings < MOST_WARNINGS) {
      this.#warnings += 1;
      this.warning = "muted";
    }
  }

  /** @param {number} now */
  #pause(now) {
    this.#talked = 0;
    this.#notBefore = now + AGAIN * 2 ** (this.#warnings - 1);
  }
}
