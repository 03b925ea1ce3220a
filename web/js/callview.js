// @ts-check
/** The call: everybody's picture, one's own small one, and the bar of switches. */
import { createChatSide } from "./chatside.js";
import { on, View } from "./dom.js";
import { createDeviceNotice } from "./devicewords.js";
import { createGrid } from "./gridview.js";
import { timeOfDay } from "./i18n.js";
import { icon } from "./icons.js";
import { currentLocale, t } from "./language.js";
import { createMissing } from "./missing.js";
import { createPicture, onSound, showStream, soundBlocked, soundOn } from "./picture.js";
import { createSwitch } from "./previewview.js";

/** The tools of a call are put on the page so long after it has begun, ms: the first picture goes before. */
const TOOLS_AFTER = 600;

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./devices.js").DeviceSet} DeviceSet
 *
 * @typedef {object} GroupActions
 * @property {(tiles: readonly import("./protocol.js").Tile[]) => void} show how large everybody is shown
 * @property {() => void} share shows the own screen to all, or ends it
 * @property {() => void} keepSound the microphone stays on, though the host has asked otherwise
 *
 * @typedef {object} CallOptions
 * @property {DeviceSet} devices
 * @property {import("./chatgate.js").ChatGate} chat
 * @property {import("./tileview.js").TileOptions} tile
 * @property {GroupActions} group
 * @property {(state: VisitData) => string} alone what to say while nobody else is here
 * @property {() => void} leave
 * @property {readonly HTMLElement[]} more the host's own buttons, after the others
 * @property {HTMLElement} [whole] what goes full screen, where it is more than the call; the caller then
 *   puts the chat into it
 */

/**
 * @param {View<VisitData>} view bindings are added to this one, so that callers may add buttons
 * @param {CallOptions} options
 * @returns {import("./dom.js").Part<VisitData> & {side: import("./chatside.js").ChatSide}}
 */
export function createCall(view, { devices, chat, tile, group, alone, leave, more, whole }) {
  /** Before their time, too. */
  let showTools = () => {};
  const local = createPicture("local-video", true);
  view.bind(
    () => t("call.you"),
    (name) => local.setAttribute("aria-label", name),
  );
  view.bind(
    (s) => s.devices.facing,
    (facing) => local.setAttribute("data-facing", facing),
  );
  view.bind(
    (s) => s.devices.camera === "on",
    (on) => showStream(local, on ? devices.stream : null),
  );

  const self = view.h(
    "div",
    { class: "self", "data-camera": (s) => s.devices.camera },
    local,
    view.h("p", { class: "self-word", hidden: (s) => s.devices.camera === "on" }, () =>
      t("call.camera_off"),
    ),
    view.h(
      "p",
      { class: "self-mute", hidden: (s) => s.devices.microphone === "on" },
      icon("microphoneOff"),
      view.h("span", {}, () => t("call.muted")),
    ),
  );
  const grid = createGrid(view, { tile, self, show: group.show });

  const sound = view.h(
    "button",
    {
      type: "button",
      class: "primary sound-on",
      "data-testid": "sound-button",
      hidden: () => !soundBlocked(),
      onclick: on(soundOn),
    },
    icon("sound"),
    () => t("call.sound_on"),
  );
  const offSound = onSound(() => {
    sound.hidden = !soundBlocked();
  });

  const fullscreen = fullscreenButton(view, () => whole ?? element);
  const showFullscreen = () =>
    fullscreen.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  document.addEventListener("fullscreenchange", showFullscreen);

  const banners = view.h(
    "div",
    { class: "banners" },
    view.h(
      "p",
      {
        class: "banner",
        "data-testid": "connection-banner",
        hidden: (s) => s.channel === "open" && !s.stalled,
      },
      (s) => t(s.stalled ? "call.stalled" : "call.reconnecting"),
    ),
    view.h("p", { class: "banner calm", role: "status", hidden: (s) => s.closing === 0 }, (s) =>
      t("call.closing", { time: timeOfDay(currentLocale(), s.closing) }),
    ),
    view.use(createMissing()),
    view.use(createDeviceNotice(() => void devices.open())),
    view.h("p", { class: "banner calm", role: "status", hidden: (s) => !s.sharing }, () =>
      t("call.sharing"),
    ),
    muteQuestion(view, devices, group),
    sound,
  );

  const stage = view.h(
    "div",
    { class: "stage" },
    grid.element,
    grid.more,
    view.h("p", { class: "alone", hidden: (s) => s.call.length > 0 }, alone),
    self,
    banners,
    fullscreen,
  );

  const side = createChatSide(view, chat, () => whole ?? element);
  const bar = view.h(
    "div",
    { class: "bar", role: "group", "aria-label": () => t("call.bar") },
    createSwitch(view, devices, "microphone", "mic-button"),
    createSwitch(view, devices, "camera", "camera-button"),
    screenButton(view, group),
    side.button,
    view.h(
      "button",
      {
        type: "button",
        class: "round",
        "data-testid": "settings-button",
        title: () => t("call.settings_title"),
        onclick: on(() => {
          showTools();
          tools?.showSettings();
        }),
      },
      icon("settings"),
      view.h("span", { class: "round-label" }, () => t("call.settings")),
    ),
    view.h(
      "button",
      {
        type: "button",
        class: "round leave",
        "data-testid": "leave-button",
        title: () => t("call.leave_title"),
        onclick: on(leave),
      },
      icon("leave"),
      view.h("span", { class: "round-label" }, () => t("call.leave")),
    ),
    ...more,
  );

  /** @type {HTMLElement} */
  const element = view.h(
    "section",
    {
      class: "call",
      "aria-label": () => t("call.name"),
      "data-alone": (s) => String(s.call.length === 0),
    },
    view.h("h1", { class: "unseen", tabindex: "-1" }, () => t("call.name")),
    stage,
    bar,
    whole ? null : side.element,
  );

  /** @type {import("./toolsview.js").ToolsView | null} */
  let tools = null;
  /** @type {VisitData | null} */
  let latest = null;
  view.use({
    element,
    update: (s) => {
      latest = s;
      tools?.update(s);
    },
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let showing;
  const dropTools = () => {
    clearTimeout(showing);
    showTools = () => {};
    tools?.remove();
    tools = null;
  };
  const leaveTools = [
    chat.whenLoaded((_chat, _views, loaded) => {
      dropTools();
      showTools = () => {
        clearTimeout(showing);
        tools ??= loaded.show({ element, stage, banners, bar, beside: side.button });
        if (latest !== null) tools.update(latest);
      };
      showing = setTimeout(showTools, TOOLS_AFTER);
    }),
    chat.on("ended", dropTools),
  ];
  const part = view.part(element, () => {
    for (const leaveOne of leaveTools) leaveOne();
    dropTools();
    side.remove();
    document.removeEventListener("fullscreenchange", showFullscreen);
    grid.remove();
    offSound();
    showStream(local, null);
    if (document.fullscreenElement !== null) void document.exitFullscreen();
  });
  return { ...part, side };
}

/**
 * The host may ask; to switch off somebody's microphone is nobody else's.
 *
 * @param {View<VisitData>} view
 * @param {DeviceSet} devices
 * @param {GroupActions} group
 */
function muteQuestion(view, devices, group) {
  return view.h(
    "div",
    { class: "banner question", "data-testid": "mute-asked", role: "status", hidden: (s) => !s.muteAsked },
    view.h("p", {}, (s) => t("call.mute_asked", { name: s.appointment?.provider ?? "" })),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-testid": "mute-now",
          onclick: on(() => void devices.switch("microphone", false)),
        },
        () => t("call.mute_now"),
      ),
      view.h(
        "button",
        { type: "button", "data-testid": "mute-later", onclick: on(() => group.keepSound()) },
        () => t("call.mute_later"),
      ),
    ),
  );
}

/**
 * @param {View<VisitData>} view
 * @param {GroupActions} group
 */
function screenButton(view, group) {
  return view.h(
    "button",
    {
      type: "button",
      class: "round",
      "data-testid": "screen-button",
      "aria-pressed": (s) => String(s.sharing),
      // Phones cannot show their screen.
      hidden: (s) => s.call.length === 0 || !("getDisplayMedia" in (navigator.mediaDevices ?? {})),
      title: (s) => t(s.sharing ? "call.screen_stop" : "call.screen_start"),
      onclick: on(() => group.share()),
    },
    icon("screen"),
    view.h("span", { class: "round-label" }, () => t("call.screen")),
  );
}

/**
 * @param {View<VisitData>} view
 * @param {() => HTMLElement} target
 */
function fullscreenButton(view, target) {
  return view.h(
    "button",
    {
      type: "button",
      class: "corner",
      "data-testid": "fullscreen-button",
      hidden: !document.fullscreenEnabled,
      "aria-pressed": "false",
      title: () => t("call.fullscreen_title"),
      onclick: on(() => {
        if (document.fullscreenElement === null)
          void target()
            .requestFullscreen()
            .catch(() => {});
        else void document.exitFullscreen();
      }),
    },
    icon("fullscreen"),
    view.h("span", { class: "unseen" }, () => t("call.fullscreen")),
  );
}
