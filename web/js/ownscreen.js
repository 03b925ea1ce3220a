// @ts-check
/** One's own screen: captured once, and sent whichever way the call goes. */

/**
 * A way by which a screen can be sent.
 *
 * @typedef {object} ScreenWay
 * @property {boolean} sound whether what the screen sounds like goes this way, too
 * @property {(stream: MediaStream | null) => void} send null: nothing any more
 */

/** Pictures a second; text is to be sharp rather than smooth. */
const RATE = 15;

/**
 * Where the browser offers it: everything the computer plays but this page, from which the others would
 * hear themselves; and as it is, for it is no voice.
 */
const SOUND = Object.freeze({
  audio: {
    restrictOwnAudio: true, echoCancellation: false, noiseSuppression: false, autoGainControl: false,
  },
  systemAudio: "include",
});

export class OwnScreen {
  #changed;
  /** @type {ScreenWay | null} */
  #way = null;
  /** @type {MediaStream | null} */
  #stream = null;
  #asking = false;

  /** @param {(on: boolean) => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /**
   * What is shown goes on being shown another way. Outside of a call nothing is captured.
   *
   * @param {ScreenWay | null} way null: there is no call
   */
  take(way) {
    if (way === this.#way) return;
    this.#way?.send(null);
    this.#way = way;
    if (way === null) this.stop();
    else if (this.#stream) way.send(this.#stream);
  }

  /** Shows the screen that the person chooses, or ends it. */
  async toggle() {
    if (this.#stream) this.stop();
    else if (!this.#asking) await this.#share();
  }

  stop() {
    const stream = this.#stream;
    if (!stream) return;
    this.#stream = null;
    for (const track of stream.getTracks()) track.stop();
    this.#way?.send(null);
    this.#changed(false);
  }

  async #share() {
    if (!this.#way) return;
    this.#asking = true;
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { max: RATE } },
        ...(this.#way.sound ? SOUND : { audio: false }),
      });
    } catch {
      // Thought better of, or not permitted: the browser has said so itself.
      return;
    } finally {
      this.#asking = false;
    }
    const [picture] = stream.getVideoTracks();
    if (!picture || !this.#way) {
      // The call was over before the person had chosen.
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    picture.contentHint = "detail";
    for (const sound of stream.getAudioTracks()) sound.contentHint = "music";
    picture.addEventListener("ended", () => {
      if (this.#stream === stream) this.stop();
    });
    this.#stream = stream;
    this.#way.send(stream);
    this.#changed(true);
  }
}
