// @ts-check
/** What the end of a socket means: come back, when, or not at all (docs/protocol.md section 6). */

/**
 * @typedef {object} Verdict
 * @property {boolean} fatal the page must not come back by itself
 * @property {string} code of section 6, as far as it is known
 * @property {boolean} [atOnce] come back without the usual pause
 * @property {number} [pause] at least, in ms
 */

/** Codes after which coming back is right. Every other code of section 6 is final. */
const PASSING = new Set([
  "hello_expected", "slow_down", "slow_reader", "store_unavailable", "going_away", "too_large",
  "internal",
]);

/** Close codes that mean the same when no `error` came before them. @type {ReadonlyMap<number, string>} */
const FINAL_CLOSES = new Map([
  [4400, "bad_message"],
  [4401, "token_invalid"],
  [4403, "not_allowed"],
  [4409, "taken_over"],
  [4410, "room_ended"],
  [4423, "room_locked"],
]);

/**
 * @param {import("./protocol.js").ErrorMessage | null} error the last that answered no command
 * @param {number} closeCode
 * @returns {Verdict}
 */
export function judge(error, closeCode) {
  if (error) {
    const fatal = !PASSING.has(error.code);
    const pause = error.retry_after === undefined ? 0 : error.retry_after * 1000;
    // A page that was too fast, or too slow, would be so again at once.
    const least = error.code === "slow_down" || error.code === "slow_reader" ? 2000 : 0;
    return { fatal, code: error.code, pause: Math.max(pause, least),
      atOnce: error.code === "going_away" };
  }
  const code = FINAL_CLOSES.get(closeCode);
  if (code !== undefined) return { fatal: true, code };
  if (closeCode === 1001) return { fatal: false, code: "going_away", atOnce: true };
  if (closeCode === 4503) return { fatal: false, code: "store_unavailable", pause: 1000 };
  return { fatal: false, code: "internal" };
}

/**
 * @param {import("./protocol.js").ByeReason} reason
 * @returns {Verdict}
 */
export function judgeBye(reason) {
  return reason === "going_away"
    ? { fatal: false, code: reason, atOnce: true }
    : { fatal: true, code: reason };
}
