// @ts-check
/**
 * Listens to the own microphone, on or off, for voice.js. A track that is switched off gives silence, so
 * a copy of it is measured: a number for the loudness, ten times a second. The copy is given to no
 * connection, and nothing of it is kept.
 */
import { startMeter } from "./meter.js";
import { Voice } from "./voice.js";

/** @typedef {import("./devices.js").DeviceSet} DeviceSet */

export class VoiceWatch {
  #devices;
  #changed;
  #voice = new Voice(performance.now());
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #stop = () => {};

  /** @param {DeviceSet} devices @param {() => void} changed told when there is another warning */
  constructor(devices, changed) {
    this.#devices = devices;
    this.#changed = changed;
  }

  get warning() {
    return this.#voice.warning;
  }

  /** @param {boolean} wanted listens, or stops to; to be called after each change of the devices */
  listen(wanted) {
    const now = performance.now();
    const { microphone } = this.#devices.state;
    const there = microphone === "on" || microphone === "off";
    this.#voice.switched(microphone === "on", now);
    const track = wanted && there ? this.#devices.stream.getAudioTracks()[0] ?? null : null;
    if (track === this.#track) return;
    this.#stop();
    this.#stop = () => {};
    this.#track = track;
    this.#voice.replaced(now);
    if (track === null) return;
    const copy = track.clone();
    copy.enabled = true;
    const stop = startMeter(new MediaStream([copy]), (_level, decibels) => {
      if (this.#voice.hear(decibels, performance.now())) this.#changed();
    });
    this.#stop = () => {
      stop();
      copy.stop();
    };
  }

  /** The person has read the warning. */
  dismiss() {
    this.#voice.dismiss(performance.now());
    this.#changed();
  }

  close() {
    this.#stop();
    this.#stop = () => {};
    this.#track = null;
  }
}
