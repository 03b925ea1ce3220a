// @ts-check
/**
 * All lines of a call in the order in which they were written. Pure.
 *
 * @typedef {object} ChatEntry
 * @property {string} id
 * @property {string} author participant id; "" is this person
 * @property {string} text
 * @property {number} at ms, on this page's clock
 * @property {ReadonlySet<string>} missing own lines: those who do not have it yet
 *
 * @typedef {readonly ChatEntry[]} ChatLog
 */

/** Entries of one author shown at most; older ones are forgotten. */
export const MOST_SHOWN = 500;

/** @type {ReadonlySet<string>} */
const NOBODY = new Set();

/**
 * @param {ChatLog} log
 * @param {{id: string, author: string, text: string, at: number, missing?: ReadonlySet<string>}} line
 * @returns {ChatLog} the same when it is there already
 */
export function addLine(log, { id, author, text, at, missing = NOBODY }) {
  if (log.some((entry) => entry.id === id && entry.author === author)) return log;
  let place = log.length;
  // Nobody's lines change their order, whatever the ages that come with them say.
  while (place > 0) {
    const before = /** @type {ChatEntry} */ (log[place - 1]);
    if (before.at <= at || (before.author === author && author !== "")) break;
    place -= 1;
  }
  const next = [...log.slice(0, place), { id, author, text, at, missing }, ...log.slice(place)];
  const excess = next.filter((entry) => entry.author === author).length - MOST_SHOWN;
  if (excess <= 0) return next;
  const oldest = next.findIndex((entry) => entry.author === author);
  return next.filter((_, index) => index !== oldest);
}

/**
 * @param {ChatLog} log
 * @param {string} person has these own lines now, or will never
 * @param {ReadonlySet<string> | null} ids null: all
 * @returns {ChatLog}
 */
export function markArrived(log, person, ids) {
  return log.map((entry) => {
    if (!entry.missing.has(person) || (ids !== null && !ids.has(entry.id))) return entry;
    return { ...entry, missing: new Set([...entry.missing].filter((other) => other !== person)) };
  });
}
