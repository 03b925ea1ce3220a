// @ts-check
/** What is wrong with camera or microphone, and what to do about it, in words. */
import { on, View } from "./dom.js";
import { faultOf } from "./devicestate.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./devicestate.js").DeviceStatus} DeviceStatus
 * @typedef {import("./i18n.js").Key} Key
 */

/** Status -> [what is the matter, what to do]. @type {Readonly<Partial<Record<DeviceStatus, readonly [Key, Key]>>>} */
const WORDS = Object.freeze({
  refused: ["device.refused", "device.refused_do"],
  busy: ["device.busy", "device.busy_do"],
  insecure: ["device.insecure", "device.insecure_do"],
  lost: ["device.lost", "device.lost_do"],
  paused: ["device.paused", "device.paused_do"],
  blur_slow: ["device.blur_slow", "device.blur_off_do"],
  blur_failed: ["device.blur_failed", "device.blur_off_do"],
  failed: ["device.failed", "device.failed_do"],
});

/** @type {Readonly<Record<"camera" | "microphone" | "both", readonly [Key, Key]>>} */
const MISSING = Object.freeze({
  camera: ["device.no_camera", "device.no_camera_do"],
  microphone: ["device.no_microphone", "device.no_microphone_do"],
  both: ["device.nothing", "device.nothing_do"],
});

/** @type {Readonly<Record<"camera" | "microphone" | "both", Key>>} */
const NAMES = Object.freeze({
  camera: "device.the_camera",
  microphone: "device.the_microphone",
  both: "device.both",
});

/**
 * @param {VisitData} state
 * @returns {readonly [string, string] | null} the matter and the advice
 */
export function deviceAdvice(state) {
  const fault = faultOf(state.devices);
  if (fault === null) return null;
  const words = fault.status === "none" ? MISSING[fault.kind] : WORDS[fault.status];
  if (words === undefined) return null;
  const name = t(NAMES[fault.kind]);
  return [t(words[0], { device: name }), t(words[1], { device: name })];
}

/**
 * The advice as a notice with a button to try again; hidden while all is well.
 * @param {() => void} again
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createDeviceNotice(again) {
  /** @type {View<VisitData>} */
  const view = new View();
  const status = (/** @type {VisitData} */ s) => faultOf(s.devices)?.status ?? "";
  const element = view.h(
    "div",
    {
      class: "notice",
      role: "status",
      hidden: (s) => deviceAdvice(s) === null,
      "data-testid": "device-notice",
      "data-status": status,
    },
    icon("alert"),
    view.h(
      "div",
      {},
      view.h("strong", {}, (s) => deviceAdvice(s)?.[0] ?? ""),
      view.h("p", {}, (s) => deviceAdvice(s)?.[1] ?? ""),
      view.h(
        "button",
        {
          type: "button",
          class: "small",
          onclick: on(again),
          hidden: (s) => status(s) === "insecure",
        },
        () => t("device.again"),
      ),
    ),
  );
  return view.part(element);
}
