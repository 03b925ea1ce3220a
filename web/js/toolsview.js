// @ts-check
/** The tools of a call on the screen: buttons in the bar, lines over the picture, the settings. */
import { announce, notify } from "./announcer.js";
import { KEYS, keysOn, listenToKeys, setKeys } from "./callkeys.js";
import { on, View } from "./dom.js";
import { FloatingPicture } from "./floating.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { createSettings } from "./settingsview.js";

/**
 * @typedef {import("./calltools.js").CallTools} CallTools
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {View<VisitData>} CallView
 *
 * Where in a call's screen something is added.
 * @typedef {object} Places
 * @property {HTMLElement} element of the whole call
 * @property {HTMLElement} stage
 * @property {HTMLElement} banners
 * @property {HTMLElement} bar
 * @property {HTMLElement} beside the button in the bar behind which ours come
 *
 * @typedef {{update: (state: VisitData) => void, showSettings: () => void, remove: () => void}} ToolsView
 */

/**
 * @param {CallTools} tools
 * @param {Places} places
 * @returns {ToolsView}
 */
export function createTools(tools, { element, stage, banners, bar, beside }) {
  /** @type {CallView} */
  const view = new View();
  const settings = createSettings(tools.devices, settingsPart(view, tools));
  const dialog = view.use(settings);
  const hand = handButton(view, tools);
  const floating = floatingButton(view, tools);
  // In place before there is anything to say, as live regions must be.
  const lines = view.h("div", { class: "tool-lines", role: "status" },
    voiceLine(view, tools, bar, settings), thinLine(view, tools, bar));
  const dots = view.h("p", { class: "self-hand", hidden: () => !tools.handUp }, icon("hand"),
    view.h("span", { class: "unseen" }, () => t("hand.own")));

  beside.after(hand);
  if (floating) stage.append(floating);
  banners.append(lines);
  element.append(dialog);
  stage.querySelector(".self")?.append(dots);

  /** @type {VisitData | null} */
  let latest = null;
  const update = (/** @type {VisitData} */ state) => {
    latest = state;
    tools.update(state);
    view.update(state);
  };
  const leave = [
    tools.on("change", () => latest && view.update(latest)),
    listenToKeys({
      microphone: () => void tools.devices.switch("microphone", tools.devices.state.microphone !== "on"),
      camera: () => void tools.devices.switch("camera", tools.devices.state.camera !== "on"),
      hand: () => latest && latest.call.length > 0 && tools.toggleHand(),
      chat: () => beside.click(),
      ...(floating ? { floating: () => floating.click() } : {}),
      fullscreen: () => pressed(stage, "fullscreen-button"),
      help: () => settings.show(),
    }, () => element.isConnected),
  ];
  return {
    update,
    showSettings: settings.show,
    remove: () => {
      for (const leaveOne of leave) leaveOne();
      tools.rest();
      settings.remove?.();
      for (const added of [hand, floating, lines, dialog, dots]) added?.remove();
    },
  };
}

/** @param {HTMLElement} place @param {string} testid */
function pressed(place, testid) {
  const button = place.querySelector(`[data-testid=${testid}]`);
  if (button instanceof HTMLElement && !button.hidden) button.click();
}

/** @param {CallView} view @param {CallTools} tools */
function handButton(view, tools) {
  return view.h(
    "button",
    {
      type: "button",
      class: "round",
      "data-testid": "hand-button",
      hidden: (s) => s.call.length === 0,
      // Between two on a phone it would only make the other buttons too narrow to be read.
      "data-pair": (s) => String(s.call.length === 1),
      "aria-pressed": () => String(tools.handUp),
      title: () => t(tools.handUp ? "hand.lower_title" : "hand.raise_title"),
      onclick: on(() => tools.toggleHand()),
    },
    icon("hand"),
    view.h("span", { class: "round-label" }, () => t("hand.button")),
  );
}

/** @param {CallTools} tools */
async function float(tools) {
  if (!(await tools.floating.toggle())) notify(t("floating.none"));
}

/** @param {CallView} view @param {CallTools} tools */
function floatingButton(view, tools) {
  if (!FloatingPicture.offered) return null;
  return view.h(
    "button",
    {
      type: "button",
      class: "corner floating",
      "data-testid": "floating-button",
      hidden: (s) => s.call.length === 0,
      "aria-pressed": () => String(tools.floating.shown !== null),
      title: () => t("floating.title"),
      onclick: on(() => float(tools)),
    },
    icon("floating"),
    view.h("span", { class: "unseen" }, () => t("floating.button")),
  );
}

/**
 * A line that goes must not take the keyboard's place along.
 *
 * @param {CallView} view
 * @param {HTMLElement} line
 * @param {() => boolean} shown
 * @param {HTMLElement} bar
 */
function showWhile(view, line, shown, bar) {
  view.bind(() => shown(), (visible) => {
    const focused = line.contains(document.activeElement);
    line.hidden = !visible;
    if (!visible && focused) bar.querySelector("button")?.focus();
  });
  return line;
}

/**
 * @param {CallView} view
 * @param {CallTools} tools
 * @param {HTMLElement} bar
 * @param {{show: () => void}} settings
 */
function voiceLine(view, tools, bar, settings) {
  const muted = () => tools.voice.warning !== "silent";
  const line = view.h(
    "div",
    { class: "banner calm tool-line", "data-testid": "voice-warning", "data-warning": () => tools.voice.warning },
    view.h("p", {}, () => (tools.voice.warning === "" ? "" : t(muted() ? "voice.muted" : "voice.silent"))),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-testid": "voice-do",
          onclick: on(() => {
            if (muted()) void tools.devices.switch("microphone", true);
            else settings.show();
            tools.voice.dismiss();
          }),
        },
        () => t(muted() ? "voice.unmute" : "voice.choose"),
      ),
      view.h(
        "button",
        { type: "button", "data-testid": "voice-dismiss", onclick: on(() => tools.voice.dismiss()) },
        () => t(muted() ? "voice.stay" : "voice.fine"),
      ),
    ),
  );
  return showWhile(view, line, () => tools.voice.warning !== "", bar);
}

/**
 * @param {CallView} view
 * @param {CallTools} tools
 * @param {HTMLElement} bar
 */
function thinLine(view, tools, bar) {
  /** @returns {Key | ""} */
  const words = () => {
    const { out, in: into } = tools.line.state;
    if (out === "chosen" || into === "chosen") return "line.chosen";
    if (out === "thin") return into === "thin" ? "line.thin_both" : "line.thin_out";
    return into === "thin" ? "line.thin_in" : "";
  };
  const line = view.h(
    "div",
    { class: "banner calm tool-line", "data-testid": "thin-line", "data-words": words },
    view.h("p", {}, () => {
      const key = words();
      return key === "" ? "" : t(key);
    }),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "sound-only",
          hidden: () => words() === "line.chosen",
          onclick: on(() => tools.line.choose()),
        },
        () => t("line.stay"),
      ),
      view.h(
        "button",
        { type: "button", "data-testid": "picture-again", onclick: on(() => tools.line.again()) },
        () => t("line.again"),
      ),
    ),
  );
  return showWhile(view, line, () => words() !== "", bar);
}

/** What each key does, in the order of the bar. @type {readonly (readonly [keyof typeof KEYS, Key])[]} */
const LIST = Object.freeze([
  ["microphone", "keys.microphone"], ["camera", "keys.camera"], ["chat", "keys.chat"], ["hand", "keys.hand"],
  ["floating", "keys.floating"], ["fullscreen", "keys.fullscreen"], ["help", "keys.help"],
]);

/** @param {CallView} view @param {CallTools} tools */
function settingsPart(view, tools) {
  const offered = LIST.filter(([name]) => name !== "floating" || FloatingPicture.offered);
  return view.h(
    "section",
    { class: "tool-settings" },
    view.h("h3", {}, () => t("tools.title")),
    check(view, "sound-only-check", "line.choose", () => tools.line.state.in === "chosen", (wanted) => {
      if (wanted) tools.line.choose();
      else tools.line.again();
    }),
    check(view, "listens-check", "voice.listen", () => tools.listens, (wanted) => tools.setListens(wanted)),
    check(view, "keys-check", "keys.letters", keysOn, (wanted) => {
      setKeys(wanted);
      announce(t(wanted ? "keys.are_on" : "keys.are_off"));
    }),
    !FloatingPicture.offered ? null : view.h(
      "button",
      {
        type: "button",
        hidden: (s) => s.call.length === 0,
        "aria-pressed": () => String(tools.floating.shown !== null),
        onclick: on(() => float(tools)),
      },
      icon("floating"),
      () => t("floating.button"),
    ),
    view.h(
      "details",
      { class: "key-details" },
      view.h("summary", {}, () => t("keys.title")),
      view.h(
        "dl",
        { class: "key-list", "data-testid": "key-list" },
        ...offered.flatMap(([name, words]) => [
          view.h("dt", {}, view.h("kbd", {}, KEYS[name].toUpperCase())),
          view.h("dd", {}, () => t(words)),
        ]),
        view.h("dt", {}, view.h("kbd", {}, () => t("keys.escape_key"))),
        view.h("dd", {}, () => t("keys.escape")),
      ),
    ),
  );
}

/**
 * @param {CallView} view
 * @param {string} id
 * @param {Key} words
 * @param {() => boolean} checked
 * @param {(wanted: boolean) => void} changed
 */
function check(view, id, words, checked, changed) {
  const box = view.h("input", {
    type: "checkbox",
    id,
    "data-testid": id,
    checked,
    onchange: on(() => changed(box.checked)),
  });
  return view.h("label", { class: "check", for: id }, box, view.h("span", {}, () => t(words)));
}
