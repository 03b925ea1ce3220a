// @ts-check
/**
 * Tells the person in a picture from what is behind: the network of web/blur/, run in WebAssembly. One
 * picture at a time, in place; some 3 MB of memory in all.
 */

/** Size of what it looks at, in pixels. */
export const WIDTH = 256;
export const HEIGHT = 144;

/**
 * @typedef {object} Exports of web/blur/segmenter.c
 * @property {WebAssembly.Memory} memory
 * @property {(length: number) => number} place
 * @property {(length: number) => number} load
 * @property {() => number} input
 * @property {() => number} output
 * @property {() => void} run
 */

export class Segmenter {
  #exports;

  /**
   * @param {WebAssembly.Module} code segmenter.wasm
   * @param {ArrayBuffer} model model.bin
   * @returns {Promise<Segmenter>}
   * @throws {Error} when it is none, or there is no memory for it
   */
  static async make(code, model) {
    const { exports } = await WebAssembly.instantiate(code, {});
    return new Segmenter(/** @type {Exports} */ (/** @type {unknown} */ (exports)), model);
  }

  /** @param {Exports} exports @param {ArrayBuffer} model */
  constructor(exports, model) {
    this.#exports = exports;
    const place = exports.place(model.byteLength);
    if (place === 0) throw new Error("no memory for the model");
    new Uint8Array(exports.memory.buffer, place).set(new Uint8Array(model));
    if (exports.load(model.byteLength) === 0) throw new Error("no model, or no memory for it");
  }

  /**
   * @param {Uint8ClampedArray} pixels WIDTH × HEIGHT of red, green, blue, alpha
   * @returns {Float32Array} WIDTH × HEIGHT, how surely there is the person, 0 to 1; good until the next call
   */
  run(pixels) {
    const { memory, input, output, run } = this.#exports;
    const colours = new Float32Array(memory.buffer, input(), WIDTH * HEIGHT * 3);
    for (let from = 0, to = 0; to < colours.length; from += 4, to += 3) {
      colours[to] = /** @type {number} */ (pixels[from]) / 255;
      colours[to + 1] = /** @type {number} */ (pixels[from + 1]) / 255;
      colours[to + 2] = /** @type {number} */ (pixels[from + 2]) / 255;
    }
    run();
    return new Float32Array(memory.buffer, output(), WIDTH * HEIGHT);
  }
}
