// @ts-check
/**
 * Video elements, and the browsers' rule that a page may not sound before somebody has touched it:
 * such a picture then runs without sound until `soundOn` is called from a click.
 *
 * Sound comes from an element of its own: a video element plays nothing at all until the first picture
 * has come, and from somebody who has no camera, or has switched it off, none ever comes.
 */

/** @type {WeakMap<HTMLVideoElement, HTMLAudioElement>} */
const sounds = new WeakMap();
/** @type {Set<HTMLAudioElement>} */
const silenced = new Set();
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

/** Whether somebody can be seen but not heard until a click. */
export const soundBlocked = () => silenced.size > 0;

/** To be called from a click or a key. */
export function soundOn() {
  for (const sound of silenced) {
    void sound.play().then(() => silenced.delete(sound)).catch(() => {}).finally(tell);
  }
}

function tell() {
  for (const listener of listeners) listener();
}

/**
 * @param {string} testid
 * @param {boolean} own one's own picture: mirrored and without sound
 * @returns {HTMLVideoElement}
 */
export function createPicture(testid, own) {
  const video = document.createElement("video");
  video.dataset["testid"] = testid;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = own;
  video.muted = true;
  if (!own) sounds.set(video, new Audio());
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
  video.srcObject = stream;
  // Refused only when the stream is taken away again in the same moment.
  if (stream !== null) void video.play().catch(() => {});
  const sound = sounds.get(video);
  if (sound !== undefined) hear(sound, stream);
}

/**
 * @param {HTMLAudioElement} sound
 * @param {MediaStream | null} stream
 */
function hear(sound, stream) {
  if (silenced.delete(sound)) tell();
  sound.srcObject = stream === null ? null : new MediaStream(stream.getAudioTracks());
  if (stream === null) return;
  void sound.play().catch((error) => {
    if (error.name !== "NotAllowedError") return;
    silenced.add(sound);
    tell();
  });
}
