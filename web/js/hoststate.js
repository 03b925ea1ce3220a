// @ts-check
/**
 * The host's way: the link opens the room at once; the desk is the room with its waiting list, and
 * the call takes place on it. Pure.
 *
 * @typedef {"loading" | "trouble" | "early" | "entering" | "desk" | "problem" | "over"} HostPhase
 * @typedef {import("./visitstate.js").VisitData & {phase: HostPhase}} HostState
 * @typedef {import("./visitstate.js").VisitEvent} VisitEvent
 * @typedef {import("./protocol.js").ParticipantView} ParticipantView
 */
import { machine } from "./store.js";
import { absorb, ANYWHERE, NEW_VISIT, nameOf } from "./visitstate.js";

/** @typedef {Readonly<Record<string, HostPhase>>} Row */

/** @type {Row} */
const ROOM = {
  you_admitted: "desk", you_in_call: "desk",
  bye_ended: "over", bye_left: "over", bye_removed: "over", bye_taken_over: "over", leave: "over",
  refused: "problem",
};

/** @type {Row} */
const ASKING = { link: "entering", early: "early", refused: "problem", trouble: "trouble" };

/** @type {Readonly<Record<HostPhase, Row>>} */
export const HOST = {
  loading: ASKING,
  trouble: { ...ASKING, retry: "loading" },
  early: { ...ASKING, trouble: "early" },
  entering: { ...ROOM, early: "early" },
  desk: ROOM,
  problem: { retry: "loading", enter: "entering" },
  over: { retry: "loading", enter: "entering" },
};

/** @type {HostState} */
export const HOST_START = Object.freeze({ ...NEW_VISIT, phase: /** @type {HostPhase} */ ("loading") });

/** @type {(state: HostState, event: VisitEvent) => HostState} */
export const reduceHost = machine(HOST, nameOf, absorb, ANYWHERE);

/**
 * Those who wait, first come first.
 * @param {HostState} state
 * @returns {readonly ParticipantView[]}
 */
export function waitingOf(state) {
  return state.room?.participants.filter((p) => p.status === "waiting") ?? [];
}

/**
 * Those who have knocked between two states, where the host is to hear it.
 * @param {HostState} before
 * @param {HostState} after
 * @returns {readonly ParticipantView[]}
 */
export function knocksBetween(before, after) {
  const known = new Set(waitingOf(before).map((p) => p.id));
  const inside = new Set(before.call.map((remote) => remote.id));
  return waitingOf(after).filter((p) => p.connected && !known.has(p.id) && !inside.has(p.id));
}

/**
 * Whether the host talks with somebody; then nothing may make a sound. Somebody who has closed the
 * tab without leaving is no company.
 * @param {HostState} state
 */
export function talking(state) {
  return state.call.some((remote) => remote.present || remote.connection === "connected");
}
