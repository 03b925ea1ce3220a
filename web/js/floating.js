// @ts-check
/**
 * The picture of whoever speaks, or is pinned, in a small window over all others (Picture-in-Picture, W3C),
 * where the browser offers it. It has an element of its own, so that the page's pictures stay where they are.
 */

/**
 * @typedef {import("./callstate.js").Call} Call
 * @typedef {{participant: string, width: number, height: number}} Floating  in device pixels
 */

/**
 * @param {Call} call
 * @returns {string} whose picture to show: pinned, else who has spoken last, else the first with a picture
 */
export function whomToFloat(call) {
  const best = [...call].sort((a, b) =>
    Number(b.pinned) - Number(a.pinned) || Number(b.video) - Number(a.video) || b.spoke - a.spoke)[0];
  return best?.id ?? "";
}

export class FloatingPicture {
  #streams;
  #changed;
  #video = document.createElement("video");
  #participant = "";
  /** @type {PictureInPictureWindow | null} */
  #window = null;

  /**
   * @param {ReadonlyMap<string, MediaStream>} streams
   * @param {() => void} changed told when the window has come, gone or another size
   */
  constructor(streams, changed) {
    this.#streams = streams;
    this.#changed = changed;
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.addEventListener("leavepictureinpicture", () => this.#left());
  }

  static get offered() {
    return document.pictureInPictureEnabled === true && "requestPictureInPicture" in HTMLVideoElement.prototype;
  }

  /** @returns {Floating | null} who is shown, and how large; null: nobody */
  get shown() {
    if (this.#window === null) return null;
    const ratio = globalThis.devicePixelRatio || 1;
    const { width, height } = this.#window;
    return {
      participant: this.#participant, width: Math.round(width * ratio), height: Math.round(height * ratio),
    };
  }

  /** @param {Call} call */
  update(call) {
    const participant = whomToFloat(call);
    const stream = this.#window === null ? null : this.#streams.get(participant) ?? null;
    const moved = participant !== this.#participant;
    this.#participant = participant;
    if (this.#window === null) {
      // A window that is about to come must find that there is nobody to show any more.
      if (participant === "") this.#video.srcObject = null;
      return;
    }
    if (stream === null) void this.close();
    else this.#show(stream);
    if (moved) this.#changed();
  }

  /** To be called from a click or a key. @returns {Promise<boolean>} false: there is no picture to show */
  async toggle() {
    if (this.#window !== null) {
      await this.close();
      return true;
    }
    const stream = this.#streams.get(this.#participant);
    if (!stream) return false;
    this.#show(stream);
    try {
      // A browser refuses before it knows how large the picture is.
      if (this.#video.readyState < HTMLMediaElement.HAVE_METADATA) await firstPicture(this.#video);
      const shown = await this.#video.requestPictureInPicture();
      if (this.#video.srcObject === null) {
        await document.exitPictureInPicture().catch(() => {});
        return true;
      }
      this.#window = shown;
    } catch {
      if (this.#video.srcObject === null) return true;
      this.#video.srcObject = null;
      return false;
    }
    this.#window.addEventListener("resize", () => this.#changed());
    this.#changed();
    return true;
  }

  async close() {
    const open = this.#window !== null;
    // First: by the time that the browser has closed it, it may be wanted again.
    this.#left();
    if (open) await document.exitPictureInPicture().catch(() => {});
  }

  #left() {
    this.#video.srcObject = null;
    if (this.#window === null) return;
    this.#window = null;
    this.#changed();
  }

  /** @param {MediaStream} stream */
  #show(stream) {
    if (this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    // Refused only when the stream is taken away again in the same moment.
    void this.#video.play().catch(() => {});
  }
}

/** Nobody waits longer for a small window, ms; a click counts for the browser about as long. */
const PATIENCE = 3_000;

/** @param {HTMLVideoElement} video @returns {Promise<void>} rejects where none comes */
function firstPicture(video) {
  return new Promise((resolve, reject) => {
    video.addEventListener("loadedmetadata", () => resolve(), { once: true });
    setTimeout(() => reject(new Error("no picture")), PATIENCE);
  });
}
