// @ts-check
/**
 * Camera and microphone as state, and what a browser's refusal means. Pure.
 *
 * `off` is the person's choice; every other word but `on` says why there is nothing:
 * `none` no such device, `refused` no permission, `busy` another program holds it, `insecure` the page
 * did not come over https, `lost` it went away while in use, `paused` the system has taken it for something
 * else for a while, `blur_slow` and `blur_failed` what is behind the
 * person could not be blurred, `failed` anything else.
 *
 * @typedef {"idle" | "opening" | "on" | "off" | "none" | "refused" | "busy" | "insecure" | "lost"
 *   | "paused" | "blur_slow" | "blur_failed" | "failed"} DeviceStatus
 * @typedef {"camera" | "microphone"} DeviceKind
 * @typedef {{id: string, label: string}} Device
 *
 * @typedef {object} Devices
 * @property {DeviceStatus} camera
 * @property {DeviceStatus} microphone
 * @property {boolean} blur what is behind the person is to be blurred
 * @property {readonly Device[]} cameras
 * @property {readonly Device[]} microphones
 * @property {string} cameraId the one in use, or ""
 * @property {string} microphoneId the one in use, or ""
 * @property {string} facing where the camera in use looks, in Media Capture's words, or ""
 */

/** @type {Devices} */
export const NO_DEVICES = Object.freeze({
  camera: "idle", microphone: "idle", blur: false, cameras: [], microphones: [], cameraId: "", microphoneId: "",
  facing: "",
});

/** Names of getUserMedia's exceptions (Media Capture and Streams, section 10.2) and older ones. */
const REFUSALS = new Map(Object.entries({
  NotAllowedError: "refused", PermissionDeniedError: "refused", SecurityError: "refused",
  NotFoundError: "none", DevicesNotFoundError: "none", OverconstrainedError: "none",
  NotReadableError: "busy", TrackStartError: "busy", AbortError: "busy", TypeError: "insecure",
}));

/**
 * @param {unknown} error what getUserMedia threw
 * @returns {DeviceStatus}
 */
export function statusOf(error) {
  const name = error instanceof Error || error instanceof Object ? Reflect.get(error, "name") : "";
  return /** @type {DeviceStatus} */ (REFUSALS.get(String(name)) ?? "failed");
}

/**
 * The kinds worth asking for one by one after both together have failed. A browser that has been told
 * "no" is not asked again, for that would put the same question before the person twice.
 * @param {DeviceStatus} together why both together failed
 * @param {Readonly<Record<DeviceKind, PermissionState | "unknown">>} permissions
 * @returns {readonly DeviceKind[]}
 */
export function worthTrying(together, permissions) {
  const kinds = /** @type {const} */ (["microphone", "camera"]);
  if (together === "insecure") return [];
  if (together !== "refused") return kinds;
  // One refused for good keeps a browser from asking about the other: that one is a question of its own.
  const oneRefused = kinds.some((kind) => permissions[kind] === "denied");
  return kinds.filter((kind) =>
    permissions[kind] === "granted" || (permissions[kind] === "prompt" && oneRefused));
}

/** @typedef {"ready" | "opening" | "sound_only" | "picture_only" | "nothing"} Readiness */

/**
 * What can be sent with these devices.
 * @param {Devices} devices
 * @returns {Readiness}
 */
export function readinessOf({ camera, microphone }) {
  const usable = (/** @type {DeviceStatus} */ s) => s === "on" || s === "off";
  if ([camera, microphone].some((s) => s === "opening" || s === "idle")) return "opening";
  if (usable(camera)) return usable(microphone) ? "ready" : "picture_only";
  return usable(microphone) ? "sound_only" : "nothing";
}

/**
 * The fault to explain, the gravest first; null where all is well or still opening.
 * @param {Devices} devices
 * @returns {{kind: DeviceKind | "both", status: DeviceStatus} | null}
 */
export function faultOf({ camera, microphone }) {
  const faulty = (/** @type {DeviceStatus} */ s) => !["idle", "opening", "on", "off"].includes(s);
  if (faulty(camera) && faulty(microphone)) {
    const same = camera === microphone;
    return { kind: same ? "both" : "microphone", status: microphone };
  }
  if (faulty(microphone)) return { kind: "microphone", status: microphone };
  if (faulty(camera)) return { kind: "camera", status: camera };
  return null;
}
