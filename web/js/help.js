// @ts-check
/** /help: how to take part, and what to do when something does not work. Needs no link and no sign-in. */
import { View } from "./dom.js";
import { t } from "./language.js";
import { startPage } from "./page.js";

/** @typedef {import("./i18n.js").Key} Key */

/** @type {Readonly<Record<string, string>>} */
const state = Object.freeze({});

/** Each question with its answers. @type {readonly (readonly [Key, ...Key[]])[]} */
const PARTS = Object.freeze([
  ["help.start", "help.start_link", "help.start_name", "help.start_wait"],
  ["help.code", "help.code_do"],
  ["help.camera", "help.camera_allow", "help.camera_other", "help.camera_without"],
  ["help.sound", "help.sound_do"],
  ["help.drop", "help.drop_do"],
  ["help.keys", "help.keys_do"],
  ["help.link", "help.link_do"],
  ["help.browser", "help.browser_do"],
  ["help.privacy", "help.privacy_do"],
]);

/** @type {readonly [Key, ...Key[]]} */
const PROVIDERS = ["help.provider", "help.provider_desk", "help.provider_room"];

/** Values for all texts: what buttons are called, and where pages are. */
function values() {
  return {
    sound_on: t("call.sound_on"),
    devices: t("call.settings"),
    end: t("desk.end"),
    page: `${location.host}/join`,
  };
}

/** @returns {import("./dom.js").Part<typeof state>} */
function createHelp() {
  /** @type {View<typeof state>} */
  const view = new View();
  /** @param {readonly [Key, ...Key[]]} part @param {Readonly<Record<string, string>>} [own] */
  const section = ([title, ...texts], own = {}) => view.h(
    "section",
    { class: "card" },
    view.h("h2", {}, () => t(title)),
    ...texts.map((text) => view.h("p", {}, () => t(text, { ...values(), ...own }))),
  );
  return view.part(view.h(
    "div",
    { class: "help", "data-testid": "help" },
    view.h("h1", { tabindex: "-1" }, () => t("help.title")),
    view.h("p", {}, () => t("help.intro")),
    ...PARTS.map((part) => section(part)),
    section(PROVIDERS, { page: `${location.host}/provider` }),
    view.h("p", {}, () => t("help.worry")),
    view.h("a", { class: "button", href: "/" }, () => t("help.back")),
  ));
}

void startPage({
  store: { state, subscribe: () => {} },
  words: "help",
  screenOf: () => "help",
  screens: { help: createHelp },
  titleOf: () => t("help.page"),
});
