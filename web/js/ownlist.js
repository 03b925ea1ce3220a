// @ts-check
/**
 * The consultations planned in this browser. The server keeps no list, so this is the only one: in the
 * tab's memory, or in the browser's if the provider wants that; with the links, and so with all they open.
 */
import { keep, recall } from "./tabmemory.js";

/**
 * @typedef {object} Planned
 * @property {string} room
 * @property {string} note the provider's own words
 * @property {string} hostLink
 * @property {readonly string[]} clientLinks
 * @property {number} startsAt ms since 1970
 * @property {number} opensAt ms since 1970
 * @property {number} closesAt ms since 1970
 */

/** Kept after its end, ms: a call may run on. */
const AFTERWARDS = 3600_000;
/** Consultations kept; beyond it those furthest ahead are not. The desk plans no more than this. */
export const OWN_MOST = 500;

/**
 * Without what is over, and in the order in which they begin. Pure.
 * @param {readonly Planned[]} list
 * @param {number} now ms since 1970
 */
export function pruned(list, now) {
  return list
    .filter(({ closesAt }) => closesAt + AFTERWARDS > now)
    .sort((a, b) => a.startsAt - b.startsAt)
    .slice(0, OWN_MOST);
}

/**
 * What was kept, as far as it is what we write. Pure.
 * @param {string | null} text
 * @returns {Planned[]}
 */
export function parseOwn(text) {
  /** @type {unknown} */
  let value = null;
  try {
    value = JSON.parse(text ?? "null");
  } catch {
    // Not ours, or of another version.
  }
  return Array.isArray(value) ? value.filter(isPlanned) : [];
}

/** @param {any} value @returns {value is Planned} */
function isPlanned(value) {
  const texts = [value?.room, value?.note, value?.hostLink, ...(value?.clientLinks ?? [null])];
  const times = [value?.startsAt, value?.opensAt, value?.closesAt];
  // A link is shown as one to follow: anything else is not ours.
  const links = [value?.hostLink, ...(value?.clientLinks ?? [])];
  return texts.every((one) => typeof one === "string") && times.every((one) => Number.isFinite(one))
    && links.every((one) => /^https?:\/\//.test(one));
}

/** The list of one provider. Another provider who signs in here does not see it. */
export class OwnList {
  #key;

  /** @param {string} provider id */
  constructor(provider) {
    this.#key = `own.${provider}`;
    /** Whether it outlives the tab. */
    this.kept = this.#lasting() !== null;
    this.list = pruned(parseOwn(this.#lasting() ?? recall(this.#key)), Date.now());
  }

  /** One more would be one of which there are no links anywhere. */
  get full() {
    return pruned(this.list, Date.now()).length >= OWN_MOST;
  }

  /** @param {readonly Planned[]} list */
  save(list) {
    this.list = pruned(list, Date.now());
    this.#write();
  }

  /** @param {boolean} kept on this device, beyond the tab */
  setKept(kept) {
    this.kept = kept;
    this.#write();
    if (!kept) this.#last(null);
  }

  /** Whether the list is in fact kept: private modes may forbid it. */
  #write() {
    const text = JSON.stringify(this.list);
    if (this.kept && this.#last(text)) {
      keep(this.#key, null);
      return;
    }
    this.kept = false;
    keep(this.#key, text);
  }

  /** @param {string | null} text */
  #last(text) {
    try {
      if (text === null) localStorage.removeItem(`konsil.${this.#key}`);
      else localStorage.setItem(`konsil.${this.#key}`, text);
      return true;
    } catch {
      return false;
    }
  }

  #lasting() {
    try {
      return localStorage.getItem(`konsil.${this.#key}`);
    } catch {
      return null;
    }
  }
}
