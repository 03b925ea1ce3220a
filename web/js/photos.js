// @ts-check
/**
 * Still photos of the others' pictures, each with its own consent (docs/protocol.md section 11.7). Pure:
 * clock, capture and messages are handed in.
 *
 * Whoever is asked is not asked again and again: a question that comes too soon after the one before is
 * answered with no, and is not shown.
 */
import { DataRefusal } from "./datacodec.js";

/**
 * @typedef {import("./datacodec.js").PhotoMessage} PhotoMessage
 *
 * `taking`: agreed to, and not yet there. `perhaps`: of us, agreed to, and the connection broke before it was
 * known whether there is one. `untold`: withdrawn, and whoever has it has left and cannot be told.
 * @typedef {"asked" | "taking" | "taken" | "perhaps" | "declined" | "cancelled" | "failed" | "withdrawn" | "untold"
 *   | "lost"} PhotoState
 *
 * @typedef {object} Photo
 * @property {string} id
 * @property {string} person the other one
 * @property {boolean} mine we ask; else we are asked
 * @property {PhotoState} state
 * @property {number} at ms, by `now`: of the question, later of the photo
 * @property {string} url where the picture is, or ""
 * @property {number} width in pixels; 0 as long as there is none
 * @property {number} height
 *
 * @typedef {{url: string, width: number, height: number}} Still
 *
 * @typedef {object} PhotosOptions
 * @property {() => string} newId 16 base64url characters
 * @property {() => number} now ms
 * @property {(person: string) => Promise<Still>} capture what is to be seen of this one now; asked for only
 *   after consent
 * @property {(url: string) => void} discard the picture
 * @property {(photo: Photo) => void} asked somebody asks us
 * @property {() => void} changed
 */

/** From a no to the next question, ms. */
export const PAUSE = 60_000;
/** After so many times no this person is not asked any more in this call. */
export const MOST_REFUSALS = 3;
/** Between questions, whatever became of them, ms. */
const STEP = 5_000;
/** So many questions may end without an answer; from then on each counts as a no. */
const MOST_DROPPED = 2;
/** Shown at most; of those that are over the oldest go, and one more is not asked for. */
const MOST_SHOWN = 50;

const OPEN = new Set(["asked", "taking"]);
/** There is something to be looked at, answered or withdrawn. */
const KEPT = new Set(["asked", "taking", "taken", "perhaps"]);

/** What is over may still be spoken of for a moment. */
const CROSSED = new Set(["cancelled", "withdrawn", "untold", "perhaps", "lost"]);

/** How often, and when, somebody was asked. */
class Patience {
  #refusals = 0;
  #dropped = 0;
  #until = Number.NEGATIVE_INFINITY;

  /** @param {number} now @returns {number} ms until a question is in order; never: Infinity */
  wait(now) {
    return this.#refusals >= MOST_REFUSALS ? Number.POSITIVE_INFINITY : Math.max(0, this.#until - now);
  }

  /** @param {number} now */
  asked(now) {
    this.#until = Math.max(this.#until, now + STEP);
  }

  /** @param {number} now */
  refused(now) {
    this.#refusals += 1;
    this.#until = now + PAUSE;
  }

  /** Taken back or lost before it was answered: else there would be a question every few seconds. @param {number} now */
  dropped(now) {
    this.#dropped += 1;
    if (this.#dropped > MOST_DROPPED) this.refused(now);
    else this.#until = now + PAUSE;
  }
}

export class Photos {
  /** @type {readonly Photo[]} oldest first */
  list = [];
  #options;
  /** Of everybody to whom there is a connection. @type {Map<string, (message: PhotoMessage) => void>} */
  #links = new Map();
  /** By person and who asks. @type {Map<string, Patience>} */
  #patience = new Map();
  /** Consent that was withdrawn while nobody could be told. @type {Map<string, string[]>} */
  #untold = new Map();
  /** Those who have left for good. @type {Set<string>} */
  #gone = new Set();

  /** @param {PhotosOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @param {string} person @returns {number} ms until this one may be asked; 0: now. Never: Infinity */
  wait(person) {
    return this.#patienceFor(person, true).wait(this.#options.now());
  }

  /** @param {string} person @returns {boolean} whether the question has gone out */
  ask(person) {
    const link = this.#links.get(person);
    if (!link || this.#full || this.#open(person, true) || this.wait(person) > 0) return false;
    const photo = this.#add(this.#options.newId(), person, true);
    this.#patienceFor(person, true).asked(photo.at);
    link({ type: "photo_ask", photo: photo.id });
    this.#options.changed();
    return true;
  }

  /** @param {Photo} photo we are asked for @param {boolean} agreed this click alone is consent, to this one */
  answer(photo, agreed) {
    if (photo.mine || photo.state !== "asked") return;
    if (!agreed) this.#patienceFor(photo.person, false).refused(this.#options.now());
    this.#set(photo, agreed ? "taking" : "declined");
    this.#links.get(photo.person)?.({ type: "photo_answer", photo: photo.id, agreed });
  }

  /** @param {Photo} photo we no longer want */
  cancel(photo) {
    if (!photo.mine || !OPEN.has(photo.state)) return;
    this.#void(photo, "cancelled");
    this.#end(photo, "cancelled");
  }

  /** Consent is taken back: what was taken goes from the other's page. @param {Photo} photo of us */
  withdraw(photo) {
    if (photo.mine || photo.state === "asked" || !KEPT.has(photo.state)) return;
    const { id, person } = photo;
    this.#set(photo, this.#gone.has(person) ? "untold" : "withdrawn");
    if (this.#links.has(person)) this.#end(photo, "withdrawn");
    else this.#untold.set(person, [...(this.#untold.get(person) ?? []), id]);
  }

  /** @param {Photo} photo takes it off the list, and the picture away */
  dismiss(photo) {
    if (OPEN.has(photo.state)) return;
    this.#forget(photo);
    this.list = this.list.filter((other) => other !== photo);
    this.#options.changed();
  }

  /**
   * Greetings were exchanged.
   *
   * @param {string} person
   * @param {(message: PhotoMessage) => void} send
   */
  connected(person, send) {
    this.#links.set(person, send);
    this.#gone.delete(person);
    for (const photo of this.#untold.get(person) ?? []) send({ type: "photo_end", photo, reason: "withdrawn" });
    this.#untold.delete(person);
    this.#turn(person, "untold", "withdrawn");
  }

  /** There is no connection for the moment; what was not finished is void. @param {string} person */
  interrupted(person) {
    this.#links.delete(person);
    for (const photo of this.list) {
      if (photo.person !== person || !OPEN.has(photo.state)) continue;
      // The asker's page may have it, and the word that it does was lost.
      if (!photo.mine && photo.state === "taking") this.#set(photo, "perhaps");
      else this.#void(photo, "lost");
    }
  }

  /** Has left for good. @param {string} person */
  gone(person) {
    this.interrupted(person);
    this.#gone.add(person);
    // Who comes back is still told.
    for (const id of this.#untold.get(person) ?? []) this.#turn(person, "withdrawn", "untold", id);
  }

  /** Nothing stays, not a picture. */
  clear() {
    for (const photo of this.list) this.#forget(photo);
    this.list = [];
    this.#untold.clear();
    this.#gone.clear();
    this.#patience.clear();
    this.#options.changed();
  }

  /**
   * @param {string} person
   * @param {PhotoMessage} message
   * @throws {DataRefusal} unexpected
   */
  receive(person, message) {
    if (message.type === "photo_ask") {
      this.#asked(person, message.photo);
      return;
    }
    const photo = this.list.find(({ id, person: whose }) => id === message.photo && whose === person);
    switch (message.type) {
      case "photo_answer":
        if (!photo?.mine || !this.#awaits(photo, "asked")) return;
        if (message.agreed) void this.#take(photo);
        else this.#refused(photo);
        return;
      case "photo_taken":
        if (!photo || photo.mine || !this.#awaits(photo, "taking")) return;
        Object.assign(photo, { width: message.width, height: message.height, at: this.#options.now() });
        this.#set(photo, "taken");
        return;
      case "photo_end":
        this.#ended(photo, message.reason);
        return;
    }
  }

  /** @param {string} person @param {string} id */
  #asked(person, id) {
    const known = this.list.some((photo) => photo.id === id);
    if (known || this.#open(person, false)) throw new DataRefusal("unexpected", "photo");
    const patience = this.#patienceFor(person, false);
    const now = this.#options.now();
    const tooSoon = patience.wait(now) > 0;
    patience.asked(now);
    if (tooSoon || this.#full) {
      this.#links.get(person)?.({ type: "photo_answer", photo: id, agreed: false });
      return;
    }
    const photo = this.#add(id, person, false);
    this.#options.asked(photo);
    this.#options.changed();
  }

  /**
   * Messages cross: what is over may still be spoken of. Anything else was never in order.
   *
   * @param {Photo} photo
   * @param {PhotoState} state
   */
  #awaits(photo, state) {
    if (photo.state === state) return true;
    if (CROSSED.has(photo.state)) return false;
    throw new DataRefusal("unexpected", "photo");
  }

  /** @param {Photo | undefined} photo @param {import("./datacodec.js").PhotoEnd} reason */
  #ended(photo, reason) {
    // It may have been taken off the list; an earlier load of this page may have asked.
    if (!photo) return;
    const byAsker = reason !== "withdrawn";
    if (byAsker === photo.mine) throw new DataRefusal("unexpected", "photo");
    if (!OPEN.has(photo.state) && !(reason === "withdrawn" && photo.state === "taken")) return;
    this.#forget(photo);
    this.#void(photo, reason);
  }

  /** @param {Photo} photo */
  #refused(photo) {
    this.#patienceFor(photo.person, true).refused(this.#options.now());
    this.#set(photo, "declined");
  }

  /** @param {Photo} photo agreed to */
  async #take(photo) {
    this.#set(photo, "taking");
    try {
      const still = await this.#options.capture(photo.person);
      // Consent was withdrawn, or the call is over.
      if (photo.state !== "taking" || !this.list.includes(photo)) {
        this.#options.discard(still.url);
        return;
      }
      Object.assign(photo, still, { at: this.#options.now() });
      const { id, width, height } = photo;
      this.#links.get(photo.person)?.({ type: "photo_taken", photo: id, width, height });
      this.#set(photo, "taken");
    } catch {
      if (photo.state !== "taking") return;
      this.#set(photo, "failed");
      this.#end(photo, "failed");
    }
  }

  /** @param {Photo} photo @param {import("./datacodec.js").PhotoEnd} reason */
  #end(photo, reason) {
    this.#links.get(photo.person)?.({ type: "photo_end", photo: photo.id, reason });
  }

  /** @param {string} id @param {string} person @param {boolean} mine @returns {Photo} */
  #add(id, person, mine) {
    /** @type {Photo} */
    const photo = { id, person, mine, state: "asked", at: this.#options.now(), url: "", width: 0, height: 0 };
    this.list = [...this.list, photo];
    while (this.list.length > MOST_SHOWN) {
      const oldest = this.list.find(({ state }) => !KEPT.has(state));
      this.list = this.list.filter((other) => other !== oldest);
    }
    return photo;
  }

  get #full() {
    return this.list.filter(({ state }) => KEPT.has(state)).length >= MOST_SHOWN;
  }

  /** @param {string} person @param {boolean} mine */
  #open(person, mine) {
    return this.list.some((photo) => photo.person === person && photo.mine === mine && OPEN.has(photo.state));
  }

  /** @param {string} person @param {boolean} mine whether we ask */
  #patienceFor(person, mine) {
    const key = `${person} ${mine}`;
    const patience = this.#patience.get(key) ?? new Patience();
    this.#patience.set(key, patience);
    return patience;
  }

  /** @param {Photo} photo */
  #forget(photo) {
    if (photo.url !== "") this.#options.discard(photo.url);
    photo.url = "";
  }

  /** It is over without a photo; if it was not even answered, the next one waits. @param {Photo} photo @param {PhotoState} state */
  #void(photo, state) {
    if (photo.state === "asked") {
      // The asker waits a little longer: the two pages do not see a connection break in the same moment.
      const now = this.#options.now() + (photo.mine ? STEP : 0);
      this.#patienceFor(photo.person, photo.mine).dropped(now);
    }
    this.#set(photo, state);
  }

  /** @param {string} person @param {PhotoState} from @param {PhotoState} to @param {string} [only] id */
  #turn(person, from, to, only) {
    for (const photo of this.list) {
      if (photo.person === person && photo.state === from && (only ?? photo.id) === photo.id) this.#set(photo, to);
    }
  }

  /** @param {Photo} photo @param {PhotoState} state */
  #set(photo, state) {
    photo.state = state;
    this.#options.changed();
  }
}
