// @ts-check
/**
 * How a call was, said to the server at its end in coarse steps, where its operator has switched that on
 * (docs/metrics.md). Loaded only there.
 */
import { carrying, pathOf, reportsOf } from "./path.js";

/**
 * @typedef {"direct" | "relay" | "sfu"} CallPath
 * @typedef {{path: CallPath, loss: number, first_frame?: number, frozen?: number}} Report numbers of steps
 *
 * Totals of one connection. `frozen`: s, null where the browser does not say.
 * @typedef {{lost: number, received: number, frozen: number | null, shown: boolean}} Counts
 *
 * @typedef {object} Measured
 * @property {CallPath | null} path null: no connection came about
 * @property {number} lost packets
 * @property {number} received packets
 * @property {number | null} frozen s
 * @property {number} watched s since the first picture
 * @property {number | null} firstFrame s; null: there was no picture
 */

/** Upper ends of the steps, as in signaling/quality.py. */
export const STEPS = Object.freeze({
  firstFrame: Object.freeze([0.5, 1, 2, 5, 10]),
  loss: Object.freeze([0.005, 0.02, 0.05, 0.1]),
  frozen: Object.freeze([0, 0.01, 0.05, 0.2]),
});
/** Between two looks, ms: before the first picture, and after it. */
const LOOK = Object.freeze({ first: 100, then: 2_000 });
/** Connections of one call that are told apart; those that come later are not counted. */
const MOST = 100;

/** @param {readonly number[]} ends @param {number} value @returns {number} of the step it is in */
export function stepOf(ends, value) {
  const at = ends.findIndex((end) => value <= end);
  return at < 0 ? ends.length : at;
}

/**
 * @param {Iterable<any>} reports of one connection
 * @returns {Counts}
 */
export function countsOf(reports) {
  /** @type {Counts} */
  const counts = { lost: 0, received: 0, frozen: null, shown: false };
  for (const report of reports) {
    if (report.type !== "inbound-rtp") continue;
    // May be below zero, by packets that came twice (RFC 3550 section 6.4.1).
    counts.lost += Math.max(0, report.packetsLost ?? 0);
    counts.received += report.packetsReceived ?? 0;
    counts.shown ||= report.framesDecoded > 0;
    const frozen = report.totalFreezesDuration;
    if (typeof frozen === "number") counts.frozen = (counts.frozen ?? 0) + frozen;
  }
  return counts;
}

/** @param {Measured} measured @returns {Report | null} null: there is nothing to say */
export function reportOf({ path, lost, received, frozen, watched, firstFrame }) {
  if (path === null || lost + received === 0) return null;
  return {
    path,
    loss: stepOf(STEPS.loss, lost / (lost + received)),
    ...(firstFrame === null ? {} : { first_frame: stepOf(STEPS.firstFrame, firstFrame) }),
    ...(frozen === null || firstFrame === null ? {}
      : { frozen: stepOf(STEPS.frozen, frozen / Math.max(1, watched)) }),
  };
}

export class CallQuality {
  #token;
  /** When two were inside, ms; null: there is no call. @type {number | null} */
  #since = null;
  /** @type {number | null} */
  #shownAt = null;
  /** @type {CallPath | null} */
  #path = null;
  /** @type {Map<RTCPeerConnection, Counts>} */
  #counts = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string} token of the link */
  constructor(token) {
    this.#token = token;
    addEventListener("pagehide", () => this.end());
  }

  /** @param {number} inside how many are, with us; 0 where we are not */
  people(inside) {
    if (inside === 0) this.end();
    else if (inside > 1 && this.#since === null) {
      this.#since = performance.now();
      this.#later();
    }
  }

  /** Says how it was. The connections may be closed already: what was last seen counts. */
  end() {
    clearTimeout(this.#timer);
    const report = this.#since === null ? null : reportOf(this.#measured(this.#since));
    this.#since = this.#shownAt = this.#path = null;
    this.#counts.clear();
    if (report === null) return;
    void fetch("/api/v1/call-quality", {
      method: "POST",
      // The page may be going.
      keepalive: true,
      headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" },
      body: JSON.stringify(report),
    // Nobody waits for it, and it is not worth another try.
    }).catch(() => {});
  }

  #later() {
    this.#timer = setTimeout(() => void this.#look(), this.#shownAt === null ? LOOK.first : LOOK.then);
  }

  async #look() {
    const since = this.#since;
    for (const [pc, forwarder] of [...carrying]) {
      const reports = await reportsOf(pc);
      if (this.#since !== since) return;
      const path = pathOf(reports);
      if (path === null || (!this.#counts.has(pc) && this.#counts.size >= MOST)) continue;
      const counts = countsOf(reports.values());
      this.#counts.set(pc, counts);
      if (counts.received > 0) this.#path = forwarder ? "sfu" : path;
      if (counts.shown) this.#shownAt ??= performance.now();
    }
    this.#later();
  }

  /** @param {number} since @returns {Measured} */
  #measured(since) {
    const all = [...this.#counts.values()];
    const sum = (/** @type {(counts: Counts) => number} */ part) => all.reduce((n, one) => n + part(one), 0);
    const said = all.some(({ frozen }) => frozen !== null);
    const shownAt = this.#shownAt;
    return {
      path: this.#path,
      lost: sum(({ lost }) => lost),
      received: sum(({ received }) => received),
      frozen: said ? sum(({ frozen }) => frozen ?? 0) : null,
      watched: shownAt === null ? 0 : (performance.now() - shownAt) / 1000,
      firstFrame: shownAt === null ? null : (shownAt - since) / 1000,
    };
  }
}
