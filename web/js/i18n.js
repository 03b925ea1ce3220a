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
    const base = baseOf(tag);
    if (Object.hasOwn(LANGUAGES, base)) return /** @type {Language} */ (base);
  }
  return "en";
}

/** @param {string} tag */
const baseOf = (tag) => tag.toLowerCase().split("-")[0] ?? "";

/**
 * How the reader writes times and numbers: as where the language is spoken that is preferred ("en-GB", "de-AT").
 * Without a place English is that of the United States.
 * @param {Language} language
 * @param {readonly string[]} preferred BCP 47 tags, best first
 */
export function chooseLocale(language, preferred) {
  return preferred.find((tag) => baseOf(tag) === language && isLocale(tag)) ?? language;
}

/** @param {string} tag */
function isLocale(tag) {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}

/**
 * How times and numbers are written to somebody of whom only the language is known: so that 10:30 is in the morning.
 * @param {Language} language
 */
export function localeForOthers(language) {
  return language === "en" ? "en-GB" : language;
}

/**
 * @param {Language} language
 * @param {Catalogue} catalogue
 * @param {string} [locale] of numbers
 * @returns {Translate} a missing key gives the key itself, so that a fault is seen and not silent
 */
export function createTranslate(language, catalogue, locale = language) {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(locale);
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
 * @param {string} locale
 * @param {number} at ms since 1970
 * @param {string} [zone] IANA name; the device's own when left out
 */
export function dayAndTime(locale, at, zone) {
  return new Intl.DateTimeFormat(locale, {
    weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    timeZoneName: "short", timeZone: zone,
  }).format(at);
}

/**
 * Only the time of day.
 * @param {string} locale
 * @param {number} at ms since 1970
 * @param {string} [zone]
 */
export function timeOfDay(locale, at, zone) {
  return new Intl.DateTimeFormat(locale, {
    hour: "2-digit", minute: "2-digit", timeZone: zone,
  }).format(at);
}

/**
 * From when to when; the day is said once if both fall on it.
 * @param {string} locale
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 * @param {string} [zone]
 */
export function span(locale, from, to, zone) {
  return new Intl.DateTimeFormat(locale, {
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
