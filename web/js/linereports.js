// @ts-check
/**
 * What statistics of connections say of the line, in both directions. Pure.
 *
 * @typedef {import("./line.js").Measured} Measured
 * @typedef {import("./path.js").Reports} Reports
 */

/** Fewer packets than these between two looks say nothing about losses. */
const FEW = 20;
/** Of fewer than two other pictures it may be the sender who has stopped. */
const SEVERAL = 2;

/** Looks at the same connections again and again. */
export class LineReports {
  /** Counters of the look before, by connection and report. @type {Map<string, {lost: number, received: number}>} */
  #before = new Map();

  /**
   * @param {readonly Reports[]} all of every connection in use
   * @param {number} pictures how many of the others send one that is wanted
   * @returns {{out: Measured, in: Measured, connected: boolean, fresh: boolean}} connected: there is
   *   something to judge; fresh: by another connection than before
   */
  look(all, pictures) {
    /** @type {Map<string, {lost: number, received: number}>} */
    const counters = new Map();
    /** @type {number | null} */
    let room = null;
    /** @type {number | null} */
    let roundTrip = null;
    /** @type {number | null} */
    let lostOut = null;
    const sound = { lost: 0, received: 0 };
    const picture = { received: 0, known: false };
    for (const [at, reports] of all.entries()) {
      const transport = [...reports.values()].find(({ type }) => type === "transport");
      for (const report of reports.values()) {
        if (report.type === "candidate-pair") {
          const chosen = transport ? transport.selectedCandidatePairId === report.id : report.selected === true;
          if (!chosen) continue;
          room = least(room, report.availableOutgoingBitrate);
          roundTrip = most(roundTrip, ms(report.currentRoundTripTime));
        } else if (report.type === "remote-inbound-rtp" && report.kind === "audio") {
          lostOut = most(lostOut, report.fractionLost);
        } else if (report.type === "inbound-rtp") {
          const now = { lost: report.packetsLost ?? 0, received: report.packetsReceived ?? 0 };
          const key = `${at} ${report.id}`;
          counters.set(key, now);
          const was = this.#before.get(key);
          if (!was) continue;
          if (report.kind === "audio") {
            sound.lost += Math.max(0, now.lost - was.lost);
            sound.received += Math.max(0, now.received - was.received);
          } else {
            picture.known = true;
            picture.received += Math.max(0, now.received - was.received);
          }
        }
      }
    }
    const fresh = counters.size > 0 && ![...counters.keys()].some((key) => this.#before.has(key));
    this.#before = counters;
    const packets = sound.lost + sound.received;
    const stalled = pictures >= SEVERAL && picture.known && picture.received === 0 && sound.received > 0;
    return {
      out: { lost: lostOut, room, roundTrip, stalled: false },
      in: { lost: packets < FEW ? null : sound.lost / packets, room: null, roundTrip: null, stalled },
      connected: counters.size > 0,
      fresh,
    };
  }
}

/** @param {unknown} value */
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
/** @param {unknown} seconds */
const ms = (seconds) => (number(seconds) === null ? null : Number(seconds) * 1000);
/** @param {number | null} a @param {unknown} b */
const least = (a, b) => (a === null || number(b) === null ? a ?? number(b) : Math.min(a, Number(b)));
/** @param {number | null} a @param {unknown} b */
const most = (a, b) => (a === null || number(b) === null ? a ?? number(b) : Math.max(a, Number(b)));
