// @ts-check
/** What this page wants to see of others, told to the forwarder: the newest wish, and one at a time. */
import { sameTiles } from "./sections.js";

/** @typedef {import("./protocol.js").Tile} Tile */

/** Between a change and its telling, so that what changes together is told together, ms; four a second may be had. */
const PAUSE = 300;
/** When nobody says when to come again, ms. */
const AGAIN = 1_000;

/** Nothing is sent while an answer is out: of two wishes the older one might be the last to arrive. */
export class Wishes {
  #tell;
  /** @type {readonly Tile[]} */
  #wanted = [];
  /** @type {readonly Tile[]} */
  #told = [];
  /** Rises with every forwarder: what was told to a former one is of no use. */
  #way = 0;
  #out = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {(tiles: readonly Tile[]) => Promise<unknown> | null} tell null: nobody can be told now, and
   *   `look` is called when somebody can. It rejects with `code` and perhaps `retry_after` in seconds.
   */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {readonly Tile[]} tiles the most important first */
  set(tiles) {
    this.#wanted = tiles;
    this.look();
  }

  /** Another forwarder, or none, knows nothing yet. */
  begin() {
    this.stop();
    this.#way += 1;
    this.#told = [];
    this.#out = false;
  }

  /** Tells in a moment what is not told yet. */
  look(pause = PAUSE) {
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#say(), pause);
  }

  /** Tells nothing until `look` or `set`. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #say() {
    this.#timer = undefined;
    const tiles = this.#wanted;
    if (this.#out || sameTiles(tiles, this.#told)) return;
    const way = this.#way;
    const telling = this.#tell([...tiles]);
    if (telling === null) return;
    this.#out = true;
    telling.then(() => {
      this.#settled(way, tiles, PAUSE);
    }, (/** @type {{code?: string, retry_after?: number}} */ error) => {
      // Of a way that is over; or, where nobody forwards at the moment, to be said again.
      const again = error?.code === "sfu_unavailable" ? (error.retry_after ?? 0) * 1_000 || AGAIN : null;
      this.#settled(way, [], again);
    });
  }

  /**
   * @param {number} way
   * @param {readonly Tile[]} told
   * @param {number | null} pause before it is told again; null: when there is reason to
   */
  #settled(way, told, pause) {
    if (way !== this.#way) return;
    this.#out = false;
    this.#told = told;
    if (pause !== null && !sameTiles(this.#wanted, told)) this.look(pause);
  }
}
