// @ts-check
/**
 * The two data channels of one connection (docs/protocol.md section 11.1): one for messages, one for the
 * bytes of files. Both ends make them before the first offer, with numbers known to both, so they are part
 * of it and need no word of their own. What comes before somebody takes it is kept, and little of it.
 */

/**
 * @typedef {object} DataHandlers
 * @property {(message: string) => void} message
 * @property {(chunk: ArrayBuffer) => void} chunk
 * @property {() => void} low the browser has sent most of the bytes it had
 * @property {() => void} closed nothing comes or goes any more
 */

/** Before the other has greeted, and been greeted, nothing but its greeting may come. */
const MOST_EARLY = 4;
/** Unsent bytes of files below which the browser asks for more. */
const LOW_WATER = 512 * 1024;

export class DataChannels {
  #messages;
  #chunks;
  /** @type {DataHandlers | null} */
  #handlers = null;
  /** @type {string[]} */
  #early = [];
  #closed = false;

  /**
   * @param {RTCPeerConnection} pc
   * @param {{opened: (channels: DataChannels) => void, broken: () => void}} options broken: the other side,
   *   or the browser, has closed them while the connection itself goes on
   */
  constructor(pc, { opened, broken }) {
    this.#messages = pc.createDataChannel("messages", { negotiated: true, id: 0, ordered: true });
    this.#chunks = pc.createDataChannel("files", { negotiated: true, id: 1, ordered: true });
    this.#chunks.binaryType = "arraybuffer";
    this.#chunks.bufferedAmountLowThreshold = LOW_WATER;
    const both = [this.#messages, this.#chunks];
    for (const channel of both) {
      channel.addEventListener("open", () => {
        if (this.open) opened(this);
      });
      channel.addEventListener("close", () => {
        if (this.#closed) return;
        this.close();
        broken();
      });
    }
    this.#messages.addEventListener("message", ({ data }) => this.#received(data));
    this.#chunks.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) this.#handlers?.chunk(data);
    });
    this.#chunks.addEventListener("bufferedamountlow", () => this.#handlers?.low());
  }

  get open() {
    return !this.#closed && this.#messages.readyState === "open" && this.#chunks.readyState === "open";
  }

  /** Bytes of files that the browser has taken and not sent yet. */
  get buffered() {
    return this.#chunks.bufferedAmount;
  }

  /** @param {DataHandlers} handlers from now on everything goes there */
  take(handlers) {
    this.#handlers = handlers;
    for (const message of this.#early.splice(0)) handlers.message(message);
    if (this.#closed) handlers.closed();
  }

  /** @param {string} message @returns {boolean} false: it was not sent, for the connection is gone */
  send(message) {
    return this.#try(() => this.#messages.send(message));
  }

  /** @param {Uint8Array<ArrayBuffer>} chunk @returns {boolean} */
  sendChunk(chunk) {
    return this.#try(() => this.#chunks.send(chunk));
  }

  /** Belongs to nobody any more. The connection may go on. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#messages.close();
    this.#chunks.close();
    this.#handlers?.closed();
  }

  /** @param {unknown} data */
  #received(data) {
    if (this.#closed || typeof data !== "string") return;
    if (this.#handlers !== null) this.#handlers.message(data);
    else if (this.#early.length < MOST_EARLY) this.#early.push(data);
  }

  /** @param {() => void} send */
  #try(send) {
    if (this.#closed) return false;
    try {
      send();
      return true;
    } catch {
      // Closing, or more unsent than the browser takes.
      return false;
    }
  }
}
