// @ts-check
/**
 * From where the media of everybody is taken while the way of a call changes, between pages and
 * forwarder or from one forwarder to another: nothing is let go before what replaces it is there, on both
 * sides. Pure; time is handed in.
 */

/**
 * `p2p`, or the number of a connection to a forwarder.
 * @typedef {"p2p" | number} Way
 *
 * `show`: take this one's media from there now. `tell`: say so to this one, who may stop sending it the
 * former way. `rest`: the connection to this one is not needed any more. `close`: nor is that to the
 * forwarder.
 * @typedef {{type: "show", participant: string, way: Way}
 *   | {type: "tell", participant: string, moved: "p2p" | "sfu"}
 *   | {type: "rest", participant: string}
 *   | {type: "close", way: number}} MoveOutput
 *
 * @typedef {object} Entry
 * @property {Way | null} via
 * @property {boolean} there the new way has tracks of this one
 * @property {number} heardAt when the first sound came over it, ms; Infinity: not yet
 * @property {number} seenAt when the first picture came over it, ms; Infinity: not yet
 * @property {boolean} camera whether there is a picture to wait for
 * @property {"p2p" | "sfu" | null} told
 * @property {"p2p" | "sfu" | null} theirs from where this one takes ours
 * @property {boolean} rested
 */

/** From the first sound to the picture, ms; longer nobody waits for it. */
export const PICTURE = 1_500;
/** From the first sound until it is relied on, ms: a decoder has to find its pace, keys may just change. */
export const STEADY = 600;
/** Somebody without a microphone is seen and never heard; from the first picture, ms. */
export const PATIENCE = 4_000;
/**
 * After so long a former way is given up though nothing has come over the next, or the other side has not
 * said that it is given up there, too, ms. A busy machine may need half of it to begin.
 */
export const DEADLINE = 20_000;
/** And so long a former forwarder is kept for those who cannot be heard over the next, ms. */
export const FAREWELL = 30_000;
/** Others may be behind us in leaving a forwarder for the next, ms. */
export const GRACE = 3_000;

const NOTHING_YET = Object.freeze({
  there: false, heardAt: Number.POSITIVE_INFINITY, seenAt: Number.POSITIVE_INFINITY,
});

/** @param {Way} way */
const kindOf = (way) => (way === "p2p" ? "p2p" : "sfu");

export class Moves {
  #output;
  /** @type {Way} */
  #target = "p2p";
  #since = 0;
  /** When all were shown over the target, ms. */
  #doneAt = Number.POSITIVE_INFINITY;
  /** Connections to forwarders that are open. @type {Set<number>} */
  #open = new Set();
  /** @type {Map<string, Entry>} */
  #people = new Map();

  /** @param {(output: MoveOutput) => void} output */
  constructor(output) {
    this.#output = output;
  }

  /** Where everybody's media is to be taken from. */
  get target() {
    return this.#target;
  }

  /** @param {string} participant @returns {Way | null} */
  viaOf(participant) {
    return this.#people.get(participant)?.via ?? null;
  }

  /** @param {Way} way another one than before @param {number} now ms */
  go(way, now) {
    this.#target = way;
    this.#since = now;
    this.#doneAt = Number.POSITIVE_INFINITY;
    if (way !== "p2p") this.#open.add(way);
    for (const entry of this.#people.values()) {
      Object.assign(entry, { ...NOTHING_YET, rested: false });
    }
    this.#look(now);
  }

  /**
   * @param {readonly string[]} ids everybody who is in, but us
   * @param {ReadonlySet<string>} direct those who can be heard without a forwarder already
   * @param {number} now
   */
  people(ids, direct, now) {
    for (const id of this.#people.keys()) {
      if (!ids.includes(id)) this.#people.delete(id);
    }
    for (const id of ids) {
      if (this.#people.has(id)) continue;
      this.#people.set(id, {
        via: direct.has(id) ? "p2p" : null, ...NOTHING_YET, camera: true,
        told: direct.has(id) ? "p2p" : null, theirs: null, rested: false,
      });
    }
    this.#look(now);
  }

  /** This one's page has been loaded anew. @param {string} participant */
  anew(participant) {
    const entry = this.#people.get(participant);
    if (entry) Object.assign(entry, { told: null, theirs: null });
  }

  /**
   * What is there of somebody over a way; of any other than the one we go to nothing is new.
   *
   * @param {string} participant
   * @param {Way} way
   * @param {"tracks" | "sound" | "picture"} what
   * @param {number} now
   */
  there(participant, way, what, now) {
    const entry = this.#people.get(participant);
    if (!entry || way !== this.#target) return;
    entry.there = true;
    if (what === "sound") entry.heardAt = Math.min(entry.heardAt, now);
    if (what === "picture") entry.seenAt = Math.min(entry.seenAt, now);
    this.#look(now);
  }

  /** @param {string} participant @param {boolean} on @param {number} now */
  camera(participant, on, now) {
    const entry = this.#people.get(participant);
    if (!entry || entry.camera === on) return;
    entry.camera = on;
    this.#look(now);
  }

  /** This one says from where our media is taken. @param {string} participant @param {"p2p" | "sfu"} from @param {number} now */
  moved(participant, from, now) {
    const entry = this.#people.get(participant);
    if (!entry) return;
    entry.theirs = from;
    this.#look(now);
  }

  /** A connection to a forwarder is of no use any more. @param {number} way @param {number} now */
  broken(way, now) {
    this.#open.delete(way);
    for (const entry of this.#people.values()) {
      if (entry.via === way) entry.via = null;
      if (way === this.#target) entry.there = false;
    }
    this.#look(now);
  }

  /** @param {number} now @returns {number | null} when handleTimer is due; null: nothing is under way */
  nextTimeout(now) {
    const former = [...this.#open].some((way) => way !== this.#target);
    const busy = former || [...this.#people.values()]
      .some((entry) => entry.via !== this.#target || (!entry.rested && this.#target !== "p2p"));
    if (!busy) return null;
    // A move has few steps; to look often is simpler than to reckon when.
    return now + 100;
  }

  /** @param {number} now */
  handleTimer(now) {
    this.#look(now);
  }

  /** @param {number} now */
  #look(now) {
    const target = this.#target;
    const late = now - this.#since >= DEADLINE;
    for (const [participant, entry] of this.#people) {
      if (entry.via !== target && this.#isReady(entry, now)) {
        entry.via = target;
        this.#output({ type: "show", participant, way: target });
      }
      if (entry.via === target && entry.told !== kindOf(target)) {
        entry.told = kindOf(target);
        this.#output({ type: "tell", participant, moved: kindOf(target) });
      }
      // While nothing comes over the forwarder the former connection is all there is.
      const agreed = entry.via === target && (entry.theirs === "sfu" || late);
      if (target !== "p2p" && !entry.rested && agreed) {
        entry.rested = true;
        this.#output({ type: "rest", participant });
      }
    }
    this.#closeFormer(now);
  }

  /** @param {number} now */
  #closeFormer(now) {
    const target = this.#target;
    const people = [...this.#people.values()];
    const all = people.every(({ via }) => via === target);
    this.#doneAt = all ? Math.min(this.#doneAt, now) : Number.POSITIVE_INFINITY;
    const over = target === "p2p"
      // Without a connection of our own to everybody the forwarder is all there is.
      ? all && (people.every(({ theirs }) => theirs === "p2p") || now - this.#doneAt >= DEADLINE)
      : now - this.#since >= FAREWELL || now - this.#doneAt >= GRACE;
    if (!over) return;
    for (const way of [...this.#open]) {
      if (way === target) continue;
      this.#open.delete(way);
      this.#output({ type: "close", way });
    }
  }

  /** @param {Entry} entry @param {number} now */
  #isReady({ there, via, heardAt, seenAt, camera }, now) {
    if (!there) return false;
    if (via === null) return true;
    if (heardAt !== Number.POSITIVE_INFINITY) {
      const complete = seenAt !== Number.POSITIVE_INFINITY || !camera;
      return now - heardAt >= (complete ? STEADY : PICTURE);
    }
    // That there are tracks says little: on a busy machine it takes seconds until something comes in them.
    return now - seenAt >= PATIENCE || now - this.#since >= DEADLINE;
  }
}
