// @ts-check
/** Carries keys of frames between groupkeys.js, the worker that uses them, and the sealed messages. */
import { fromBase64url, toBase64url } from "./bytes.js";
import { GroupKeys } from "./groupkeys.js";

/**
 * @typedef {import("./content.js").FrameKey} FrameKey
 * @typedef {import("./framekeeper.js").FrameKeeper} FrameKeeper
 * @typedef {import("./peer.js").Peers} Peers
 */

export class KeyHandout {
  #keeper;
  #peers;
  #keys;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #leave;

  /**
   * @param {{keeper: FrameKeeper, peers: Peers, open: readonly string[],
   *   keys: readonly [string, FrameKey[]][]}} options open and keys: see Peers.takeKeys
   */
  constructor({ keeper, peers, open, keys }) {
    this.#keeper = keeper;
    this.#peers = peers;
    this.#keys = new GroupKeys({
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      output: (output) => this.#carry(output),
    });
    this.#leave = [
      peers.on("open", (id) => this.#opened(id)),
      peers.on("lost", (id) => this.#keys.lost(id)),
      peers.on("refused", ({ participant }) => this.gone(participant)),
      peers.on("key", ({ participant, key }) => this.#received(participant, key)),
    ];
    for (const id of open) this.#opened(id);
    for (const [id, contents] of keys) for (const key of contents) this.#received(id, key);
  }

  /** @param {string} participant who is out, and may open nothing from now on */
  gone(participant) {
    this.#keys.gone(participant);
    this.#arm();
  }

  close() {
    clearTimeout(this.#timer);
    for (const leave of this.#leave) leave();
  }

  /** @param {string} participant */
  #opened(participant) {
    this.#keys.opened(participant, performance.now());
    this.#arm();
  }

  /** @param {string} from @param {FrameKey} content */
  #received(from, { epoch, key }) {
    const raw = key === undefined ? undefined : fromBase64url(key);
    if (raw === null) return;
    this.#keys.received(from, raw ? { epoch, key: raw } : { epoch });
    this.#arm();
  }

  /** @param {import("./groupkeys.js").KeyOutput} output */
  #carry(output) {
    switch (output.type) {
      case "tell": {
        const { epoch, key } = output.content;
        this.#peers.send(output.to, { key: key ? { epoch, key: toBase64url(key) } : { epoch } });
        return;
      }
      case "seal":
        this.#keeper.seal(output.epoch, output.key);
        return;
      case "open":
        this.#keeper.open(output.from, output.epoch, output.key);
        return;
      case "forget":
        this.#keeper.forget(output.from);
        return;
    }
  }

  #arm() {
    clearTimeout(this.#timer);
    const due = this.#keys.nextTimeout();
    if (due === null) return;
    this.#timer = setTimeout(() => {
      this.#keys.handleTimer(performance.now());
      this.#arm();
    }, Math.max(0, due - performance.now()));
  }
}
