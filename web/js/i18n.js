// @ts-check
/** Words in the reader's language: choosing it, filling in a text, saying times. Pure. */

/**
 * @typedef {keyof typeof import("../i18n/en.json") | keyof typeof import("../i18n/desk/en.json")
 *   | keyof typeof import("../i18n/call/en.json") | keyof typeof import("../i18n/check/en.json")
 *   | keyof typeof import("../i18n/help/en.json") | keyof typeof import("../i18n/host/en.json")
 *   | keyof typeof import("../i18n/photo/en.json") | keyof typeof import("../i18n/note/en.json")
 *   | keyof typeof import("../i18n/reception/en.json")} Key
 */
/** @typedef {string | Readonly<Record<string, string>>} Entry */
/** @typedef {Readonly<Record<string, Entry>>} Catalogue */
/** @typedef {Readonly<Record<string, string | number>>} Values */
/** @typedef {(key: Key, values?: Values) => string} Translate */

/** Languages there is a catalogue for, each by its own name. */
export const LANGUAGES = Object.freeze({ en: "English", de: "Deutsch", fr: "Français" });
/** @typedef {keyof typeof LANGUAGES} Language */

/**
 * The first of the preferred languages that we speak, by its base ("de-AT" is German), else English.
 * @param {readonly string[]} preferred BCP 47 tags, best first
 * @returns {Language}
 */
export function chooseLanguage(preferred) {
  for (const tag of preferred) {
    const base = tag.toLowerCase().split("-")[0] ?? "";
    if (Object.hasOwn(LANGUAGES, base)) return /** @type {Language} */ (base);
  }
  return "en";
}

/**
 * @param {Language} language
 * @param {Catalogue} catalogue
 * @returns {Translate} a missing key gives the key itself, so that a fault is seen and not silent
 */
export function createTranslate(language, catalogue) {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  return (key, values = {}) => {
    const entry = catalogue[key];
    if (entry === undefined) return key;
    let text;
    if (typeof entry === "string") {
      text = entry;
    } else {
      const form = plural.select(Number(values["count"] ?? 0));
      text = entry[form] ?? entry["other"] ?? key;
    }
    return text.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name];
      if (value === undefined) return whole;
      return typeof value === "number" ? number.format(value) : value;
    });
  };
}

/**
 * A point in time for the reader, in the reader's zone and with its name.
 * @param {Language} language
 * @param {number} at ms since 1970
 * @param {string} [zone] IANA name; the device's own when left out
 */
export function dayAndTime(language, at, zone) {
  return new Intl.DateTimeFormat(language, {
    weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    timeZoneName: "short", timeZone: zone,
  }).format(at);
}

/**
 * Only the time of day.
 * @param {Language} language
 * @param {number} at ms since 1970
 * @param {string} [zone]
 */
export function timeOfDay(language, at, zone) {
  return new Intl.DateTimeFormat(language, {
    hour: "2-digit", minute: "2-digit", timeZone: zone,
  }).format(at);
}

/**
 * From when to when; the day is said once if both fall on it.
 * @param {Language} language
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 * @param {string} [zone]
 */
export function span(language, from, to, zone) {
  return new Intl.DateTimeFormat(language, {
    weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    timeZoneName: "short", timeZone: zone,
  }).formatRange(from, to);
}

/**
 * A length of time as a clock shows it: "4:05", "1:02:09".
 * @param {number} ms
 */
export function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const tail = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}
