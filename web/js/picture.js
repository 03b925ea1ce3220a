// @ts-check
/**
 * Video elements, and the browsers' rule that a page may not sound before somebody has touched it:
 * such a picture then runs without sound until `soundOn` is called from a click.
 *
 * Sound comes from an element of its own: a video element plays nothing at all until the first picture
 * has come, and from somebody who has no camera, or has switched it off, none ever comes.
 *
 * A telephone call pauses both, and not every system starts them again.
 */

/** Paused again so soon after it was started, it is the system's will for now, ms. */
const AGAIN = 1000;

/** @type {WeakMap<HTMLVideoElement, HTMLAudioElement>} */
const sounds = new WeakMap();
/** @type {Set<HTMLMediaElement>} */
const silenced = new Set();
/** Those that have a stream, and when they were last started. @type {Map<HTMLMediaElement, number>} */
const running = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * @param {() => void} listener called when `soundBlocked` may have changed
 * @returns {() => void} takes the listener away again
 */
export function onSound(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether somebody cannot be heard, or not be seen, until a click. */
export const soundBlocked = () => silenced.size > 0;

/** To be called from a click or a key. */
export function soundOn() {
  for (const element of silenced) start(element);
}

/** @param {HTMLMediaElement} element */
function start(element) {
  const stream = element.srcObject;
  running.set(element, performance.now());
  void element.play().then(() => silenced.delete(element), () => refused(element, stream)).finally(tell);
}

/** @param {HTMLMediaElement} element @param {HTMLMediaElement["srcObject"]} stream */
function refused(element, stream) {
  // Also when the stream is taken away again in the same moment; and one's own picture is silent anyway.
  if (!element.paused || stream === null || element.srcObject !== stream) return;
  if (!(element instanceof HTMLVideoElement) || sounds.has(element)) silenced.add(element);
}

/** @param {Event} event */
function paused({ currentTarget }) {
  const element = /** @type {HTMLMediaElement} */ (currentTarget);
  const since = running.get(element);
  if (since === undefined || !element.paused) return;
  if (performance.now() - since > AGAIN) start(element);
  else {
    refused(element, element.srcObject);
    tell();
  }
}

/** @param {Event} event */
function plays({ currentTarget }) {
  if (silenced.delete(/** @type {HTMLMediaElement} */ (currentTarget))) tell();
}

let watches = false;

/** @param {HTMLMediaElement} element */
function keepRunning(element) {
  element.addEventListener("pause", paused);
  element.addEventListener("playing", plays);
  if (watches) return;
  watches = true;
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    for (const one of running.keys()) {
      if (one.paused) start(one);
    }
  });
}

function tell() {
  for (const listener of listeners) listener();
}

/**
 * @param {string} testid
 * @param {boolean} own one's own picture: without sound, and mirrored unless its `data-facing` says that
 *   the camera looks away from the person
 * @returns {HTMLVideoElement}
 */
export function createPicture(testid, own) {
  const video = document.createElement("video");
  video.dataset["testid"] = testid;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = own;
  video.muted = true;
  keepRunning(video);
  if (!own) {
    const sound = new Audio();
    keepRunning(sound);
    sounds.set(video, sound);
  }
  video.className = own ? "picture own" : "picture";
  return video;
}

/**
 * Shows a stream, or nothing; keeps a running picture untouched.
 * @param {HTMLVideoElement} video
 * @param {MediaStream | null} stream
 */
export function showStream(video, stream) {
  if (video.srcObject === stream) return;
  play(video, stream);
  const sound = sounds.get(video);
  if (sound !== undefined) play(sound, stream === null ? null : new MediaStream(stream.getAudioTracks()));
}

/**
 * @param {HTMLMediaElement} element
 * @param {MediaStream | null} stream
 */
function play(element, stream) {
  running.delete(element);
  if (silenced.delete(element)) tell();
  element.srcObject = stream;
  if (stream !== null) start(element);
}
