// @ts-check
/** The page's side of the worker that seals and opens frames: hands it keys, and frames by transforms. */
import { Emitter } from "./emitter.js";
import { startWorker } from "./ownworkers.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {import("./frames.js").Kind} Kind
 * @typedef {import("./frames.js").Source} Source
 * @typedef {import("./frameworker.js").ToWorker} ToWorker
 * @typedef {import("./frameworker.js").FromWorker} FromWorker
 * @typedef {import("./frameworker.js").TransformOptions} TransformOptions
 *
 * @typedef {object} KeeperEvents
 * @property {[slot: number]} opened the first frame since the slot was given what it has
 * @property {[slot: number]} shut frames come that do not open
 */

/** @extends {Emitter<KeeperEvents>} */
export class FrameKeeper extends Emitter {
  #worker;
  #slots = 0;
  /** WebCrypto answers later; keys must not overtake one another. @type {Promise<void>} */
  #chain = Promise.resolve();
  #closed = false;

  /** @param {{room: string, self: string}} whose */
  constructor({ room, self }) {
    super();
    this.#worker = startWorker("frameworker");
    this.#worker.addEventListener("message", ({ data }) => {
      const message = /** @type {FromWorker} */ (data);
      if (!this.#closed) this.emit(message.type, message.slot);
    });
    this.#post({ type: "start", room, self });
  }

  newSlot = () => {
    this.#slots += 1;
    return this.#slots;
  };

  /** @param {number} slot @param {{participant: string, source: Source} | null} of */
  give(slot, of) {
    this.#post({ type: "slot", slot, of });
  }

  /**
   * From now on no frame passes but through the worker.
   *
   * @param {RTCRtpSender | RTCRtpReceiver} end
   * @param {TransformOptions} options
   */
  guard(end, options) {
    const Transform = Reflect.get(globalThis, "RTCRtpScriptTransform");
    Reflect.set(end, "transform", new Transform(this.#worker, options));
  }

  /** @param {number} epoch @param {Bytes | null} raw */
  seal(epoch, raw) {
    this.#inOrder(async () => {
      this.#post({ type: "seal", epoch, key: raw && (await keyOf(raw, "encrypt")) });
    });
  }

  /** @param {string} from @param {number} epoch @param {Bytes} raw */
  open(from, epoch, raw) {
    this.#inOrder(async () => {
      this.#post({ type: "open", from, epoch, key: await keyOf(raw, "decrypt") });
    });
  }

  /** @param {string} from */
  forget(from) {
    this.#inOrder(async () => this.#post({ type: "forget", from }));
  }

  close() {
    this.#closed = true;
    this.#worker.terminate();
    this.clear();
  }

  /** @param {() => Promise<void>} task */
  #inOrder(task) {
    this.#chain = this.#chain.then(task).catch((error) => reportError(error));
  }

  /** @param {ToWorker} message */
  #post(message) {
    if (!this.#closed) this.#worker.postMessage(message);
  }
}

/** @param {Bytes} raw @param {"encrypt" | "decrypt"} use */
function keyOf(raw, use) {
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
}
