// @ts-check
/** A camera's track with everything behind the person blurred. Loaded when somebody wants it. */
import { startWorker } from "./ownworkers.js";

/**
 * @typedef {import("./blurworker.js").FromBlur} FromBlur
 * @typedef {import("./blurworker.js").ToBlur} ToBlur
 *
 * @typedef {object} Blurred
 * @property {MediaStreamTrack} track
 * @property {MediaStreamTrack} raw the camera's own
 * @property {() => void} end the camera, too
 *
 * Chromium's way of getting at frames (W3C mediacapture-transform).
 * @typedef {MediaStreamTrack & {writable: WritableStream<VideoFrame>}} Generator
 * @typedef {{readable: ReadableStream<VideoFrame>}} Processor
 */

/** Longest wait for what it needs, ms: a quarter of a megabyte. */
const PATIENCE = 20_000;

/**
 * @param {MediaStreamTrack} raw ended with what is made of it
 * @param {(reason: "slow" | "failed") => void} over it has stopped by itself: the machine is too slow, or
 *   the browser would not go on. Nothing comes any more, blurred or not
 * @param {AbortSignal} signal nobody waits for it any more
 * @returns {Promise<Blurred>} when it can be shown
 * @throws {Error} it cannot be had, or is not wanted; the camera's track is left as it was
 */
export async function blurred(raw, over, signal) {
  signal.throwIfAborted();
  const worker = startWorker("blurworker");
  let ended = false;
  try {
    await ready(worker, signal);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  const { track, receive, stop } = byStreams(raw, worker) ?? byPictures(raw, worker);
  const end = () => {
    ended = true;
    stop();
    raw.stop();
    track.stop();
    worker.terminate();
  };
  worker.addEventListener("message", ({ data }) => {
    const message = /** @type {FromBlur} */ (data);
    if (ended) return;
    if (message.type === "picture") receive(message);
    else if (message.type !== "ready") over(message.type);
  });
  return { track, raw, end };
}

/** @param {Worker} worker @param {AbortSignal} signal @returns {Promise<void>} */
function ready(worker, signal) {
  return new Promise((resolve, reject) => {
    const settle = (/** @type {boolean} */ fine) => {
      clearTimeout(timer);
      if (fine) resolve();
      else reject(new Error("the blur cannot be loaded"));
    };
    const timer = setTimeout(settle, PATIENCE, false);
    signal.addEventListener("abort", () => settle(false), { once: true });
    worker.addEventListener("message", ({ data }) => settle(data.type === "ready"), { once: true });
    worker.addEventListener("error", () => settle(false), { once: true });
  });
}

/**
 * Frames go through the worker without touching the page.
 *
 * @param {MediaStreamTrack} raw
 * @param {Worker} worker
 */
function byStreams(raw, worker) {
  const ProcessorOf = Reflect.get(globalThis, "MediaStreamTrackProcessor");
  const GeneratorOf = Reflect.get(globalThis, "MediaStreamTrackGenerator");
  if (!ProcessorOf || !GeneratorOf) return null;
  const { readable } = /** @type {Processor} */ (new ProcessorOf({ track: raw }));
  const track = /** @type {Generator} */ (new GeneratorOf({ kind: "video" }));
  const { writable } = track;
  const streams = /** @type {Transferable[]} */ (/** @type {unknown} */ ([readable, writable]));
  worker.postMessage(/** @type {ToBlur} */ ({ type: "streams", readable, writable }), streams);
  return { track, receive: () => {}, stop: () => {} };
}

/**
 * Elsewhere pictures are taken from a video and put on a canvas.
 *
 * @param {MediaStreamTrack} raw
 * @param {Worker} worker
 */
function byPictures(raw, worker) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([raw]);
  void video.play().catch(() => {});
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [track] = canvas.captureStream().getVideoTracks();
  if (!track) throw new Error("no stream of a canvas");
  raw.addEventListener("ended", () => {
    track.stop();
    // Stopping a track oneself tells nobody.
    track.dispatchEvent(new Event("ended"));
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const next = async () => {
    try {
      if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) throw new Error("no picture yet");
      const picture = await createImageBitmap(video);
      worker.postMessage(/** @type {ToBlur} */ ({ type: "picture", picture }), [picture]);
    } catch {
      timer = setTimeout(next, 100);
    }
  };
  void next();
  return {
    track,
    receive: (/** @type {FromBlur & {type: "picture"}} */ { picture, pause }) => {
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      context.drawImage(picture, 0, 0);
      picture.close();
      timer = setTimeout(next, pause);
    },
    stop: () => {
      clearTimeout(timer);
      video.srcObject = null;
    },
  };
}
