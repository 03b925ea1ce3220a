// @ts-check
/**
 * Video elements, and the browsers' rule that a page may not sound before somebody has touched it:
 * such a picture then runs without sound until `soundOn` is called from a click.
 */

/** @type {Set<HTMLVideoElement>} */
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
  for (const video of silenced) {
    video.muted = false;
    void video.play().then(() => silenced.delete(video)).catch(() => {}).finally(tell);
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
  video.muted = own;
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
  if (stream === null) {
    silenced.delete(video);
    tell();
    return;
  }
  void video.play().catch((error) => {
    if (error.name !== "NotAllowedError" || video.muted) return;
    video.muted = true;
    silenced.add(video);
    tell();
    return video.play().catch(() => {});
  });
}
