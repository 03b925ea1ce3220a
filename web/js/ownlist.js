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

/**
 * One list of two; what is on both is once. Pure.
 * @param {readonly Planned[]} list
 * @param {readonly Planned[]} more
 */
function together(list, more) {
  const known = new Set(list.map(({ room }) => room));
  return [...list, ...more.filter(({ room }) => !known.has(room))];
}

/**
 * The list of one provider. Another provider who signs in here does not see it.
 *
 * A consultation is in one place: on the device's list, which all tabs share, or in one tab. So nothing
 * that was taken off comes back from where it also was.
 */
export class OwnList {
  #key;
  /** @type {readonly Planned[]} */
  list = [];
  /** Whether it outlives the tab. */
  kept = false;

  /** @param {string} provider id */
  constructor(provider) {
    this.#key = `own.${provider}`;
    this.list = parseOwn(recall(this.#key));
    if (!this.#takeIn()) this.list = pruned(this.list, Date.now());
  }

  /** One more would be one of which there are no links anywhere. */
  get full() {
    return pruned(this.kept ? parseOwn(this.#lasting()) : this.list, Date.now()).length >= OWN_MOST;
  }

  /** @param {(list: readonly Planned[]) => readonly Planned[]} change of the list as it is, in all tabs */
  change(change) {
    this.#read();
    this.#write(change(this.list));
  }

  /** @param {boolean} kept on this device, beyond the tab */
  setKept(kept) {
    this.#read();
    this.kept = kept;
    this.#write(this.list);
  }

  /**
   * Another tab has changed what is kept on this device.
   * @param {string | null} key of what was changed; null: everything
   * @returns {"same" | "changed" | "gone"} gone: the list is kept no longer, and is in that other tab
   */
  follow(key) {
    if (key !== null && key !== `konsil.${this.#key}`) return "same";
    const before = JSON.stringify([this.kept, this.list]);
    this.#read();
    if (before === JSON.stringify([this.kept, this.list])) return "same";
    return this.kept ? "changed" : "gone";
  }

  /** Takes up what other tabs have made of it. */
  #read() {
    if (this.#takeIn() || !this.kept) return;
    this.kept = false;
    this.list = [];
  }

  /** @returns {boolean} whether there is a list on this device; what was this tab's alone is on it now */
  #takeIn() {
    const text = this.#lasting();
    if (text === null) return false;
    const alone = this.kept ? [] : this.list;
    this.kept = true;
    this.list = pruned(together(parseOwn(text), alone), Date.now());
    if (alone.length > 0) this.#write(this.list);
    return true;
  }

  /**
   * To the one place where it is: private modes may forbid the device's, and a device may be full.
   * @param {readonly Planned[]} list
   */
  #write(list) {
    this.list = pruned(list, Date.now());
    const text = JSON.stringify(this.list);
    this.kept &&= this.#last(text);
    keep(this.#key, this.kept ? null : text);
    if (!this.kept) this.#last(null);
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
