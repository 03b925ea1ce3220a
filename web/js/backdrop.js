// @ts-check
/**
 * From a small picture and where the person is in it: what is laid over the camera's picture so that the
 * person stays and everything behind is blurred. Pure; arrays of pixels in, arrays of pixels out.
 */

/**
 * A part of a picture, in pixels.
 * @typedef {{left: number, top: number, width: number, height: number}} Area
 */

/** Below the first it is not the person, above the second it is; in between they blend. */
const EDGE = Object.freeze({ from: 0.3, to: 0.7 });
/** Of the blur, as a share of the width: letters on a shelf behind cannot be read any more. */
const RADIUS = 1 / 24;
const PASSES = 2;

/**
 * The largest area of a frame's shape, in the middle of what is looked at.
 *
 * @param {number} width of the frame
 * @param {number} height
 * @param {number} most width of what is looked at
 * @param {number} mostHigh
 * @returns {Area}
 */
export function fit(width, height, most, mostHigh) {
  const scale = Math.min(most / width, mostHigh / height);
  const fitted = {
    width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)),
  };
  return {
    left: Math.floor((most - fitted.width) / 2), top: Math.floor((mostHigh - fitted.height) / 2), ...fitted,
  };
}

/**
 * @param {Float32Array} sure how surely there is the person, 0 to 1, in rows of `stride`
 * @param {number} stride
 * @param {Area} area
 * @param {Uint8ClampedArray} mask gets the area's pixels: white, and as opaque as the person is there
 */
export function cutOut(sure, stride, { left, top, width, height }, mask) {
  for (let row = 0, to = 0; row < height; row += 1) {
    for (let from = (top + row) * stride + left, end = from + width; from < end; from += 1, to += 4) {
      const share = (/** @type {number} */ (sure[from]) - EDGE.from) / (EDGE.to - EDGE.from);
      const within = Math.min(1, Math.max(0, share));
      mask[to] = mask[to + 1] = mask[to + 2] = 255;
      mask[to + 3] = Math.round(255 * within * within * (3 - 2 * within));
    }
  }
}

export class Backdrop {
  #planes = new Float32Array(0);
  #spare = new Float32Array(0);

  /**
   * What is behind, blurred. The person does not shine through: only what is behind goes into it, and it
   * is continued to where the person is.
   *
   * @param {Uint8ClampedArray} pixels red, green, blue, alpha
   * @param {Uint8ClampedArray} mask from `cutOut`
   * @param {number} width
   * @param {number} height
   * @param {Uint8ClampedArray} out gets opaque pixels
   */
  blur(pixels, mask, width, height, out) {
    const count = width * height;
    if (this.#planes.length !== count * 4) {
      this.#planes = new Float32Array(count * 4);
      this.#spare = new Float32Array(count * 4);
    }
    const planes = this.#planes;
    for (let at = 0; at < count * 4; at += 4) {
      // Never nothing at all: in a picture full of the person there is still a colour to give.
      const behind = 255.01 - /** @type {number} */ (mask[at + 3]);
      planes[at] = /** @type {number} */ (pixels[at]) * behind;
      planes[at + 1] = /** @type {number} */ (pixels[at + 1]) * behind;
      planes[at + 2] = /** @type {number} */ (pixels[at + 2]) * behind;
      planes[at + 3] = behind;
    }
    const radius = Math.max(2, Math.round(Math.max(width, height) * RADIUS));
    for (let pass = 0; pass < PASSES; pass += 1) {
      spread(planes, this.#spare, width, height, 4, width * 4, radius);
      spread(this.#spare, planes, height, width, width * 4, 4, radius);
    }
    for (let at = 0; at < count * 4; at += 4) {
      const behind = /** @type {number} */ (planes[at + 3]);
      out[at] = /** @type {number} */ (planes[at]) / behind;
      out[at + 1] = /** @type {number} */ (planes[at + 1]) / behind;
      out[at + 2] = /** @type {number} */ (planes[at + 2]) / behind;
      out[at + 3] = 255;
    }
  }
}

/**
 * Averages along lines; beyond the ends there is nothing.
 *
 * @param {Float32Array} from
 * @param {Float32Array} to
 * @param {number} length of a line, in pixels
 * @param {number} lines
 * @param {number} step between pixels of a line, in numbers
 * @param {number} next between lines, in numbers
 * @param {number} radius in pixels
 */
function spread(from, to, length, lines, step, next, radius) {
  for (let line = 0; line < lines; line += 1) {
    for (let channel = 0; channel < 4; channel += 1) {
      const start = line * next + channel;
      let sum = 0;
      for (let i = 0; i < Math.min(radius, length); i += 1) sum += /** @type {number} */ (from[start + i * step]);
      for (let i = 0; i < length; i += 1) {
        if (i + radius < length) sum += /** @type {number} */ (from[start + (i + radius) * step]);
        if (i - radius - 1 >= 0) sum -= /** @type {number} */ (from[start + (i - radius - 1) * step]);
        // A running sum may end a hair below nothing.
        to[start + i * step] = Math.max(sum, 1e-6);
      }
    }
  }
}
