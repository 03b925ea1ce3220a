// @ts-check
/** /help: how to take part, and what to do when something does not work. Needs no link and no sign-in. */
import { View } from "./dom.js";
import { PICTURES } from "./helppictures.js";
import { currentLanguage, t } from "./language.js";
import { startPage } from "./page.js";

/**
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {import("./helppictures.js").PictureName} PictureName
 */

/** @type {Readonly<Record<string, string>>} */
const state = Object.freeze({});

/** Each question with its answers. @type {readonly (readonly [Key, ...Key[]])[]} */
const PARTS = Object.freeze([
  ["help.start", "help.start_link", "help.start_name", "help.start_wait"],
  ["help.call", "help.call_do"],
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

/** What is shown below the answers. @type {Readonly<Record<string, readonly PictureName[]>>} */
const SHOWN = Object.freeze({
  "help.start": ["devices", "join", "waiting"],
  "help.call": ["call", "chat"],
  "help.code": ["code", "compare"],
  "help.provider": ["links", "list", "admit", "room"],
});

/** Values for all texts: what buttons are called, and where pages are. */
function values() {
  return {
    sound_on: t("call.sound_on"),
    devices: t("call.settings"),
    chat: t("chat.button"),
    end: t("desk.end"),
    page: `${location.host}/join`,
  };
}

/** @returns {import("./dom.js").Part<typeof state>} */
function createHelp() {
  /** @type {View<typeof state>} */
  const view = new View();
  /** Of the known size, so that nothing moves when it comes. @param {PictureName} name */
  const figure = (name) => {
    const { width, height, says, alt } = PICTURES[name];
    const url = () => `/static/img/help/${currentLanguage()}/${name}.webp`;
    return view.h(
      "figure",
      { class: width > 400 ? "shot wide-shot" : "shot" },
      // Small on a phone: a tap shows it whole.
      view.h(
        "a",
        { href: url, target: "_blank", rel: "noopener" },
        // `loading` before `src`: it is too late afterwards.
        view.h("img", {
          loading: "lazy", decoding: "async", width, height, alt: () => t(alt), src: url,
          "data-testid": "help-picture", "data-name": name,
        }),
      ),
      view.h("figcaption", {}, () => t(says)),
    );
  };
  /** @param {readonly [Key, ...Key[]]} part @param {Readonly<Record<string, string>>} [own] */
  const section = ([title, ...texts], own = {}) => view.h(
    "section",
    { class: "card" },
    view.h("h2", {}, () => t(title)),
    ...texts.map((text) => view.h("p", {}, () => t(text, { ...values(), ...own }))),
    SHOWN[title] ? view.h("div", { class: "shots" }, ...SHOWN[title].map(figure)) : null,
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
