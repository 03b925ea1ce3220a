// @ts-check
/**
 * A connection for data alone, between two whose media goes through a forwarder (docs/protocol.md
 * section 11.1). What is lost with it comes again over the next one, so it is thrown away where another
 * would be mended.
 */
import { DataChannels } from "./datachannels.js";
import { Emitter } from "./emitter.js";
import { Negotiation } from "./negotiation.js";

/**
 * @typedef {import("./content.js").Description} Description
 * @typedef {import("./content.js").DataContent} DataContent
 *
 * @typedef {object} DataConnectionOptions
 * @property {boolean} initiator makes the offer
 * @property {RTCConfiguration} configuration
 * @property {() => Promise<void>} iceServersKnown
 */

/** @extends {Emitter<{data: [channels: DataChannels], lost: []}>} */
export class DataConnection extends Emitter {
  /** They are open. @type {DataChannels | null} */
  channels = null;
  #pc;
  #data;
  #negotiation;
  #closed = false;

  /** @param {DataConnectionOptions} options */
  constructor({ initiator, configuration, iceServersKnown }) {
    super();
    const pc = new RTCPeerConnection(configuration);
    this.#pc = pc;
    this.#negotiation = new Negotiation(pc, {
      polite: !initiator, adopt: () => {}, beforeAnswer: iceServersKnown,
    });
    this.#data = new DataChannels(pc, {
      opened: (channels) => {
        this.channels = channels;
        this.emit("data", channels);
      },
      broken: () => this.#lost(),
    });
    pc.addEventListener("connectionstatechange", () => {
      if (pc.connectionState === "failed") this.#lost();
    });
    if (initiator) this.#negotiation.prepare().catch(() => this.#lost());
  }

  /** @param {(content: DataContent) => void} send */
  start(send) {
    this.#negotiation.start((content) => {
      // Nothing else comes of a connection that is never restarted.
      if ("description" in content || "candidate" in content) send(content);
    });
  }

  /** @param {Description | RTCIceCandidateInit | null} received */
  receive(received) {
    this.#negotiation.receive(received);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.channels = null;
    this.#data.close();
    this.#pc.close();
    this.clear();
  }

  #lost() {
    if (!this.#closed) this.emit("lost");
  }
}
