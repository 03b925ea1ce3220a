// @ts-check
/**
 * By which connection data goes to one participant: by that of the media, or, where a forwarder has the
 * media, by one of its own, which the initiator of the pair begins and, when it is lost, begins again.
 */
import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./content.js").DataContent} DataContent
 * @typedef {import("./datachannels.js").DataChannels} DataChannels
 * @typedef {import("./dataconnection.js").DataConnection} DataConnection
 *
 * @typedef {object} DataPathOptions
 * @property {boolean} initiator
 * @property {() => Promise<DataConnection>} make a fresh one at every call
 * @property {(content: DataContent) => void} send sealed, to the other
 */

/** Between a loss and the next try, ms; doubled up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** @extends {Emitter<{data: [channels: DataChannels]}>} */
export class DataPath extends Emitter {
  #options;
  /** Of the media's connection, while there is one. @type {DataChannels | null} */
  #media = null;
  /** @type {Promise<DataConnection> | null} */
  #coming = null;
  /** @type {DataConnection | null} */
  #own = null;
  /** A connection of its own is needed, and can be negotiated. */
  #wanted = false;
  #pause = FIRST_PAUSE;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {DataPathOptions} options */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** Keys are there, and media does not go straight to the other. */
  begin() {
    this.#wanted = true;
    if (this.#options.initiator && this.#coming === null) this.#make();
  }

  /** Media goes straight to the other, or there are no keys; what is connected stays so. */
  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
  }

  /** @param {DataChannels | null} channels of the media's connection; null: that one is gone */
  mediaHas(channels) {
    if (channels === this.#media) return;
    this.#media = channels;
    if (channels !== null) {
      // Both sides prefer it; what was used in its place is not used again.
      this.emit("data", channels);
      this.#drop();
    } else if (this.#own?.channels) {
      this.emit("data", this.#own.channels);
    } else if (this.#wanted) {
      this.begin();
    }
  }

  /** The network is another one. */
  renew() {
    if (!this.#wanted || !this.#options.initiator || this.#coming === null) return;
    this.#drop();
    this.#make();
  }

  /** @param {DataContent} content */
  receive(content) {
    const received = "description" in content ? content.description : content.candidate;
    if (received !== null && "type" in received && received.type === "offer") {
      if (this.#options.initiator) return;
      this.#drop();
      this.#make();
    }
    const coming = this.#coming;
    void coming?.then((connection) => coming === this.#coming && connection.receive(received), () => {});
  }

  /** Keys have changed, or everything is over: what was connected belongs to the former ones. */
  reset() {
    this.stop();
    this.#pause = FIRST_PAUSE;
    this.#drop();
  }

  #make() {
    clearTimeout(this.#timer);
    const coming = this.#options.make();
    this.#coming = coming;
    coming.then((connection) => {
      if (coming !== this.#coming) {
        connection.close();
        return;
      }
      this.#own = connection;
      connection.on("data", (channels) => {
        this.#pause = FIRST_PAUSE;
        if (this.#media === null) this.emit("data", channels);
      });
      connection.on("lost", () => this.#lost());
      connection.start((content) => {
        if (coming === this.#coming) this.#options.send(content);
      });
    }, () => {
      if (coming === this.#coming) this.#lost();
    });
  }

  #lost() {
    this.#drop();
    if (!this.#wanted || !this.#options.initiator) return;
    this.#timer = setTimeout(() => this.#make(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #drop() {
    this.#coming = null;
    this.#own?.close();
    this.#own = null;
  }
}
