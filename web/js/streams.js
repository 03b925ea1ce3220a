// @ts-check
/** What others send, as streams for the elements of a page: a new one whenever its tracks are others. */
export class Streams {
  /** @type {Map<string, MediaStream>} */
  #known = new Map();

  /**
   * @param {string} name
   * @param {readonly MediaStreamTrack[]} tracks
   * @returns {MediaStream | null} null: nothing has changed, or there is nothing
   */
  renew(name, tracks) {
    const known = this.#known.get(name)?.getTracks() ?? [];
    const same = known.length === tracks.length && tracks.every((track) => known.includes(track));
    if (tracks.length === 0 || same) return null;
    const stream = new MediaStream([...tracks]);
    this.#known.set(name, stream);
    return stream;
  }

  /** @param {string} name @returns {MediaStream | null} the one there was */
  drop(name) {
    const stream = this.#known.get(name) ?? null;
    this.#known.delete(name);
    return stream;
  }
}
