// @ts-check
/**
 * The frame around every page: head with the language switch, one screen at a time in the middle,
 * live regions. A screen is built when its phase comes and released when it goes.
 */
import { announce, mountAnnouncer } from "./announcer.js";
import { whenIdle } from "./idle.js";
import { currentLanguage, languageSwitch, onLanguage, startLanguage, t } from "./language.js";
import { setTitle } from "./knock.js";

/**
 * @template S
 * @typedef {object} PageOptions
 * @property {{readonly state: S, subscribe: (listener: (state: S, previous: S) => void) => void}} store
 * @property {(state: S) => string} screenOf name of the screen for a state
 * @property {Readonly<Record<string, () => import("./dom.js").Part<S>>>} screens
 * @property {(state: S) => string} titleOf
 * @property {string} [words] folder of i18n/ with words that only this page needs
 * @property {(state: S) => boolean} [ticks] whether something on the screen changes with time alone
 * @property {(state: S) => string} [ahead] name of a screen that comes next and may be built already
 * @property {() => Promise<void> | null} [quiet] what the screen waits for, if there is something more
 *   urgent to do; null: nothing
 */

/** To the help page, in a tab of its own: whoever waits keeps this one. */
function helpLink() {
  const link = document.createElement("a");
  link.className = "help-link";
  link.href = "/help";
  link.target = "_blank";
  link.rel = "noopener";
  const say = () => {
    link.textContent = t("shell.help");
  };
  say();
  onLanguage(say);
  return link;
}

/** The operator's links, which the server has put at the page's foot, in the present language. */
function sayFoot() {
  const foot = /** @type {HTMLElement | null} */ (document.querySelector(".legal"));
  if (foot === null) return;
  foot.lang = currentLanguage();
  for (const link of foot.querySelectorAll("a")) {
    link.textContent = t(link.relList.contains("privacy-policy") ? "shell.privacy" : "shell.imprint");
  }
}

/**
 * Shows the page in the reader's language and keeps it in step with the state.
 * @template S
 * @param {PageOptions<S>} options
 * @returns {Promise<{refresh: () => void}>}
 */
export async function startPage({
  store, screenOf, screens, titleOf, words = "", ticks = () => false, ahead = () => "",
  quiet = () => null,
}) {
  await startLanguage(words);
  const main = /** @type {HTMLElement} */ (document.querySelector("main"));
  document.querySelector(".top")?.append(helpLink(), languageSwitch().element);
  sayFoot();
  onLanguage(sayFoot);
  mountAnnouncer(document.body);

  let shown = "";
  /** @type {import("./dom.js").Part<S> | null} */
  let part = null;
  /** Built, and not shown yet. */
  let next = "";
  /** @type {import("./dom.js").Part<S> | null} */
  let nextPart = null;
  const build = (/** @type {string} */ screen) => {
    const built = screen === next ? nextPart : (screens[screen]?.() ?? null);
    if (screen !== next) nextPart?.remove?.();
    next = "";
    nextPart = null;
    return built;
  };
  const buildAhead = () => whenIdle(() => {
    const wanted = ahead(store.state);
    if (wanted === "" || wanted === next || wanted === shown) return;
    nextPart?.remove?.();
    next = wanted;
    nextPart = screens[wanted]?.() ?? null;
  }, 2_000);
  let late = false;
  const refresh = () => {
    if (late) return;
    const wait = quiet();
    if (wait !== null) {
      late = true;
      void wait.then(() => {
        late = false;
        refresh();
      });
      return;
    }
    const { state } = store;
    const screen = screenOf(state);
    const first = shown === "";
    if (screen !== shown) {
      part?.remove?.();
      part = build(screen);
      buildAhead();
      document.documentElement.dataset["screen"] = screen;
      shown = screen;
      if (part !== null) {
        part.update(state);
        main.replaceChildren(part.element);
        if (!first) part.element.querySelector("h1")?.focus({ preventScroll: false });
      }
    } else {
      part?.update(state);
    }
    setTitle(titleOf(state));
  };
  store.subscribe(refresh);
  onLanguage(() => {
    refresh();
    announce(t("shell.language_set"));
  });
  setInterval(() => {
    if (ticks(store.state)) refresh();
  }, 1000);
  document.documentElement.dataset["ready"] = "";
  refresh();
  return { refresh };
}
