// @ts-check
/**
 * Looks at the line of the call once a second, and leaves pictures away where it is too thin for them: one's
 * own by not sending it, in a group others' by not asking for them. Without a forwarder what the other
 * sends is up to its page, whose browser knows the whole way.
 */
import { Line } from "./line.js";
import { LineReports } from "./linereports.js";

/**
 * @typedef {import("./line.js").LineState} LineState
 * @typedef {import("./datacodec.js").PictureMessage} PictureMessage
 * @typedef {import("./visitstate.js").VisitData} VisitData
 *
 * @typedef {{forwarded: boolean, all: readonly import("./path.js").Reports[]}} Statistics of all connections
 *   with media; forwarded: it goes over a forwarder
 *
 * @typedef {object} LineOptions
 * @property {() => Promise<Statistics>} reports
 * @property {(sent: boolean) => void} sendPicture
 * @property {() => void} changed something is to be said, asked for or shown anew
 */

/** Between two looks, ms. */
const LOOK = 1_000;

export class LineWatch {
  #options;
  #reports = new LineReports();
  #out = new Line(performance.now());
  #in = new Line(performance.now());
  /** Those of the others who want no picture. @type {Set<string>} */
  #unwanted = new Set();
  #forwarded = false;
  /** Those whose pictures could come, and those whose we have asked for. @type {Set<string>} */
  #sending = new Set();
  /** @type {ReadonlySet<string>} */
  #asked = new Set();
  #camera = false;
  #timer;

  /** @param {LineOptions} options */
  constructor(options) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), LOOK);
  }

  /** Why the own picture is not sent, as the others are told. @returns {PictureMessage} */
  get message() {
    const { state } = this.#out;
    const sent = state === "chosen" ? "chosen" : state === "thin" ? "thin" : "yes";
    return { type: "picture", sent, wanted: this.#in.state !== "chosen" };
  }

  /** What a person is told of the own line. @returns {{out: LineState, in: LineState}} */
  get state() {
    return { out: this.#out.state, in: this.#in.state };
  }

  /** Others' pictures may come. */
  get receives() {
    return this.#in.open;
  }

  /** @param {VisitData} state */
  update({ call, devices }) {
    this.#camera = devices.camera === "on";
    const sending = call.filter(({ video, sound, connection }) =>
      video && sound === "" && connection === "connected");
    this.#sending = new Set(sending.map(({ id }) => id));
    for (const id of this.#unwanted) {
      if (!call.some((remote) => remote.id === id)) this.#unwanted.delete(id);
    }
    this.#apply();
  }

  /** @param {string} person @param {boolean} wanted whether this one wants a picture of us */
  wanted(person, wanted) {
    if (wanted) this.#unwanted.delete(person);
    else this.#unwanted.add(person);
    this.#apply();
  }

  /** @param {ReadonlySet<string>} asked whose pictures a forwarder is asked for: not those nobody looks at */
  ask(asked) {
    this.#asked = asked;
  }

  /** Sound only, until the person wants otherwise. */
  choose() {
    const now = performance.now();
    this.#out.choose(now);
    this.#in.choose(now);
    this.#changed();
  }

  /** The person wants pictures again. */
  again() {
    const now = performance.now();
    this.#out.again(now);
    this.#in.again(now);
    this.#changed();
  }

  close() {
    clearInterval(this.#timer);
  }

  async #look() {
    const statistics = await this.#options.reports();
    this.take(statistics, performance.now());
  }

  /** @param {Statistics} statistics @param {number} now ms */
  take({ forwarded, all }, now) {
    const moved = forwarded !== this.#forwarded;
    this.#forwarded = forwarded;
    const expected = forwarded && this.#in.open ? [...this.#sending].filter((id) => this.#asked.has(id)).length : 0;
    const seen = this.#reports.look(all, expected);
    if (moved) this.#apply();
    if (!seen.connected) return;
    // Without a picture on it nothing is known of how wide a line is, and nothing can be left away.
    const idle = this.#out.open && !(this.#camera && this.#sends);
    if (seen.fresh || moved || idle) this.#out.settle(now);
    if (seen.fresh || moved) this.#in.settle(now);
    const out = !idle && this.#out.take(seen.out, now);
    const into = forwarded && (expected > 0 || !this.#in.open) && this.#in.take(seen.in, now);
    if (out || into) this.#changed();
  }

  #changed() {
    this.#apply();
    this.#options.changed();
  }

  get #sends() {
    return this.#out.open && (this.#forwarded || this.#unwanted.size === 0);
  }

  #apply() {
    this.#options.sendPicture(this.#sends);
  }
}
