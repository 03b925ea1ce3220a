// @ts-check
/**
 * The provider's desk: signing in, planning a consultation, handing out its links, and the list of what
 * is planned. Pure.
 *
 * @typedef {import("./ownlist.js").Planned} Planned
 * @typedef {import("./api.js").Provider} Provider
 * @typedef {import("./api.js").Queue} Queue
 * @typedef {import("./passkeys.js").Passkey} Passkey
 * @typedef {"opening" | "form" | "busy" | "made" | "problem"} ProviderPhase
 *
 * @typedef {object} ProviderState
 * @property {ProviderPhase} phase
 * @property {Provider | null} provider who is signed in
 * @property {string} fault code of what is wrong with the form or the last try; "" for nothing
 * @property {string} problem code of why nobody is signed in; "" for nothing
 * @property {Planned | null} made whose links are shown
 * @property {readonly Planned[]} list
 * @property {boolean} kept whether the list outlives the tab
 * @property {Readonly<Record<string, Queue | null>>} queues by room; null: cannot be seen at present
 * @property {Readonly<Record<string, Queue>>} seen the same, as each was seen last
 * @property {string} nextLink another sign-in link; "" until asked for
 * @property {import("./api.js").Ways} ways how one can sign in here, besides with a link
 * @property {readonly Passkey[]} passkeys of who is signed in
 *
 * @typedef {{type: "signed_in", provider: Provider} | {type: "create"} | {type: "another"}
 *   | {type: "made", made: Planned} | {type: "failed", code: string}
 *   | {type: "refused", code: string} | {type: "retry"}
 *   | {type: "list", list: readonly Planned[], kept: boolean}
 *   | {type: "queues", queues: Readonly<Record<string, Queue | null>>}
 *   | {type: "next_link", link: string} | {type: "ways", ways: import("./api.js").Ways}
 *   | {type: "passkeys", passkeys: readonly Passkey[]}} ProviderEvent
 */
import { machine } from "./store.js";

/** @type {Readonly<Record<ProviderPhase, Readonly<Record<string, ProviderPhase>>>>} */
export const PROVIDER = {
  opening: { signed_in: "form", refused: "problem" },
  form: { create: "busy", failed: "form", refused: "problem", made: "made" },
  busy: { made: "made", failed: "form", refused: "problem" },
  // Links that nobody has copied yet stay, whatever becomes of the sign-in.
  made: { another: "form" },
  problem: { retry: "opening" },
};

/** @type {ProviderState} */
export const PROVIDER_START = Object.freeze({
  phase: /** @type {ProviderPhase} */ ("opening"),
  provider: null,
  fault: "",
  problem: "",
  made: null,
  list: [],
  kept: false,
  queues: {},
  seen: {},
  nextLink: "",
  ways: { passkey: false, openid: null },
  passkeys: [],
});

/** @type {(state: ProviderState, event: ProviderEvent) => ProviderState} */
export const reduceProvider = machine(
  PROVIDER, (event) => event.type, absorb, new Set(["list", "queues", "next_link", "ways", "passkeys"]),
);

/**
 * @param {ProviderState} state
 * @param {ProviderEvent} event
 * @returns {ProviderState}
 */
function absorb(state, event) {
  switch (event.type) {
    case "signed_in":
      return { ...state, provider: event.provider, problem: "" };
    case "create":
      return { ...state, fault: "" };
    case "another":
      return { ...state, fault: "", made: null };
    case "made":
      return { ...state, fault: "", made: event.made };
    case "failed":
      return { ...state, fault: event.code };
    case "refused":
      return { ...PROVIDER_START, phase: state.phase, problem: event.code, ways: state.ways };
    case "retry":
      return { ...state, problem: "" };
    case "list":
      return { ...state, list: event.list, kept: event.kept };
    case "queues":
      return { ...state, queues: event.queues, seen: seenOf(state.seen, event.queues) };
    case "next_link":
      return { ...state, nextLink: event.link };
    case "ways":
      return { ...state, ways: event.ways };
    case "passkeys":
      return { ...state, passkeys: event.passkeys };
  }
}

/**
 * @param {ProviderState["seen"]} before
 * @param {ProviderState["queues"]} queues
 */
function seenOf(before, queues) {
  /** @type {Record<string, Queue>} */
  const seen = {};
  for (const [room, queue] of Object.entries(queues)) {
    const last = queue ?? before[room];
    if (last !== undefined) seen[room] = last;
  }
  return seen;
}

/**
 * Those who have come between two states. Who was there before a moment in which nothing could be seen
 * has not come anew.
 * @param {ProviderState} before
 * @param {ProviderState} after
 */
export function newcomers(before, after) {
  const known = new Set(everybody(before).map(({ name, since }) => `${since} ${name}`));
  return everybody(after).filter(({ name, since }) => !known.has(`${since} ${name}`));
}

/** @param {ProviderState} state */
const everybody = ({ seen }) => Object.values(seen).flatMap(({ waiting }) => waiting);

/** Codes after which nothing can be done here without another sign-in. */
const FINAL = new Set([
  "token_invalid",
  "token_wrong_role",
  "token_closed",
  "token_revoked",
  "already_used",
  "not_signed_in",
]);

/**
 * @param {string} code
 * @returns {ProviderEvent}
 */
export function refusalOf(code) {
  return FINAL.has(code) ? { type: "refused", code } : { type: "failed", code };
}

/**
 * Everybody who waits, in all rooms.
 * @param {ProviderState} state
 */
export function waitingInAll(state) {
  return Object.values(state.queues).flatMap((queue) => queue?.waiting ?? []);
}
