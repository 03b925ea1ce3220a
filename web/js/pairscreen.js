// @ts-check
/**
 * One's own screen in a call of two. It takes the place of the camera's picture, so nothing has to be
 * negotiated, and it works with whatever the other side runs.
 */

/**
 * @typedef {object} PairScreenOptions
 * @property {(track: MediaStreamTrack | null) => void} put sends this picture; null: the camera's again
 * @property {(on: boolean) => void} changed
 */

/** Pictures a second; text is to be sharp rather than smooth. */
const RATE = 15;

export class PairScreen {
  #options;
  /** @type {MediaStream | null} */
  #stream = null;

  /** @param {PairScreenOptions} options */
  constructor(options) {
    this.#options = options;
  }

  get on() {
    return this.#stream !== null;
  }

  /** Asks the person which screen or window. Resolves to whether something is sent. */
  async share() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { max: RATE } }, audio: false,
      });
    } catch {
      // Thought better of, or not permitted: the browser has said so itself.
      return false;
    }
    this.stop();
    const [picture] = stream.getVideoTracks();
    if (!picture) return false;
    picture.contentHint = "detail";
    picture.addEventListener("ended", () => {
      if (this.#stream === stream) this.stop();
    });
    this.#stream = stream;
    this.#options.put(picture);
    this.#options.changed(true);
    return true;
  }

  stop() {
    for (const track of this.give()?.getTracks() ?? []) track.stop();
  }

  /** Sends the camera again. @returns {MediaStream | null} what was shown, to go another way */
  give() {
    const stream = this.#stream;
    if (stream === null) return null;
    this.#stream = null;
    this.#options.put(null);
    this.#options.changed(false);
    return stream;
  }
}
