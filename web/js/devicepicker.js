// @ts-check
/** Choice of camera and microphone with a level meter; used before joining and during the call. */
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { startMeter } from "./meter.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./devices.js").DeviceSet} DeviceSet
 * @typedef {import("./devicestate.js").DeviceKind} DeviceKind
 */

/** Loud enough to be somebody speaking. */
const SPEECH = 0.35;

/**
 * @param {DeviceSet} devices
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createDevicePicker(devices) {
  /** @type {View<VisitData>} */
  const view = new View();
  const bar = view.h("div", { class: "meter-level" });
  const heard = view.h("span", { class: "meter-word" });
  let wasHeard = false;
  let level = 0;
  const say = () => {
    const on = devices.state.microphone === "on";
    heard.textContent = t(!on ? "meter.off" : wasHeard ? "meter.heard" : "meter.speak");
  };
  const report = (/** @type {number} */ now) => {
    level = Math.max(now, level * 0.8);
    bar.style.inlineSize = `${Math.round(level * 100)}%`;
    if (!wasHeard && now > SPEECH) {
      wasHeard = true;
      say();
    }
  };
  let stop = () => {};
  const audioTrack = () => devices.stream.getAudioTracks()[0] ?? null;
  view.bind((s) => (s.devices.microphone === "on" ? audioTrack() : null), (track) => {
    stop();
    report(0);
    level = 0;
    wasHeard = false;
    stop = track === null ? () => {} : startMeter(devices.stream, report);
  });
  view.bind((s) => `${s.devices.microphone} ${t("meter.off")}`, say);

  const element = view.h("div", { class: "picker" },
    select("camera"),
    view.h("label", { class: "check", hidden: !canBlur() },
      view.h("input", {
        type: "checkbox",
        "data-testid": "blur-checkbox",
        checked: (s) => s.devices.blur,
        onchange: on(({ target }) => void devices.blur(target.checked)),
      }),
      view.h("span", {}, () => t("device.blur"))),
    select("microphone"),
    view.h("div", { class: "meter" },
      icon("microphone"),
      view.h("div", { class: "meter-track", "aria-hidden": "true" }, bar),
      heard));

  /** @param {DeviceKind} kind */
  function select(kind) {
    const list = view.h("select", {
      disabled: (s) => choices(s, kind).length === 0,
      onchange: on(() => void devices.choose(kind, list.value)),
    });
    const signature = (/** @type {VisitData} */ s) => JSON.stringify([
      choices(s, kind), inUse(s, kind), t(kind === "camera" ? "device.camera" : "device.microphone"),
      t("device.none_found"),
    ]);
    view.bind(signature, (text) => {
      const [found, current] = /** @type {[Array<{id: string, label: string}>, string]} */ (
        JSON.parse(text));
      const name = t(kind === "camera" ? "device.camera" : "device.microphone");
      list.replaceChildren(...(found.length === 0
        ? [new Option(t("device.none_found"), "")]
        : found.map(({ id, label }, index) =>
          new Option(label === "" ? `${name} ${index + 1}` : label, id, false, id === current))));
    });
    return view.h("label", { class: "field" },
      view.h("span", { class: "label" },
        () => t(kind === "camera" ? "device.camera" : "device.microphone")),
      list);
  }

  return view.part(element, () => stop());
}

/** Elsewhere it cannot be done, and is not offered. */
function canBlur() {
  return "OffscreenCanvas" in globalThis && "captureStream" in HTMLCanvasElement.prototype;
}

/**
 * @param {VisitData} s
 * @param {DeviceKind} kind
 */
function choices(s, kind) {
  return kind === "camera" ? s.devices.cameras : s.devices.microphones;
}

/**
 * @param {VisitData} s
 * @param {DeviceKind} kind
 */
function inUse(s, kind) {
  return kind === "camera" ? s.devices.cameraId : s.devices.microphoneId;
}
