// @ts-check
/**
 * One file to one participant (docs/protocol.md section 11.4): read in blocks, never more of it on its
 * way than the other has room for, resumed from where the other stands.
 */
import { toBase64url } from "./bytes.js";
import { DataRefusal, encodeChunk, MOST_CHUNK } from "./datacodec.js";
import { isOver, nextState, SENDING } from "./filestate.js";
import { Sha256 } from "./sha256.js";

/**
 * @typedef {import("./datacodec.js").FileMessage} FileMessage
 * @typedef {import("./filestate.js").FileState} FileState
 *
 * The connection to one participant, as files see it.
 * @typedef {object} FileLink
 * @property {(message: FileMessage) => void} send
 * @property {(chunk: Uint8Array<ArrayBuffer>) => boolean} sendChunk false: nothing can be sent now
 * @property {number} buffered bytes that the browser has taken and not sent yet
 *
 * @typedef {object} OutgoingOptions
 * @property {string} id
 * @property {string} person
 * @property {File} file
 * @property {string} name
 * @property {string} kind
 * @property {() => void} changed
 */

/** Bytes on their way that the other has not stored yet, at most. */
export const WINDOW = 4 * 1024 * 1024;
/**
 * Bytes that the browser may hold before it is given no more. From 2,000,000 on Chromium lets messages of
 * the other channel wait, too, and a withdrawal of consent must not.
 */
export const HIGH_WATER = 1024 * 1024;
/** Bytes read at a time. */
const BLOCK = 1024 * 1024;

export class Outgoing {
  mine = true;
  /** @type {FileState} */
  state = "offered";
  /** Why it is over. */
  reason = "";
  /** Stored by the other. */
  bytes = 0;
  url = "";
  #options;
  /** @type {FileLink | null} */
  #link = null;
  /** The next byte to send. */
  #at = 0;
  #hash = new Sha256();
  #hashed = 0;
  #sha256 = "";
  /** @type {{start: number, bytes: Uint8Array}} */
  #block = { start: 0, bytes: new Uint8Array() };
  /** Counts the beginnings, so that what was begun before another one stops. */
  #run = 0;
  #pumping = false;
  /** Something has changed since the last look at whether more may go. */
  #more = false;
  /** The other has said from where, over this connection. */
  #asked = false;

  /** @param {OutgoingOptions} options */
  constructor(options) {
    this.#options = options;
    this.id = options.id;
    this.person = options.person;
    this.name = options.name;
    this.kind = options.kind;
    this.size = options.file.size;
  }

  /** @param {FileLink} link offers it, for the first time or again */
  connected(link) {
    if (isOver(this.state)) return;
    this.#link = link;
    this.#asked = false;
    const { id: file, name, size, kind } = this;
    link.send({ type: "offer", file, name, size, kind });
  }

  interrupted() {
    this.#link = null;
    this.#asked = false;
    this.#run += 1;
  }

  /**
   * @param {FileMessage} message
   * @throws {DataRefusal} out_of_range, unexpected
   */
  receive(message) {
    switch (message.type) {
      case "accept":
        this.#accepted(message.from);
        return;
      case "got":
        if (message.bytes > this.#at) throw new DataRefusal("out_of_range", "bytes");
        this.bytes = Math.max(this.bytes, message.bytes);
        this.#options.changed();
        void this.#pump();
        return;
      case "decline":
        this.#step("decline", message.reason);
        return;
      case "cancel":
        this.#step(message.reason === "cancelled" || message.reason === "withdrawn" ? "cancel" : "fail", message.reason);
        return;
      case "done":
        if (this.state !== "checking") throw new DataRefusal("unexpected", "file");
        this.bytes = this.size;
        this.#step("done");
        return;
      default:
        throw new DataRefusal("unexpected", "type");
    }
  }

  /** It is this one's turn to be sent. */
  turn() {
    this.#step("turn");
    void this.#pump();
  }

  /** The browser has sent what it had. */
  flowing() {
    void this.#pump();
  }

  /** @param {"cancelled" | "withdrawn"} reason */
  cancel(reason) {
    if (isOver(this.state)) return;
    this.#link?.send({ type: "cancel", file: this.id, reason });
    this.#step("cancel", reason);
  }

  /** @param {string} reason there is nobody to send it to, or nobody who wants it */
  giveUp(reason) {
    this.#step(reason === "withdrawn" ? "cancel" : "fail", reason);
  }

  /** @param {number} from */
  #accepted(from) {
    // What has not been read here cannot be there.
    if (from > this.#hashed) throw new DataRefusal("out_of_range", "from");
    this.#run += 1;
    this.#asked = true;
    this.#at = from;
    this.bytes = from;
    if (this.state === "moving") void this.#pump();
    else this.#step("accept");
  }

  async #pump() {
    this.#more = true;
    if (this.#pumping || this.state !== "moving") return;
    this.#pumping = true;
    try {
      while (this.#more) {
        this.#more = false;
        while (await this.#sendSome());
      }
    } catch {
      this.#link?.send({ type: "cancel", file: this.id, reason: "unreadable" });
      this.#step("fail", "unreadable");
    } finally {
      this.#pumping = false;
    }
  }

  /** @returns {Promise<boolean>} whether there is more to do at once */
  async #sendSome() {
    const link = this.#link;
    const run = this.#run;
    if (link === null || !this.#asked || this.state !== "moving") return false;
    if (this.#at === this.size) {
      if (this.#sha256 === "") this.#sha256 = toBase64url(this.#hash.digest());
      link.send({ type: "end", file: this.id, sha256: this.#sha256 });
      this.#step("all");
      return false;
    }
    if (this.#at - this.bytes >= WINDOW || link.buffered >= HIGH_WATER) return false;
    const bytes = await this.#read(this.#at);
    // Cancelled, interrupted or begun anew meanwhile.
    if (run !== this.#run) return true;
    if (!link.sendChunk(encodeChunk(this.id, this.#at, bytes))) return false;
    const end = this.#at + bytes.length;
    if (end > this.#hashed) {
      this.#hash.update(bytes.subarray(this.#hashed - this.#at));
      this.#hashed = end;
    }
    this.#at = end;
    return true;
  }

  /** @param {number} at @returns {Promise<Uint8Array>} one chunk */
  async #read(at) {
    let { start, bytes } = this.#block;
    if (at < start || at >= start + bytes.length) {
      start = at;
      bytes = new Uint8Array(await this.#options.file.slice(at, at + BLOCK).arrayBuffer());
      if (bytes.length === 0) throw new Error("the file has become shorter");
      this.#block = { start, bytes };
    }
    return bytes.subarray(at - start, at - start + MOST_CHUNK);
  }

  /** @param {import("./filestate.js").FileEvent} event @param {string} [reason] */
  #step(event, reason = "") {
    const before = this.state;
    this.state = nextState(SENDING, before, event);
    if (this.state === before) return;
    if (isOver(this.state)) {
      this.reason = reason;
      this.#run += 1;
      this.#link = null;
      this.#block = { start: 0, bytes: new Uint8Array() };
    }
    this.#options.changed();
  }
}
