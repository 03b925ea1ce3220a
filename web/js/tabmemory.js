// @ts-check
/**
 * What a reload must not lose, in the tab's session storage: gone with the tab, never sent anywhere.
 * Where storage is forbidden everything works but a reload starts afresh.
 */
import { toBase64url } from "./bytes.js";

/**
 * @typedef {object} Visit
 * @property {string} fragment of the link, `token~secret`
 * @property {string} secret the participant's, 128 random bits (protocol section 2)
 * @property {string} name
 * @property {boolean} entered went in and has not come out: a reload goes straight back
 * @property {boolean} microphone the person's choice: on
 * @property {boolean} camera the person's choice: on
 * @property {boolean} blur what is behind the person is to be blurred
 * @property {string} microphoneId chosen device, or ""
 * @property {string} cameraId chosen device, or ""
 * @property {import("./files.js").Consent} files whether files may be exchanged in this call
 * @property {boolean} live others see the letters of a message as they are typed
 */

/**
 * @param {string} key
 * @returns {string | null}
 */
export function recall(key) {
  try {
    return sessionStorage.getItem(`konsil.${key}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string | null} value null forgets
 */
export function keep(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(`konsil.${key}`);
    else sessionStorage.setItem(`konsil.${key}`, value);
  } catch {
    // Private modes may forbid storage.
  }
}

/** All that this tab remembers of ours: the link, the name, the choices. */
export function forgetAll() {
  try {
    sessionStorage.clear();
  } catch {
    // Nothing was kept, then.
  }
}

/** 128 random bits in base64url, 22 characters. */
export function randomName() {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16)));
}

/**
 * The visit of this page and fragment, or a new one. A different link is a different visit, with a
 * secret of its own, so that nothing connects the two.
 * @param {"join" | "host"} page
 * @param {string} fragment
 * @returns {Visit}
 */
export function recallVisit(page, fragment) {
  /** @type {Visit} */
  const fresh = {
    fragment, secret: randomName(), name: "", entered: false,
    microphone: true, camera: true, blur: false, microphoneId: "", cameraId: "",
    files: "unasked", live: true,
  };
  try {
    const kept = JSON.parse(recall(`visit.${page}`) ?? "null");
    if (kept?.fragment === fragment && /^[\w-]{22}$/.test(kept.secret)) return { ...fresh, ...kept };
  } catch {
    // Not ours, or of another version: a new visit.
  }
  return fresh;
}

/**
 * @param {"join" | "host"} page
 * @param {Visit} visit
 */
export function keepVisit(page, visit) {
  keep(`visit.${page}`, JSON.stringify(visit));
}
