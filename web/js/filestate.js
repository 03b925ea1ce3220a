// @ts-check
/**
 * A file on its way, as state: a table of (state, event) -> state for each side. Pure.
 *
 * @typedef {"offered" | "waiting" | "preparing" | "moving" | "checking" | "done" | "declined"
 *   | "cancelled" | "failed"} FileState waiting: for its turn; moving: bytes go, or would if there were
 *   a connection; checking: all bytes have gone, the receiver compares; cancelled: by a person of
 *   either side; failed: by what went wrong
 *
 * @typedef {"accept" | "decline" | "turn" | "ready" | "all" | "done" | "cancel" | "fail"} FileEvent
 */

/** @typedef {Readonly<Partial<Record<FileEvent, FileState>>>} Row */

/** @type {Row} */
const STOP = { cancel: "cancelled", fail: "failed" };
/** @type {Row} */
const OVER = {};

/** What is sent: accepted by the other, then one after another. @type {Readonly<Record<FileState, Row>>} */
export const SENDING = Object.freeze({
  offered: { ...STOP, accept: "waiting", decline: "declined" },
  waiting: { ...STOP, turn: "moving", decline: "declined" },
  preparing: OVER,
  moving: { ...STOP, all: "checking", decline: "declined" },
  // The other may have lost what it had, or its page, and begins anew.
  checking: { ...STOP, accept: "waiting", done: "done", decline: "declined" },
  done: OVER, declined: OVER, cancelled: OVER, failed: OVER,
});

/** What is received: accepted by the person, then a place for it is made. @type {Readonly<Record<FileState, Row>>} */
export const RECEIVING = Object.freeze({
  offered: { ...STOP, accept: "preparing", decline: "declined" },
  waiting: OVER,
  preparing: { ...STOP, ready: "moving", decline: "declined" },
  moving: { ...STOP, all: "checking" },
  checking: { ...STOP, done: "done" },
  done: OVER, declined: OVER, cancelled: OVER, failed: OVER,
});

/**
 * @param {Readonly<Record<FileState, Row>>} table
 * @param {FileState} state
 * @param {FileEvent} event
 * @returns {FileState} the same where the event has no place
 */
export function nextState(table, state, event) {
  return table[state][event] ?? state;
}

/** @param {FileState} state */
export function isOver(state) {
  return SENDING[state] === OVER && RECEIVING[state] === OVER;
}
