// @ts-check
/**
 * Blurs what is behind a person, picture by picture, in a worker of its own. Nothing leaves it that has
 * not been blurred: what fails is not sent.
 */
import { Backdrop, cutOut, fit } from "./backdrop.js";
import { BlurPace } from "./blurpace.js";
import { HEIGHT, Segmenter, WIDTH } from "./segmenter.js";

/**
 * `streams`: frames come and go by themselves; else one `picture` at a time is answered by a `picture`.
 *
 * @typedef {{type: "streams", readable: ReadableStream<VideoFrame>, writable: WritableStream<VideoFrame>}
 *   | {type: "picture", picture: ImageBitmap}} ToBlur
 * @typedef {{type: "ready"} | {type: "picture", picture: ImageBitmap, pause: number} | {type: "slow"}
 *   | {type: "failed"}} FromBlur pause: before the next picture, ms
 */

class Composer {
  #segmenter;
  #backdrop = new Backdrop();
  #look = canvas(WIDTH, HEIGHT, true);
  #mask = canvas(1, 1, false);
  #behind = canvas(1, 1, false);
  #whole = canvas(1, 1, false);

  /** @param {Segmenter} segmenter */
  constructor(segmenter) {
    this.#segmenter = segmenter;
  }

  /**
   * @param {VideoFrame | ImageBitmap} picture
   * @param {number} width in pixels, as it is shown
   * @param {number} height
   * @returns {OffscreenCanvas} of the same size; the same one each time
   */
  compose(picture, width, height) {
    const area = fit(width, height, WIDTH, HEIGHT);
    const look = this.#look;
    look.clearRect(0, 0, WIDTH, HEIGHT);
    look.drawImage(picture, area.left, area.top, area.width, area.height);
    const sure = this.#segmenter.run(look.getImageData(0, 0, WIDTH, HEIGHT).data);
    const small = look.getImageData(area.left, area.top, area.width, area.height);
    const mask = new ImageData(area.width, area.height);
    cutOut(sure, WIDTH, area, mask.data);
    const behind = new ImageData(area.width, area.height);
    this.#backdrop.blur(small.data, mask.data, area.width, area.height, behind.data);
    for (const [context, data] of /** @type {const} */ ([[this.#mask, mask], [this.#behind, behind]])) {
      resize(context, area.width, area.height);
      context.putImageData(data, 0, 0);
    }
    const whole = this.#whole;
    resize(whole, width, height);
    whole.imageSmoothingQuality = "medium";
    whole.globalCompositeOperation = "copy";
    whole.drawImage(this.#mask.canvas, 0, 0, width, height);
    whole.globalCompositeOperation = "source-in";
    whole.drawImage(picture, 0, 0, width, height);
    whole.globalCompositeOperation = "destination-over";
    whole.drawImage(this.#behind.canvas, 0, 0, width, height);
    return whole.canvas;
  }
}

/** @param {number} width @param {number} height @param {boolean} read whether pixels are read from it */
function canvas(width, height, read) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: read });
  if (context === null) throw new Error("no canvas");
  return context;
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {number} width @param {number} height */
function resize({ canvas: of }, width, height) {
  if (of.width === width && of.height === height) return;
  of.width = width;
  of.height = height;
}

/** @param {string} url @returns {Promise<Response>} */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

/** @param {FromBlur} message @param {Transferable[]} [transfer] */
function tell(message, transfer = []) {
  globalThis.postMessage(message, { transfer });
}

const pace = new BlurPace();

/**
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
function timed(work) {
  const start = performance.now();
  const result = work();
  const now = performance.now();
  if (pace.took(now - start, now)) {
    tell({ type: "slow" });
    throw new Error("too slow");
  }
  return result;
}

/**
 * @param {Composer} composer
 * @param {ReadableStream<VideoFrame>} readable
 * @param {WritableStream<VideoFrame>} writable
 */
async function pass(composer, readable, writable) {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  try {
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) break;
      try {
        if (!pace.takes(performance.now())) continue;
        const { displayWidth, displayHeight, timestamp } = frame;
        const picture = timed(() => composer.compose(frame, displayWidth, displayHeight));
        await writer.write(new VideoFrame(picture, { timestamp }));
      } finally {
        frame.close();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
    // The track that is sent ends with the camera's.
    writer.close().catch(() => {});
  }
}

/** @param {Composer} composer @param {ImageBitmap} picture */
function answer(composer, picture) {
  const start = performance.now();
  const blurred = timed(() =>
    composer.compose(picture, picture.width, picture.height).transferToImageBitmap());
  picture.close();
  const pause = Math.max(0, pace.interval - (performance.now() - start));
  tell({ type: "picture", picture: blurred, pause }, [blurred]);
}

const composing = (async () => {
  const [code, model] = await Promise.all([
    fetched("/static/blur/segmenter.wasm").then((response) => WebAssembly.compileStreaming(response)),
    fetched("/static/blur/model.bin").then((response) => response.arrayBuffer()),
  ]);
  return new Composer(await Segmenter.make(code, model));
})();
composing.then(() => tell({ type: "ready" }), () => tell({ type: "failed" }));

addEventListener("message", async ({ data }) => {
  const message = /** @type {ToBlur} */ (data);
  try {
    const composer = await composing;
    if (message.type === "streams") await pass(composer, message.readable, message.writable);
    else answer(composer, message.picture);
  } catch {
    tell({ type: "failed" });
  }
});
