// @ts-check
/** What may be in a written line, and how one state of a draft becomes the next. Pure. */

/** Longest line and draft, in code points. */
export const MOST_TEXT = 4_000;

/**
 * Control characters but line feed and tab, line separators, what turns the direction of the text around
 * it (marks and joiners stay: right-to-left text and emoji need them), and characters that are none.
 */
const UNSAFE = /[\0-\x08\v-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]|\p{Surrogate}/gu;

/**
 * @param {string} text as typed or pasted
 * @returns {string} without what is not taken, and not longer than is taken
 */
export function cleanText(text) {
  const clean = text.replace(/\r\n?/g, "\n").replace(UNSAFE, "");
  return clean.length <= MOST_TEXT ? clean : [...clean].slice(0, MOST_TEXT).join("");
}

/** @param {string} text */
export function isCleanText(text) {
  return text.length <= 2 * MOST_TEXT && cleanText(text) === text;
}

/**
 * One place of a text is replaced; all in code points, so that no character is ever cut in two.
 * @typedef {{at: number, erase: number, insert: string}} Edit
 */

/**
 * @param {string} before
 * @param {string} after
 * @returns {Edit | null} the least that makes one of the other; null: they are the same
 */
export function editBetween(before, after) {
  if (before === after) return null;
  const [a, b] = [[...before], [...after]];
  const shorter = Math.min(a.length, b.length);
  let at = 0;
  while (at < shorter && a[at] === b[at]) at += 1;
  let tail = 0;
  while (tail < shorter - at && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  return { at, erase: a.length - at - tail, insert: b.slice(at, b.length - tail).join("") };
}

/**
 * @param {string} text
 * @param {Edit} edit
 * @returns {string | null} null: there is no such place, or the text would be too long
 */
export function applyEdit(text, { at, erase, insert }) {
  const points = [...text];
  if (at + erase > points.length) return null;
  points.splice(at, erase, ...insert);
  return points.length <= MOST_TEXT ? points.join("") : null;
}
