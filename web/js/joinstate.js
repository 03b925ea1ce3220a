// @ts-check
/**
 * The client's way: link, devices and name, waiting room, call, end. Pure.
 *
 * @typedef {"loading" | "trouble" | "early" | "ready" | "entering" | "waiting" | "call" | "problem"
 *   | "over"} JoinPhase
 * @typedef {import("./visitstate.js").VisitData & {phase: JoinPhase}} JoinState
 * @typedef {import("./visitstate.js").VisitEvent} VisitEvent
 */
import { machine } from "./store.js";
import { absorb, ANYWHERE, NEW_VISIT, nameOf } from "./visitstate.js";

/** @typedef {Readonly<Record<string, JoinPhase>>} Row */

/** @type {Row} */
const END = {
  bye_ended: "over", bye_left: "over", bye_declined: "over", bye_removed: "over",
  bye_taken_over: "over", leave: "over", refused: "problem",
};

/** @type {Row} */
const ADMISSION = { you_waiting: "waiting", you_admitted: "call", you_in_call: "call" };

/** @type {Row} */
const ASKING = { link: "ready", early: "early", refused: "problem", trouble: "trouble" };

/** @type {Readonly<Record<JoinPhase, Row>>} */
export const JOIN = {
  loading: ASKING,
  trouble: { ...ASKING, retry: "loading" },
  early: { ...ASKING, trouble: "early" },
  ready: { enter: "entering", refused: "problem" },
  entering: { ...ADMISSION, ...END, early: "early", bad_name: "ready" },
  waiting: { ...ADMISSION, ...END },
  call: { ...ADMISSION, ...END },
  problem: { retry: "loading", enter: "entering" },
  over: { retry: "loading", enter: "entering" },
};

/** @type {JoinState} */
export const JOIN_START = Object.freeze({ ...NEW_VISIT, phase: /** @type {JoinPhase} */ ("loading") });

/** @type {(state: JoinState, event: VisitEvent) => JoinState} */
export const reduceJoin = machine(JOIN, nameOf, absorb, ANYWHERE);
