// @ts-check
/**
 * Every reason for which somebody is not let in, or is out again: what happened and what to do, and
 * which button helps. Pure.
 *
 * `again` asks once more, `enter` goes in again, `reopen` is the host's way back into an ended room.
 *
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {"again" | "enter" | "reopen" | null} Remedy
 * @typedef {readonly [title: Key, advice: Key, remedy: Remedy]} Words
 */

/** Code of the protocol (section 6), of link.js or fragment.js -> words. @type {Readonly<Record<string, Words>>} */
const PROBLEMS = Object.freeze({
  link_missing: ["problem.missing", "problem.missing_do", null],
  link_incomplete: ["problem.incomplete", "problem.incomplete_do", null],
  insecure_context: ["problem.insecure", "problem.insecure_do", null],
  unsupported: ["problem.unsupported", "problem.unsupported_do", null],
  token_invalid: ["problem.invalid", "problem.invalid_do", null],
  token_wrong_role: ["problem.invalid", "problem.invalid_do", null],
  token_closed: ["problem.closed", "problem.closed_do", null],
  token_revoked: ["problem.revoked", "problem.revoked_do", null],
  already_used: ["problem.used", "problem.used_do", null],
  room_ended: ["problem.ended", "problem.ended_do", "again"],
  room_locked: ["problem.locked", "problem.locked_do", "again"],
  room_full: ["problem.full", "problem.full_do", "again"],
  not_allowed: ["problem.not_allowed", "problem.not_allowed_do", null],
  origin_refused: ["problem.origin", "problem.origin_do", null],
});

/** @type {Words} */
const UNKNOWN = ["problem.unknown", "problem.unknown_do", "again"];

/** What a host reads differently. @type {Readonly<Record<string, Words>>} */
const HOST_PROBLEMS = Object.freeze({
  token_closed: ["problem.closed", "problem.host_closed_do", null],
  token_revoked: ["problem.revoked", "problem.host_revoked_do", null],
  room_ended: ["problem.ended", "problem.host_ended_do", "reopen"],
});

/**
 * @param {string} code
 * @param {"join" | "host"} page
 * @returns {Words}
 */
export function problemWords(code, page) {
  if (page === "host" && Object.hasOwn(HOST_PROBLEMS, code)) return HOST_PROBLEMS[code] ?? UNKNOWN;
  return (Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code] : undefined) ?? UNKNOWN;
}

/** @typedef {import("./visitstate.js").Over} Over */

/** @type {Readonly<Record<Over, Words>>} */
const ENDS = Object.freeze({
  ended: ["over.ended", "over.ended_do", null],
  left: ["over.left", "over.left_do", "enter"],
  declined: ["over.declined", "over.declined_do", null],
  removed: ["over.removed", "over.removed_do", null],
  taken_over: ["over.taken_over", "over.taken_over_do", "enter"],
  unsafe: ["over.unsafe", "over.unsafe_do", null],
});

/** @type {Readonly<Partial<Record<Over, Words>>>} */
const HOST_ENDS = Object.freeze({
  ended: ["over.ended", "over.host_ended_do", "reopen"],
  left: ["over.left", "over.host_left_do", "enter"],
});

/**
 * @param {Over} over
 * @param {"join" | "host"} page
 * @returns {Words}
 */
export function overWords(over, page) {
  return (page === "host" ? HOST_ENDS[over] : undefined) ?? ENDS[over];
}
