// @ts-check
/** One's own picture before and while waiting, with the switches for camera and microphone on it. */
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { createPicture, showStream } from "./picture.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./devices.js").DeviceSet} DeviceSet
 * @typedef {import("./devicestate.js").DeviceKind} DeviceKind
 * @typedef {import("./i18n.js").Key} Key
 */

/**
 * @param {DeviceSet} devices
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createPreview(devices) {
  /** @type {View<VisitData>} */
  const view = new View();
  const video = createPicture("device-preview", true);
  view.bind(
    () => t("preview.name"),
    (name) => video.setAttribute("aria-label", name),
  );
  view.bind(
    (s) => s.devices.facing,
    (facing) => video.setAttribute("data-facing", facing),
  );
  view.bind(
    (s) => s.devices.camera === "on",
    (on) => showStream(video, on ? devices.stream : null),
  );
  const element = view.h(
    "div",
    { class: "preview" },
    video,
    view.h("p", { class: "preview-word", hidden: (s) => s.devices.camera === "on" }, (s) =>
      t(
        s.devices.camera === "opening" || s.devices.camera === "idle"
          ? "preview.opening"
          : s.devices.camera === "off"
            ? "preview.off"
            : "preview.none",
      ),
    ),
    view.h(
      "div",
      { class: "preview-bar" },
      createSwitch(view, devices, "microphone", "mic-preview"),
      createSwitch(view, devices, "camera", "camera-preview"),
    ),
  );
  return view.part(element, () => showStream(video, null));
}

/** Kind -> [name, title while on, title while off, title while there is none] */
const SWITCH = Object.freeze({
  microphone: /** @type {const} */ ([
    "call.microphone",
    "switch.microphone_on",
    "switch.microphone_off",
    "switch.microphone_none",
  ]),
  camera: /** @type {const} */ ([
    "device.camera",
    "switch.camera_on",
    "switch.camera_off",
    "switch.camera_none",
  ]),
});

/**
 * A button that is pressed while the device is on. Its name stays; title and picture tell the state.
 * @param {View<VisitData>} view
 * @param {DeviceSet} devices
 * @param {DeviceKind} kind
 * @param {string} testid
 * @returns {HTMLButtonElement}
 */
export function createSwitch(view, devices, kind, testid) {
  const [name, lit, dark, none] = SWITCH[kind];
  const sign = icon(kind);
  view.bind(
    (s) => s.devices[kind] === "on",
    (isOn) => sign.show(isOn ? kind : `${kind}Off`),
  );
  return view.h(
    "button",
    {
      type: "button",
      class: "round",
      "data-testid": testid,
      "aria-pressed": (s) => String(s.devices[kind] === "on"),
      "data-state": (s) => s.devices[kind],
      title: (s) => t(s.devices[kind] === "on" ? lit : s.devices[kind] === "off" ? dark : none),
      // What is being opened is not wanted any more, either.
      onclick: on(() => void devices.switch(kind, !["on", "opening"].includes(devices.state[kind]))),
    },
    sign,
    view.h("span", { class: "round-label" }, () => t(name)),
  );
}
