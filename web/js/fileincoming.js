// @ts-check
/**
 * One file from one participant (docs/protocol.md section 11.4): taken when the person has accepted it,
 * in order, stored as it comes, compared at the end.
 */
import { toBase64url } from "./bytes.js";
import { DataRefusal } from "./datacodec.js";
import { isOver, nextState, RECEIVING } from "./filestate.js";
import { Sha256 } from "./sha256.js";

/**
 * @typedef {import("./datacodec.js").Chunk} Chunk
 * @typedef {import("./datacodec.js").CancelReason} CancelReason
 * @typedef {import("./datacodec.js").OfferMessage} OfferMessage
 * @typedef {import("./fileoutgoing.js").FileLink} FileLink
 * @typedef {import("./filestate.js").FileState} FileState
 *
 * Where a file is put while it comes.
 * @typedef {object} FilePlace
 * @property {(bytes: Uint8Array<ArrayBuffer>) => Promise<void>} write behind what is there
 * @property {() => Promise<Blob | null>} finish null: it is where the person wanted it
 * @property {() => Promise<void>} discard nothing of it stays
 *
 * @typedef {object} IncomingOptions
 * @property {string} person
 * @property {OfferMessage} offer
 * @property {(name: string, size: number) => Promise<FilePlace>} makePlace
 * @property {() => number} now ms
 * @property {() => void} changed
 */

/** Bytes that are taken before they are stored; an honest sender stays below the half of it. */
const MOST_UNSTORED = 8 * 1024 * 1024;
/** Most bytes written at a time. */
const BATCH = 1024 * 1024;
/**
 * How much more is stored before it is said, bytes, and how soon again, ms. On a fast line rarely: the other
 * counts messages. Long before it has filled its window, so that it never waits; on a slow line every second.
 */
const STEPS = Object.freeze([
  { bytes: 2 * 1024 * 1024, pause: 0 },
  { bytes: 512 * 1024, pause: 50 },
  { bytes: 1, pause: 1_000 },
]);

export class Incoming {
  mine = false;
  /** @type {FileState} */
  state = "offered";
  reason = "";
  /** Stored. */
  bytes = 0;
  /** Of these the other knows, and since when, ms. */
  #told = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** Of the whole file, once it is there and right; "" where it went to a place of the person's choice. */
  url = "";
  #options;
  /** @type {FileLink | null} */
  #link = null;
  /** @type {FilePlace | null} */
  #place = null;
  #received = 0;
  #hash = new Sha256();
  #sha256 = "";
  /** @type {Uint8Array[]} */
  #unstored = [];
  #storing = false;
  /** The other waits to be told from where to go on. */
  #resuming = false;

  /** @param {IncomingOptions} options */
  constructor(options) {
    this.#options = options;
    const { file, name, size, kind } = options.offer;
    this.id = file;
    this.person = options.person;
    this.name = name;
    this.size = size;
    this.kind = kind;
  }

  /**
   * Offered, for the first time or after the connection was interrupted.
   *
   * @param {OfferMessage} offer
   * @param {FileLink} link
   * @throws {DataRefusal} unexpected: another file by the same id
   */
  offered({ name, size, kind }, link) {
    if (name !== this.name || size !== this.size || kind !== this.kind) {
      throw new DataRefusal("unexpected", "file");
    }
    this.#link = isOver(this.state) ? null : link;
    const file = this.id;
    if (this.state === "moving" || this.state === "checking") this.#resume();
    else if (this.state === "done") link.send({ type: "done", file });
    else if (isOver(this.state)) link.send({ type: "cancel", file, reason: "cancelled" });
  }

  interrupted() {
    this.#link = null;
    this.#resuming = false;
  }

  /** The person wants it; called in the click's own task, as pickers demand. */
  async accept() {
    if (this.state !== "offered") return;
    this.#step("accept");
    try {
      const place = await this.#options.makePlace(this.name, this.size);
      if (/** @type {FileState} */ (this.state) !== "preparing") {
        await place.discard();
        return;
      }
      this.#place = place;
    } catch {
      this.#fail("unwritable");
      return;
    }
    this.#step("ready");
    this.#link?.send({ type: "accept", file: this.id, from: 0 });
    await this.#completed();
  }

  /** @param {import("./datacodec.js").DeclineReason} reason */
  decline(reason) {
    if (this.state !== "offered") return;
    this.#link?.send({ type: "decline", file: this.id, reason });
    this.#step("decline", reason);
  }

  /** @param {"cancelled" | "withdrawn"} reason */
  cancel(reason) {
    if (isOver(this.state)) return;
    this.#link?.send({ type: "cancel", file: this.id, reason });
    this.#step("cancel", reason);
  }

  /** @param {CancelReason} reason the other's */
  cancelled(reason) {
    this.#step(reason === "cancelled" || reason === "withdrawn" ? "cancel" : "fail", reason);
  }

  /** The other has forgotten it, or has gone. */
  lost() {
    this.#step("fail", "lost");
  }

  /**
   * @param {Chunk} chunk
   * @throws {DataRefusal} out_of_range
   */
  take({ offset, bytes }) {
    // Some of it may be on its way while it is cancelled here.
    if (isOver(this.state)) return;
    const unstored = this.#received - this.bytes;
    if (this.state !== "moving" || offset !== this.#received || offset + bytes.length > this.size
      || unstored + bytes.length > MOST_UNSTORED) {
      this.#fail("damaged");
      throw new DataRefusal("out_of_range", "offset");
    }
    this.#hash.update(bytes);
    this.#received += bytes.length;
    this.#unstored.push(bytes);
    void this.#store();
  }

  /** @param {string} sha256 of the whole, in base64url */
  ended(sha256) {
    if (isOver(this.state)) return;
    this.#sha256 = sha256;
    void this.#completed();
  }

  /** Takes away what is held of it, the finished file, too. */
  forget() {
    if (this.url !== "") URL.revokeObjectURL(this.url);
    this.url = "";
    this.#unstored = [];
    const place = this.#place;
    this.#place = null;
    place?.discard().catch(() => {});
  }

  async #store() {
    if (this.#storing) return;
    this.#storing = true;
    try {
      while (this.#unstored.length > 0 && this.#place !== null) {
        const batch = takeBatch(this.#unstored);
        await this.#place.write(batch);
        this.bytes += batch.length;
        this.#tell();
        this.#options.changed();
      }
    } catch {
      this.#fail("unwritable");
    } finally {
      this.#storing = false;
    }
    if (this.#resuming) this.#resume();
    await this.#completed();
  }

  /** Its window begins anew, so all that came before is stored first: a slow disk would never catch up. */
  #resume() {
    this.#resuming = this.bytes < this.#received;
    if (!this.#resuming) this.#link?.send({ type: "accept", file: this.id, from: this.#received });
  }

  #tell() {
    const more = this.bytes - this.#told;
    const now = this.#options.now();
    const due = STEPS.some(({ bytes, pause }) => more >= bytes && now - this.#toldAt >= pause);
    if (!due && this.bytes < this.size) return;
    this.#told = this.bytes;
    this.#toldAt = now;
    this.#link?.send({ type: "got", file: this.id, bytes: this.bytes });
  }

  async #completed() {
    if (this.state !== "moving" || this.bytes < this.size || this.#sha256 === "" || !this.#place) return;
    this.#step("all");
    if (toBase64url(this.#hash.digest()) !== this.#sha256) {
      this.#fail("damaged");
      return;
    }
    /** @type {Blob | null} */
    let whole;
    try {
      whole = await this.#place.finish();
    } catch {
      this.#fail("unwritable");
      return;
    }
    if (/** @type {FileState} */ (this.state) !== "checking") return;
    // As bytes of no kind: whatever it is, it never becomes a page of this origin.
    if (whole !== null) this.url = URL.createObjectURL(whole.slice(0, whole.size, "application/octet-stream"));
    this.#link?.send({ type: "done", file: this.id });
    this.#step("done");
  }

  /** @param {CancelReason} reason */
  #fail(reason) {
    if (isOver(this.state)) return;
    this.#link?.send({ type: "cancel", file: this.id, reason });
    this.#step("fail", reason);
  }

  /** @param {import("./filestate.js").FileEvent} event @param {string} [reason] */
  #step(event, reason = "") {
    const before = this.state;
    this.state = nextState(RECEIVING, before, event);
    if (this.state === before) return;
    if (isOver(this.state)) {
      this.reason = reason;
      this.#link = null;
      if (this.state !== "done") this.forget();
    }
    this.#options.changed();
  }
}

/**
 * @param {Uint8Array[]} pieces loses what is taken
 * @returns {Uint8Array<ArrayBuffer>}
 */
function takeBatch(pieces) {
  let count = 0;
  let length = 0;
  for (const piece of pieces) {
    if (count > 0 && length + piece.length > BATCH) break;
    count += 1;
    length += piece.length;
  }
  const batch = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces.splice(0, count)) {
    batch.set(piece, at);
    at += piece.length;
  }
  return batch;
}
