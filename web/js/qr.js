// @ts-check
/**
 * QR codes (ISO/IEC 18004): a link as a square of dark and light modules. Pure.
 *
 * Bytes only, error correction level L: a code on a screen is neither dirty nor torn, and fewer modules
 * are read from farther away. Versions 1 to 25, which is 1273 bytes; a link has about 550.
 */

/** Error correction bytes of each block, by version. */
const CORRECTION = [
  0, 7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26,
];
/** Blocks, by version. */
const BLOCKS = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12];
const HIGHEST = BLOCKS.length - 1;
/** Level L in the format bits (table 12). */
const LEVEL = 1;
const BYTES_MODE = 4;

/** @typedef {readonly (readonly boolean[])[]} Matrix  rows of modules; true is dark */

/**
 * @param {string} text
 * @param {number} [mask] 0–7; left out, the one that is easiest to read
 * @returns {Matrix | null} null where the text is too long
 */
export function encodeQr(text, mask) {
  const data = new TextEncoder().encode(text);
  const version = versionFor(data.length);
  if (version === null) return null;
  const canvas = new Canvas(version);
  canvas.drawPatterns();
  canvas.drawData(interleave(packed(data, version), version));
  if (mask === undefined) {
    const costs = Array.from({ length: 8 }, (_, one) => canvas.masked(one).penalty());
    mask = costs.indexOf(Math.min(...costs));
  }
  return canvas.masked(mask).modules;
}

/** @param {number} version */
function rawBytes(version) {
  const alignments = version === 1 ? 0 : Math.floor(version / 7) + 2;
  let bits = (16 * version + 128) * version + 64;
  if (alignments > 0) bits -= (25 * alignments - 10) * alignments - 55;
  if (version >= 7) bits -= 36;
  return Math.floor(bits / 8);
}

/** @param {number} version */
function dataBytes(version) {
  return rawBytes(version) - at(CORRECTION, version) * at(BLOCKS, version);
}

/** @param {number} length bytes */
function versionFor(length) {
  for (let version = 1; version <= HIGHEST; version += 1) {
    const header = 4 + (version < 10 ? 8 : 16);
    if (length * 8 + header <= dataBytes(version) * 8) return version;
  }
  return null;
}

/**
 * Mode, length, data, and what fills the rest (section 7.4).
 * @param {Uint8Array} data
 * @param {number} version
 */
function packed(data, version) {
  const capacity = dataBytes(version);
  /** @type {number[]} */
  const bits = [];
  const push = (/** @type {number} */ value, /** @type {number} */ count) => {
    for (let bit = count - 1; bit >= 0; bit -= 1) bits.push((value >>> bit) & 1);
  };
  push(BYTES_MODE, 4);
  push(data.length, version < 10 ? 8 : 16);
  for (const byte of data) push(byte, 8);
  push(0, Math.min(4, capacity * 8 - bits.length));
  push(0, -bits.length & 7);
  const bytes = [];
  for (let start = 0; start < bits.length; start += 8) {
    bytes.push(bits.slice(start, start + 8).reduce((value, bit) => (value << 1) | bit, 0));
  }
  for (let filler = 0xec; bytes.length < capacity; filler ^= 0xec ^ 0x11) bytes.push(filler);
  return bytes;
}

/**
 * Splits into blocks, corrects each, and deals them out in turn (section 7.6).
 * @param {number[]} data
 * @param {number} version
 */
function interleave(data, version) {
  const blocks = at(BLOCKS, version);
  const length = at(CORRECTION, version);
  const raw = rawBytes(version);
  const short = Math.floor(raw / blocks) - length;
  const shortBlocks = blocks - (raw % blocks);
  const divisor = generator(length);
  const parts = [];
  for (let block = 0, start = 0; block < blocks; block += 1) {
    const size = short + (block < shortBlocks ? 0 : 1);
    const bytes = data.slice(start, start + size);
    start += size;
    parts.push({ bytes, correction: remainder(bytes, divisor) });
  }
  const result = [];
  for (let index = 0; index <= short; index += 1) {
    for (const { bytes } of parts) if (index < bytes.length) result.push(at(bytes, index));
  }
  for (let index = 0; index < length; index += 1) {
    for (const { correction } of parts) result.push(at(correction, index));
  }
  return result;
}

/** In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. @param {number} a @param {number} b */
function multiply(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> bit) & 1) * a;
  }
  return product;
}

/** The Reed-Solomon generator polynomial without its first coefficient. @param {number} degree */
function generator(degree) {
  /** @type {number[]} */
  const result = [...Array(degree - 1).fill(0), 1];
  let root = 1;
  for (let round = 0; round < degree; round += 1) {
    for (let index = 0; index < degree; index += 1) {
      result[index] = multiply(at(result, index), root) ^ (result[index + 1] ?? 0);
    }
    root = multiply(root, 2);
  }
  return result;
}

/** @param {number[]} data @param {number[]} divisor */
function remainder(data, divisor) {
  /** @type {number[]} */
  const result = Array(divisor.length).fill(0);
  for (const byte of data) {
    const factor = byte ^ /** @type {number} */ (result.shift());
    result.push(0);
    divisor.forEach((coefficient, index) => {
      result[index] = at(result, index) ^ multiply(coefficient, factor);
    });
  }
  return result;
}

/** Whether a mask turns the module in column x, row y (table 10). @type {readonly ((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

class Canvas {
  /** @param {number} version */
  constructor(version) {
    this.version = version;
    this.size = version * 4 + 17;
    /** @type {boolean[][]} */
    this.modules = Array.from({ length: this.size }, () => Array(this.size).fill(false));
    /** Modules that are no data. @type {boolean[][]} */
    this.fixed = Array.from({ length: this.size }, () => Array(this.size).fill(false));
  }

  /** @param {number} x @param {number} y @param {boolean} dark */
  #set(x, y, dark) {
    at(this.modules, y)[x] = dark;
    at(this.fixed, y)[x] = true;
  }

  drawPatterns() {
    const { size, version } = this;
    for (let i = 0; i < size; i += 1) {
      this.#set(6, i, i % 2 === 0);
      this.#set(i, 6, i % 2 === 0);
    }
    this.#finder(3, 3);
    this.#finder(size - 4, 3);
    this.#finder(3, size - 4);
    const places = this.#alignments();
    const last = places.length - 1;
    places.forEach((x, i) => places.forEach((y, j) => {
      const corner = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
      if (!corner) this.#square(x, y, 2, (distance) => distance !== 1);
    }));
    this.drawFormat(0);
    if (version < 7) return;
    let rest = version;
    for (let i = 0; i < 12; i += 1) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let i = 0; i < 18; i += 1) {
      const dark = ((bits >>> i) & 1) === 1;
      const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
      this.#set(a, b, dark);
      this.#set(b, a, dark);
    }
  }

  /** @param {number} x @param {number} y */
  #finder(x, y) {
    this.#square(x, y, 4, (distance) => distance !== 2 && distance !== 4);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} reach
   * @param {(distance: number) => boolean} dark
   */
  #square(x, y, reach, dark) {
    for (let dy = -reach; dy <= reach; dy += 1) {
      for (let dx = -reach; dx <= reach; dx += 1) {
        const [column, row] = [x + dx, y + dy];
        if (column < 0 || row < 0 || column >= this.size || row >= this.size) continue;
        this.#set(column, row, dark(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  }

  #alignments() {
    if (this.version === 1) return [];
    const count = Math.floor(this.version / 7) + 2;
    const step = Math.ceil((this.version * 4 + 4) / (count * 2 - 2)) * 2;
    const places = [6];
    for (let place = this.size - 7; places.length < count; place -= step) places.splice(1, 0, place);
    return places;
  }

  /** @param {number} mask */
  drawFormat(mask) {
    const { size } = this;
    const data = (LEVEL << 3) | mask;
    let rest = data;
    for (let i = 0; i < 10; i += 1) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
    const bits = ((data << 10) | rest) ^ 0x5412;
    const bit = (/** @type {number} */ i) => ((bits >>> i) & 1) === 1;
    for (let i = 0; i <= 5; i += 1) this.#set(8, i, bit(i));
    this.#set(8, 7, bit(6));
    this.#set(8, 8, bit(7));
    this.#set(7, 8, bit(8));
    for (let i = 9; i < 15; i += 1) this.#set(14 - i, 8, bit(i));
    for (let i = 0; i < 8; i += 1) this.#set(size - 1 - i, 8, bit(i));
    for (let i = 8; i < 15; i += 1) this.#set(8, size - 15 + i, bit(i));
    this.#set(8, size - 8, true);
  }

  /** In pairs of columns from the right, up and down in turn. @param {number[]} bytes */
  drawData(bytes) {
    let index = 0;
    for (let right = this.size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.size; step += 1) {
        for (const x of [right, right - 1]) {
          const upward = ((right + 1) & 2) === 0;
          const y = upward ? this.size - 1 - step : step;
          if (at(at(this.fixed, y), x) || index >= bytes.length * 8) continue;
          at(this.modules, y)[x] = ((at(bytes, index >>> 3) >>> (7 - (index & 7))) & 1) === 1;
          index += 1;
        }
      }
    }
  }

  /** @param {number} mask */
  masked(mask) {
    const turned = at(MASKS, mask);
    const canvas = new Canvas(this.version);
    canvas.fixed = this.fixed;
    canvas.modules = this.modules.map((row, y) =>
      row.map((dark, x) => (at(at(this.fixed, y), x) ? dark : dark !== turned(x, y))),
    );
    canvas.drawFormat(mask);
    return canvas;
  }

  /** How hard it is to read (section 7.8.3). */
  penalty() {
    const { modules, size } = this;
    const columns = modules.map((_, x) => modules.map((row) => at(row, x)));
    let cost = 0;
    for (const line of [...modules, ...columns]) {
      const text = line.map((dark) => (dark ? "1" : "0")).join("");
      for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) cost += run.length - 2;
      for (const pattern of ["10111010000", "00001011101"]) {
        for (let i = text.indexOf(pattern); i !== -1; i = text.indexOf(pattern, i + 1)) cost += 40;
      }
    }
    let dark = 0;
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const one = at(at(modules, y), x);
        if (one) dark += 1;
        if (x === 0 || y === 0) continue;
        const above = at(modules, y - 1);
        if (one === at(above, x) && one === at(above, x - 1) && one === at(at(modules, y), x - 1)) cost += 3;
      }
    }
    return cost + Math.floor(Math.abs((dark * 20) / (size * size) - 10)) * 10;
  }
}

/**
 * @template T
 * @param {readonly T[]} list
 * @param {number} index
 * @returns {T}
 */
function at(list, index) {
  return /** @type {T} */ (list[index]);
}
