// @ts-check
/** The page's present language: `t` says everything; switching it says everything anew. */
import { chooseLanguage, chooseLocale, createTranslate, LANGUAGES, localeForOthers } from "./i18n.js";
import { whenIdle } from "./idle.js";
import { keep, recall } from "./tabmemory.js";

/** @typedef {import("./i18n.js").Language} Language */

/** @type {Language} */
let language = "en";
let locale = "en";
/** @type {import("./i18n.js").Translate} */
let translate = (key) => key;
/** @type {Map<Language, Promise<import("./i18n.js").Catalogue>>} */
const catalogues = new Map();
/** Folders of i18n/ with further words of this page. @type {string[]} */
let folders = [];
const CODES = /** @type {Language[]} */ (Object.keys(LANGUAGES));
/** @type {Set<() => void>} */
const listeners = new Set();

/** @type {import("./i18n.js").Translate} */
export const t = (key, values) => translate(key, values);

export const currentLanguage = () => language;

/** For times and numbers: the language, and where the reader speaks it. */
export const currentLocale = () => locale;

/**
 * @param {() => void} listener called after each switch
 * @returns {() => void} takes the listener away again
 */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/**
 * Chooses the language kept for this tab, else the browser's. Nothing is shown before it resolves.
 * @param {string} [more] folder of i18n/ with words that only this page needs
 */
export async function startLanguage(more = "") {
  folders = more === "" ? [] : [more];
  const kept = recall("language");
  const chosen = chooseLanguage([...(kept ? [kept] : []), ...navigator.languages]);
  // The page's head has preloaded it.
  fetchAhead(chosen);
  await setLanguage(chosen);
  // The others later, so that switching needs no network.
  whenIdle(() => CODES.forEach(fetchAhead), 5_000);
}

/** @param {Language} code */
function fetchAhead(code) {
  if (catalogues.has(code)) return;
  const coming = fetchCatalogue(code);
  coming.catch(() => {});
  catalogues.set(code, coming);
}

/**
 * Words that were not needed before, in all languages, so that switching goes on needing no network.
 * @param {string} folder of i18n/
 */
export async function addWords(folder) {
  if (folders.includes(folder)) return;
  const parts = await Promise.all(CODES.map((code) => fetchWords(`${folder}/${code}`)));
  folders.push(folder);
  for (const [at, code] of CODES.entries()) {
    const known = catalogues.get(code);
    if (known) catalogues.set(code, known.then((words) => ({ ...words, ...parts[at] })));
  }
  translate = createTranslate(language, await (catalogues.get(language) ?? fetchCatalogue(language)), locale);
}

/** @param {string} file @returns {Promise<import("./i18n.js").Catalogue>} */
async function fetchWords(file) {
  return (await fetch(`/static/i18n/${file}.json`)).json();
}

/**
 * @param {Language} code
 * @returns {Promise<import("./i18n.js").Catalogue>}
 */
async function fetchCatalogue(code) {
  try {
    const files = [code, ...folders.map((folder) => `${folder}/${code}`)];
    return Object.assign({}, ...(await Promise.all(files.map(fetchWords))));
  } catch (error) {
    catalogues.delete(code);
    throw error;
  }
}

/**
 * Words in a language that need not be the page's, for texts that go to somebody else.
 * @param {Language} code
 */
export async function translatorFor(code) {
  return createTranslate(code, await (catalogues.get(code) ?? fetchCatalogue(code)), localeForOthers(code));
}

/** @param {Language} chosen */
export async function setLanguage(chosen) {
  const catalogue = await (catalogues.get(chosen) ?? fetchCatalogue(chosen));
  locale = chooseLocale(chosen, navigator.languages);
  translate = createTranslate(chosen, catalogue, locale);
  language = chosen;
  document.documentElement.lang = chosen;
  for (const listener of listeners) listener();
}

/**
 * The switch, in the page's head and in the call's settings.
 * @returns {{element: HTMLElement, update: () => void, remove: () => void}}
 */
export function languageSwitch() {
  const label = document.createElement("label");
  label.className = "language";
  const select = document.createElement("select");
  for (const [code, name] of Object.entries(LANGUAGES)) {
    const option = new Option(name, code, false, code === language);
    option.lang = code;
    select.append(option);
  }
  const say = () => {
    select.setAttribute("aria-label", t("shell.language"));
    select.value = language;
  };
  select.addEventListener("change", () => {
    keep("language", select.value);
    setLanguage(/** @type {Language} */ (select.value)).catch(say);
  });
  say();
  label.append(select);
  return { element: label, update: () => {}, remove: onLanguage(say) };
}
