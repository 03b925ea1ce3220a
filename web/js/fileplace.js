// @ts-check
/**
 * Where a received file is put while it comes: what is small stays in memory and touches no disk; what
 * is large goes, as it comes, into the browser's private file system of this origin, or to where the
 * person wants it; without either, into memory up to a bound.
 */

/** @typedef {import("./fileincoming.js").FilePlace} FilePlace */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** Kept in memory, bytes. */
export const SMALL = 8 * 1024 * 1024;
/** Most that is taken where nothing can be stored as it comes, bytes. */
export const MOST_IN_MEMORY = 128 * 1024 * 1024;
/** What the browser's storage must have beyond the file, bytes. */
const SPARE = 32 * 1024 * 1024;
/** Pieces in memory are put together to larger ones, bytes; browsers may move those to the disk. */
const PIECE = 4 * 1024 * 1024;

const FOLDER = "received";

/** @param {string} own */
const lockName = (own) => `konsil-${FOLDER}-${own}`;

/** The person does not want to say where, or nothing can take it. */
export class NoPlace extends Error {}

export class FilePlaces {
  /** Of this page load: another tab's files are not ours to touch. */
  #own;
  /** @type {Promise<FileSystemDirectoryHandle | null> | null} */
  #folder = null;
  #leave = () => {};
  #closed = false;
  #count = 0;

  /** @param {string} own a name that no other page has */
  constructor(own) {
    this.#own = own;
    // What a page left behind that was killed.
    void this.#tidy();
  }

  /**
   * Called in the task of the person's click: a browser shows its own dialogue only then.
   *
   * @param {string} name
   * @param {number} size
   * @returns {Promise<FilePlace>}
   * @throws {NoPlace}
   */
  async make(name, size) {
    if (size <= SMALL) return new MemoryPlace();
    const place = await this.#private(size).catch(() => null);
    if (place !== null) return place;
    const picked = await pick(name);
    if (picked !== null) return picked;
    if (size <= MOST_IN_MEMORY) return new MemoryPlace();
    throw new NoPlace("too large for this browser");
  }

  /**
   * @param {number} size
   * @returns {Promise<boolean>} whether a file of this size could be taken
   */
  async canTake(size) {
    return size <= MOST_IN_MEMORY || "showSaveFilePicker" in globalThis || (await this.#hasRoom(size));
  }

  /** Nothing of this page's files stays. */
  async close() {
    this.#closed = true;
    const folder = await this.#folder;
    this.#folder = null;
    this.#leave();
    if (folder === null) return;
    const parent = await parentFolder();
    await parent?.removeEntry(this.#own, { recursive: true }).catch(() => {});
  }

  /** @param {number} size @returns {Promise<FilePlace | null>} */
  async #private(size) {
    if (!(await this.#hasRoom(size)) || this.#closed) return null;
    this.#folder ??= this.#open();
    const folder = await this.#folder;
    if (folder === null) return null;
    this.#count += 1;
    const name = String(this.#count);
    const handle = await folder.getFileHandle(name, { create: true });
    if (!("createWritable" in handle)) return null;
    return new StreamPlace(handle, await handle.createWritable(), () => folder.removeEntry(name));
  }

  /** @param {number} size */
  async #hasRoom(size) {
    try {
      const { quota = 0, usage = 0 } = await navigator.storage.estimate();
      return (await parentFolder()) !== null && quota - usage >= size + SPARE;
    } catch {
      return false;
    }
  }

  /** @returns {Promise<FileSystemDirectoryHandle | null>} */
  async #open() {
    const parent = await parentFolder();
    if (parent === null) return null;
    // Held as long as the page lives, so that others see that it does.
    await new Promise((held) => {
      void navigator.locks.request(lockName(this.#own), () => new Promise((resolve) => {
        this.#leave = () => resolve(undefined);
        held(undefined);
      }));
    });
    return parent.getDirectoryHandle(this.#own, { create: true });
  }

  async #tidy() {
    try {
      const root = await navigator.storage.getDirectory();
      const parent = await root.getDirectoryHandle(FOLDER);
      const { held = [] } = await navigator.locks.query();
      const alive = new Set(held.map(({ name }) => name));
      for await (const name of /** @type {any} */ (parent).keys()) {
        if (!alive.has(lockName(name))) await parent.removeEntry(name, { recursive: true });
      }
    } catch {
      // Nothing was left, or there is no such file system here.
    }
  }
}

/** @returns {Promise<FileSystemDirectoryHandle | null>} null: this browser, or its private mode, has none */
async function parentFolder() {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @returns {Promise<FilePlace | null>} null: this browser cannot ask
 * @throws {NoPlace} the person has closed the dialogue
 */
async function pick(name) {
  const show = /** @type {any} */ (globalThis).showSaveFilePicker;
  if (typeof show !== "function") return null;
  try {
    const handle = await show({ suggestedName: name });
    return new StreamPlace(handle, await handle.createWritable(), null);
  } catch {
    throw new NoPlace("no place was chosen");
  }
}

/** @implements {FilePlace} */
class StreamPlace {
  #handle;
  #writable;
  #remove;
  #closed = false;

  /**
   * @param {FileSystemFileHandle} handle
   * @param {FileSystemWritableFileStream} writable
   * @param {(() => Promise<void>) | null} remove null: the file is the person's own
   */
  constructor(handle, writable, remove) {
    this.#handle = handle;
    this.#writable = writable;
    this.#remove = remove;
  }

  /** @param {Bytes} bytes */
  write(bytes) {
    return this.#writable.write(bytes);
  }

  async finish() {
    await this.#writable.close();
    this.#closed = true;
    return this.#remove === null ? null : this.#handle.getFile();
  }

  async discard() {
    // Until it is closed nothing of what was written is in the file itself.
    if (!this.#closed) await this.#writable.abort().catch(() => {});
    await this.#remove?.();
  }
}

/** @implements {FilePlace} */
class MemoryPlace {
  /** @type {Blob[]} */
  #blobs = [];
  /** @type {Bytes[]} */
  #recent = [];
  #size = 0;

  /** @param {Bytes} bytes */
  async write(bytes) {
    this.#recent.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= PIECE) this.#gather();
  }

  async finish() {
    this.#gather();
    return new Blob(this.#blobs);
  }

  async discard() {
    this.#blobs = [];
    this.#recent = [];
  }

  #gather() {
    this.#blobs.push(new Blob(this.#recent));
    this.#recent = [];
    this.#size = 0;
  }
}
