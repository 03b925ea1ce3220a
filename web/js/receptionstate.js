// @ts-check
/**
 * The reception: links of one or several providers, and for each who waits in which of the open rooms.
 * Pure.
 *
 * @typedef {"works" | "refused" | "missing"} DeviceWord
 *
 * @typedef {object} Waiting times in ms since 1970
 * @property {string} participant
 * @property {string} name
 * @property {number} since
 * @property {boolean} connected
 * @property {{room: string, to: string} | null} onward where the reception has asked this one to go
 * @property {{camera: DeviceWord, microphone: DeviceWord} | null} devices null: not shown
 *
 * @typedef {object} OpenRoom
 * @property {string} room
 * @property {number} opened_at
 * @property {number} closes_at
 * @property {boolean} locked
 * @property {boolean} host_present
 * @property {boolean} in_call
 * @property {readonly Waiting[]} waiting
 *
 * @typedef {object} ReceptionView an answer of the server
 * @property {string} provider
 * @property {number} closes_at
 * @property {readonly OpenRoom[]} rooms
 * @property {number} server_time
 *
 * @typedef {object} Desk one provider, as far as the reception knows
 * @property {string} provider id
 * @property {string} token
 * @property {string} name "" until the first answer
 * @property {number} closesAt
 * @property {readonly OpenRoom[]} rooms
 * @property {string} problem code of why it cannot be seen now; "" for nothing
 * @property {boolean} asked whether there has been an answer, of whatever kind
 *
 * @typedef {"empty" | "open"} ReceptionPhase
 * @typedef {object} ReceptionState
 * @property {ReceptionPhase} phase
 * @property {readonly Desk[]} desks
 * @property {number} skew the server's clock minus this device's, ms
 * @property {string} fault what is wrong with the link that was put in: a code, or ""
 *
 * @typedef {{type: "links", tokens: readonly string[]} | {type: "bad_link"}
 *   | {type: "seen", token: string, view: ReceptionView, now: number}
 *   | {type: "unseen", token: string, code: string}
 *   | {type: "forget", provider: string}} ReceptionEvent
 *
 * @typedef {{token: string, desk: Desk, room: OpenRoom}} Place
 */
import { claimOf, subjectOf } from "./link.js";

/** Providers shown at a time; those put in first stay. */
export const DESKS_MOST = 12;

/** @type {ReceptionState} */
export const RECEPTION_START = Object.freeze({
  phase: /** @type {ReceptionPhase} */ ("empty"), desks: [], skew: 0, fault: "",
});

/**
 * The receptions' tokens in a link, a fragment, or a mail with several links.
 * @param {string} text
 * @returns {string[]}
 */
export function tokensOf(text) {
  let plain = text;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // A percent sign of its own: as it is.
  }
  // Mail programs break long lines; two links are two, so this is the second try only.
  for (const one of [plain, plain.replace(/\s+/g, "")]) {
    const found = [...one.matchAll(/[\w-]+\.[\w-]+\.[\w-]+/g)].map(([token]) => token)
      .filter((token) => claimOf(token, "typ") === "reception" && subjectOf(token) !== null);
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * @param {ReceptionState} state
 * @param {ReceptionEvent} event
 * @returns {ReceptionState}
 */
export function reduceReception(state, event) {
  switch (event.type) {
    case "links": {
      const desks = event.tokens.reduce(withToken, state.desks);
      return { ...state, desks, phase: desks.length > 0 ? "open" : "empty", fault: "" };
    }
    case "bad_link":
      return { ...state, fault: "link_incomplete" };
    case "seen": {
      const { provider: name, closes_at: closesAt, rooms, server_time: at } = event.view;
      const change = { name, closesAt, rooms, problem: "", asked: true };
      return { ...changed(state, event.token, () => change), skew: at - event.now };
    }
    case "unseen":
      return changed(state, event.token, ({ rooms }) => ({
        problem: event.code,
        asked: true,
        // What was seen last is better than nothing, but not after the link has closed.
        rooms: isFinal(event.code) ? [] : rooms,
      }));
    case "forget": {
      const desks = state.desks.filter(({ provider }) => provider !== event.provider);
      return { ...state, desks, phase: desks.length > 0 ? "open" : "empty" };
    }
  }
}

/** Whether another try with the same link would be answered the same. @param {string} code */
export function isFinal(code) {
  return code.startsWith("token_");
}

/**
 * A later link of the same provider stands for the earlier one.
 * @param {readonly Desk[]} desks
 * @param {string} token
 * @returns {readonly Desk[]}
 */
function withToken(desks, token) {
  const provider = subjectOf(token) ?? "";
  const known = desks.find((desk) => desk.provider === provider);
  if (known?.token === token) return desks;
  const fresh = { name: "", closesAt: 0, rooms: [], ...known, provider, token, problem: "", asked: false };
  if (known) return desks.map((desk) => (desk === known ? fresh : desk));
  return desks.length < DESKS_MOST ? [...desks, fresh] : desks;
}

/**
 * @param {ReceptionState} state
 * @param {string} token
 * @param {(desk: Desk) => Partial<Desk>} change
 */
function changed(state, token, change) {
  const desks = state.desks.map((desk) => (desk.token === token ? { ...desk, ...change(desk) } : desk));
  return { ...state, desks };
}

/** @param {ReceptionState} state */
export function everybodyWaiting(state) {
  return state.desks.flatMap(({ rooms }) => rooms).flatMap(({ waiting }) => waiting);
}

/**
 * Those who have come between two states.
 * @param {ReceptionState} before
 * @param {ReceptionState} after
 */
export function newcomers(before, after) {
  const known = new Set(everybodyWaiting(before).map(({ participant }) => participant));
  return everybodyWaiting(after).filter(({ participant }) => !known.has(participant));
}

/**
 * Where somebody in this room could be asked to go: all other open rooms that take anybody.
 * @param {ReceptionState} state
 * @param {string} room
 * @returns {Place[]}
 */
export function placesBeside(state, room) {
  return state.desks.flatMap((desk) =>
    desk.rooms.filter((one) => one.room !== room && !one.locked)
      .map((one) => ({ token: desk.token, desk, room: one })));
}
