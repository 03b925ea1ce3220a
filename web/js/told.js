// @ts-check
/**
 * What the host has told those who wait: how it is remembered over a reload of this tab, and how a word
 * about time grows old. Pure but for the tab's memory.
 *
 * @typedef {{text: string, at: number, minutes?: number}} Told  at in ms since 1970
 */
import { keep, recall } from "./tabmemory.js";

const MINUTE = 60_000;

/**
 * What to say of how long it takes, at a time of the server's clock.
 * @param {Told | null} told
 * @param {number} now ms since 1970
 * @returns {{minutes: number} | "longer" | null} null: the host has said nothing of it
 */
export function estimateOf(told, now) {
  if (told?.minutes === undefined) return null;
  const left = told.at + told.minutes * MINUTE - now;
  return left > 0 ? { minutes: Math.max(1, Math.round(left / MINUTE)) } : "longer";
}

/**
 * The words for one who has come since: the same, with the time that is left.
 * @param {Told} told
 * @param {number} now ms since 1970
 * @returns {{text: string, minutes?: number} | null} null where there is nothing left to say
 */
export function retold({ text, at, minutes }, now) {
  const left = minutes === undefined ? -1 : Math.round((at + minutes * MINUTE - now) / MINUTE);
  if (left > 0) return { text, minutes: left };
  return text === "" ? null : { text };
}

/** @param {string} room @param {Told} told */
export function keepTold(room, { text, at, minutes }) {
  keep("told", JSON.stringify({ room, text, at, minutes }));
}

/** Nothing of it stays in the tab when the visit is over. */
export function forgetTold() {
  keep("told", null);
}

/** @param {string} room @returns {Told | null} */
export function recallTold(room) {
  try {
    const kept = JSON.parse(recall("told") ?? "null");
    if (kept?.room !== room || typeof kept.text !== "string" || !Number.isFinite(kept.at)) return null;
    const minutes = Number.isInteger(kept.minutes) ? { minutes: kept.minutes } : {};
    return { text: kept.text, at: kept.at, ...minutes };
  } catch {
    return null;
  }
}
