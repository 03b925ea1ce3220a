// @ts-check
/**
 * Making a consultation: fill in, wait for the answer, hand out the links. Pure.
 *
 * @typedef {"form" | "busy" | "made" | "problem"} ProviderPhase
 * @typedef {{clientLink: string, hostLink: string, startsAt: number, closesAt: number}} Made times in ms since 1970
 *
 * @typedef {object} ProviderState
 * @property {ProviderPhase} phase
 * @property {string} fault code of what is wrong with the form or the last try; "" for nothing
 * @property {string} problem code of what makes the sign-in link useless; "" for nothing
 * @property {Made | null} made
 *
 * @typedef {{type: "create"} | {type: "another"} | {type: "made", made: Made}
 *   | {type: "failed", code: string} | {type: "refused", code: string}} ProviderEvent
 */
import { machine } from "./store.js";

/** @type {Readonly<Record<ProviderPhase, Readonly<Record<string, ProviderPhase>>>>} */
export const PROVIDER = {
  form: { create: "busy", failed: "form", refused: "problem" },
  busy: { made: "made", failed: "form", refused: "problem" },
  made: { another: "form" },
  problem: {},
};

/** @type {ProviderState} */
export const PROVIDER_START = Object.freeze({
  phase: /** @type {ProviderPhase} */ ("form"),
  fault: "",
  problem: "",
  made: null,
});

/** @type {(state: ProviderState, event: ProviderEvent) => ProviderState} */
export const reduceProvider = machine(PROVIDER, (event) => event.type, absorb, new Set());

/**
 * @param {ProviderState} state
 * @param {ProviderEvent} event
 * @returns {ProviderState}
 */
function absorb(state, event) {
  switch (event.type) {
    case "create":
      return { ...state, fault: "" };
    case "another":
      return { ...state, fault: "", made: null };
    case "made":
      return { ...state, made: event.made };
    case "failed":
      return { ...state, fault: event.code };
    case "refused":
      return { ...state, problem: event.code };
  }
}

/** Codes after which the sign-in link itself is of no use. */
const FINAL = new Set([
  "token_invalid",
  "token_wrong_role",
  "token_closed",
  "token_revoked",
  "already_used",
]);

/**
 * @param {string} code
 * @returns {ProviderEvent}
 */
export function refusalOf(code) {
  return FINAL.has(code) ? { type: "refused", code } : { type: "failed", code };
}
