// @ts-check
/**
 * One other participant, as chat and files see it: greets over each new connection, sorts what comes,
 * and turns away who does not keep to docs/protocol.md section 11. Pure but for the channels handed in.
 */
import { Bucket } from "./bucket.js";
import { Thread } from "./chatthread.js";
import { DataRefusal, decodeChunk, decodeMessage, encodeMessage } from "./datacodec.js";

/**
 * @typedef {import("./chatthread.js").ThreadOutput} ThreadOutput
 * @typedef {import("./datachannels.js").DataHandlers} DataHandlers
 * @typedef {import("./datacodec.js").DataMessage} DataMessage
 * @typedef {import("./datacodec.js").DataRefusalReason} DataRefusalReason
 * @typedef {import("./files.js").Files} Files
 *
 * What of DataChannels is needed.
 * @typedef {object} Channels
 * @property {number} buffered
 * @property {(handlers: DataHandlers) => void} take
 * @property {(message: string) => boolean} send
 * @property {(chunk: Uint8Array<ArrayBuffer>) => boolean} sendChunk
 * @property {() => void} close
 *
 * @typedef {object} ChatPartnerOptions
 * @property {string} person
 * @property {Files} files
 * @property {import("./photos.js").Photos} photos
 * @property {(n: number, id: string, text: string) => string} prove see Thread
 * @property {() => number} now ms
 * @property {(output: Exclude<ThreadOutput, {type: "send"}>) => void} output
 * @property {() => void} greeted
 * @property {(message: import("./datacodec.js").CallMessage) => void} told throws DataRefusal where it has no place
 * @property {(reason: DataRefusalReason) => void} refused
 */

/** Messages at once, and per second in the long run; a whole chat comes again after a reload. */
const BURST = 1_500;
const PER_SECOND = 60;
/** After so many refusals over one connection its channels are closed. */
const MOST_REFUSALS = 16;

export class ChatPartner {
  thread;
  #options;
  /** @type {Channels | null} */
  #channels = null;
  #greeted = false;
  #refusals = 0;
  #messages;

  /** @param {ChatPartnerOptions} options */
  constructor(options) {
    this.#options = options;
    this.#messages = this.#bucket();
    this.thread = new Thread({
      prove: options.prove,
      now: options.now,
      output: (output) => {
        if (output.type === "send") this.send(output.message);
        else options.output(output);
      },
    });
  }

  /** Both have greeted. */
  get ready() {
    return this.#greeted;
  }

  /** @param {Channels} channels of a new connection; those of an earlier one are over */
  connected(channels) {
    this.#leave();
    this.#channels = channels;
    this.#refusals = 0;
    this.#messages = this.#bucket();
    const { files, person } = this.#options;
    /** @type {(task: () => void) => () => void} */
    const present = (task) => () => {
      if (this.#channels === channels) task();
    };
    this.send({
      type: "hello", version: 1, lines: this.thread.known, files: files.consent !== "withdrawn",
      sending: files.sendingTo(person),
    });
    channels.take({
      message: (data) => present(() => this.#try(() => this.#received(data)))(),
      chunk: (data) => present(() => this.#try(() => this.#chunk(data)))(),
      low: present(() => files.flowing(person)),
      closed: present(() => this.#leave()),
    });
  }

  /** @param {DataMessage} message lost while there is no connection */
  send(message) {
    this.#channels?.send(encodeMessage(message));
  }

  close() {
    this.#leave()?.close();
  }

  /** @returns {Channels | null} those that were used */
  #leave() {
    const channels = this.#channels;
    this.#channels = null;
    if (this.#greeted) {
      this.#greeted = false;
      this.thread.interrupted();
      this.#options.files.interrupted(this.#options.person);
      this.#options.photos.interrupted(this.#options.person);
    }
    return channels;
  }

  /** @param {string} data */
  #received(data) {
    if (!this.#messages.take(this.#options.now())) throw new DataRefusal("too_fast");
    const message = decodeMessage(data);
    const { files, photos, person } = this.#options;
    if (message.type === "hello") {
      if (this.#greeted) throw new DataRefusal("unexpected", "type");
      this.#greeted = true;
      this.thread.greeted(message.lines);
      const channels = /** @type {Channels} */ (this.#channels);
      files.connected(person, {
        send: (content) => this.send(content),
        sendChunk: (chunk) => channels.sendChunk(chunk),
        get buffered() {
          return channels.buffered;
        },
      }, message);
      photos.connected(person, (content) => this.send(content));
      this.#options.greeted();
      return;
    }
    if (!this.#greeted) throw new DataRefusal("unexpected", "type");
    switch (message.type) {
      case "line":
      case "returned":
      case "ack":
      case "draft":
        this.thread.receive(message);
        return;
      case "consent":
        files.consented(person, message.files);
        return;
      case "hand":
      case "lower":
      case "picture":
        this.#options.told(message);
        return;
      case "photo_ask":
      case "photo_answer":
      case "photo_taken":
      case "photo_end":
        photos.receive(person, message);
        return;
      default:
        files.receive(person, message);
    }
  }

  /** @param {ArrayBuffer} data */
  #chunk(data) {
    if (!this.#greeted) throw new DataRefusal("unexpected", "chunk");
    this.#options.files.take(this.#options.person, decodeChunk(data));
  }

  #bucket() {
    return new Bucket(BURST, PER_SECOND, this.#options.now());
  }

  /** @param {() => void} task */
  #try(task) {
    try {
      task();
    } catch (error) {
      if (!(error instanceof DataRefusal)) throw error;
      this.#refusals += 1;
      if (this.#refusals === MOST_REFUSALS) this.close();
      this.#options.refused(error.reason);
    }
  }
}
