// @ts-check
/** All files of a call, to and from everybody, and the person's consent to them. */
import { Bucket } from "./bucket.js";
import { DataRefusal, MOST_FILES, MOST_SIZE } from "./datacodec.js";
import { safeKind, safeName } from "./filename.js";
import { Incoming } from "./fileincoming.js";
import { Outgoing } from "./fileoutgoing.js";
import { isOver } from "./filestate.js";

/**
 * @typedef {import("./datacodec.js").FileMessage} FileMessage
 * @typedef {import("./datacodec.js").Chunk} Chunk
 * @typedef {import("./fileincoming.js").FilePlace} FilePlace
 * @typedef {import("./fileoutgoing.js").FileLink} FileLink
 * @typedef {Outgoing | Incoming} Transfer
 * @typedef {"unasked" | "given" | "withdrawn"} Consent
 *
 * @typedef {object} FilesOptions
 * @property {Consent} consent as it was before a reload
 * @property {() => string} newId 16 base64url characters
 * @property {() => number} now ms
 * @property {(name: string, size: number) => Promise<FilePlace>} makePlace
 * @property {(size: number) => Promise<boolean>} canTake
 * @property {(consent: Consent) => void} told consent has changed: to be kept, and told to everybody
 * @property {(transfer: Incoming) => void} arrived somebody offers one
 * @property {() => void} changed
 */

/**
 * Files shown with one person. Beyond it the oldest go that are over, but none that has been received:
 * it may not have been saved yet. If all are, no more is taken.
 */
export const MOST_SHOWN = 100;
/** Offers of one person at once, and per second in the long run; more are declined. */
const BURST = 32;
const PER_SECOND = 1;
/** Files of one person that are off the list and may still be spoken of. */
const MOST_DISMISSED = 256;

export class Files {
  /** @type {readonly Transfer[]} oldest first */
  list = [];
  /** @type {Consent} */
  consent;
  #options;
  /** Of everybody to whom there is a connection. @type {Map<string, FileLink>} */
  #links = new Map();
  /** Those who take no files now. @type {Set<string>} */
  #unwilling = new Set();
  /** @type {Map<string, Bucket>} */
  #offers = new Map();
  /** By person, those off the list, and whether they were received. @type {Map<string, Map<string, boolean>>} */
  #dismissed = new Map();

  /** @param {FilesOptions} options */
  constructor(options) {
    this.#options = options;
    this.consent = options.consent;
  }

  /** @param {string} person @returns {boolean} whether it takes files, as far as it is known */
  willing(person) {
    return !this.#unwilling.has(person);
  }

  /** @param {string} person @returns {string[]} ids of what is on the way to this one */
  sendingTo(person) {
    return this.#outgoing(person).map(({ id }) => id);
  }

  /**
   * The person has chosen files; that is consent.
   *
   * @param {readonly File[]} files
   * @param {readonly string[]} people
   * @returns {"" | "too_large" | "too_many"} what keeps some of them from being offered
   */
  offer(files, people) {
    this.#consents("given");
    let problem = /** @type {"" | "too_large" | "too_many"} */ ("");
    for (const file of files) {
      if (file.size > MOST_SIZE) {
        problem = "too_large";
        continue;
      }
      for (const person of people) {
        if (this.#outgoing(person).length >= MOST_FILES) {
          problem = "too_many";
          continue;
        }
        const outgoing = new Outgoing({
          id: this.#options.newId(), person, file,
          name: safeName(file.name), kind: safeKind(file.type),
          changed: () => this.#changed(),
        });
        this.#add(outgoing);
        const link = this.#links.get(person);
        if (this.#unwilling.has(person)) outgoing.giveUp("withdrawn");
        else if (link) outgoing.connected(link);
      }
    }
    return problem;
  }

  /** @param {Incoming} incoming consent, too */
  accept(incoming) {
    this.#consents("given");
    void incoming.accept();
  }

  /** No files any more, in neither direction; what is under way stops at once. */
  withdraw() {
    for (const transfer of this.list) transfer.cancel("withdrawn");
    this.#consents("withdrawn");
  }

  /** The person allows it again. */
  allow() {
    this.#consents("given");
  }

  /** @param {Transfer} transfer takes it off the list, and what is held of it */
  dismiss(transfer) {
    if (!isOver(transfer.state)) return;
    if (transfer instanceof Incoming) transfer.forget();
    this.list = this.list.filter((other) => other !== transfer);
    this.#pass(transfer.person, transfer.id, isReceived(transfer));
    this.#options.changed();
  }

  /**
   * Greetings were exchanged.
   *
   * @param {string} person
   * @param {FileLink} link
   * @param {{files: boolean, sending: readonly string[]}} greeting the other's
   */
  connected(person, link, { files, sending }) {
    this.#links.set(person, link);
    for (const transfer of this.#of(person)) {
      if (transfer instanceof Incoming && !sending.includes(transfer.id)) transfer.lost();
    }
    this.consented(person, files);
    for (const outgoing of this.#outgoing(person)) outgoing.connected(link);
  }

  /** @param {string} person */
  interrupted(person) {
    this.#links.delete(person);
    for (const transfer of this.#of(person)) transfer.interrupted();
  }

  /** @param {string} person it has left for good */
  gone(person) {
    this.interrupted(person);
    this.#unwilling.delete(person);
    this.#dismissed.delete(person);
    for (const transfer of this.#of(person)) {
      if (transfer instanceof Incoming) transfer.lost();
      else transfer.giveUp("lost");
    }
  }

  /** @param {string} person @param {boolean} files */
  consented(person, files) {
    if (files) {
      this.#unwilling.delete(person);
    } else {
      this.#unwilling.add(person);
      for (const transfer of this.#of(person)) {
        if (transfer instanceof Incoming) transfer.cancelled("withdrawn");
        else transfer.giveUp("withdrawn");
      }
    }
    this.#changed();
  }

  /** @param {string} person the browser has sent what it had for this one */
  flowing(person) {
    for (const outgoing of this.#outgoing(person)) outgoing.flowing();
  }

  /**
   * @param {string} person
   * @param {FileMessage} message
   * @throws {DataRefusal}
   */
  receive(person, message) {
    if (message.type === "offer") {
      this.#offered(person, message);
      return;
    }
    const transfer = this.#of(person).find(({ id }) => id === message.file);
    // What is over here may still be talked about there; what never was is another thing.
    if (transfer === undefined) return this.#passed(person, message.file);
    if (transfer instanceof Outgoing) {
      if (!isOver(transfer.state)) transfer.receive(message);
    } else if (message.type === "end") {
      transfer.ended(message.sha256);
    } else if (message.type === "cancel") {
      transfer.cancelled(message.reason);
    } else {
      throw new DataRefusal("unexpected", "type");
    }
  }

  /**
   * @param {string} person
   * @param {Chunk} chunk
   * @throws {DataRefusal}
   */
  take(person, chunk) {
    const incoming = this.#of(person).find(({ id }) => id === chunk.file);
    if (incoming === undefined) return this.#passed(person, chunk.file);
    if (!(incoming instanceof Incoming)) throw new DataRefusal("unknown_file", "file");
    incoming.take(chunk);
  }

  /** The call is over, or another one begins: nothing of it stays, and consent is asked anew. */
  clear() {
    for (const transfer of this.list) {
      transfer.cancel("cancelled");
      if (transfer instanceof Incoming) transfer.forget();
    }
    this.list = [];
    this.#dismissed.clear();
    this.#offers.clear();
    this.#consents("unasked");
  }

  /** @param {string} person @param {import("./datacodec.js").OfferMessage} offer */
  #offered(person, offer) {
    const link = this.#links.get(person);
    if (link === undefined) return;
    const known = this.#of(person).find(({ id }) => id === offer.file);
    if (known instanceof Outgoing) throw new DataRefusal("unexpected", "file");
    if (known !== undefined) {
      known.offered(offer, link);
      return;
    }
    const { file } = offer;
    const done = this.#dismissed.get(person)?.get(file);
    if (done !== undefined) {
      // The last word on it was lost with a connection.
      link.send(done ? { type: "done", file } : { type: "cancel", file, reason: "cancelled" });
      return;
    }
    if (this.consent === "withdrawn" || this.#tooMany(person)) {
      this.#pass(person, file, false);
      link.send({ type: "decline", file, reason: this.consent === "withdrawn" ? "withdrawn" : "too_many" });
      return;
    }
    const incoming = new Incoming({
      person, offer, makePlace: this.#options.makePlace, now: this.#options.now,
      changed: () => this.#changed(),
    });
    incoming.offered(offer, link);
    this.#add(incoming);
    this.#options.arrived(incoming);
    void this.#options.canTake(offer.size).then((can) => {
      if (!can) incoming.decline("too_large");
    });
  }

  /** @param {string} person who offers one more @returns {boolean} */
  #tooMany(person) {
    const now = this.#options.now();
    const bucket = this.#offers.get(person) ?? new Bucket(BURST, PER_SECOND, now);
    this.#offers.set(person, bucket);
    const open = this.#of(person).filter((t) => t instanceof Incoming && !isOver(t.state)).length;
    const received = this.#of(person).filter(isReceived).length;
    return !bucket.take(now) || open >= MOST_FILES || open + received >= MOST_SHOWN;
  }

  /** What comes of it from now on is passed over. @param {string} person @param {string} file @param {boolean} done */
  #pass(person, file, done) {
    const passed = this.#dismissed.get(person) ?? new Map();
    this.#dismissed.set(person, passed);
    passed.set(file, done);
    for (const oldest of passed.keys()) {
      if (passed.size <= MOST_DISMISSED) return;
      passed.delete(oldest);
    }
  }

  /** @param {string} person @param {string} file not on the list @throws {DataRefusal} unknown_file */
  #passed(person, file) {
    if (!this.#dismissed.get(person)?.has(file)) throw new DataRefusal("unknown_file", "file");
  }

  /** @param {Transfer} transfer */
  #add(transfer) {
    this.list = [...this.list, transfer];
    const all = this.#of(transfer.person);
    const over = all.filter((one) => isOver(one.state) && !isReceived(one));
    for (const old of over.slice(0, Math.max(0, all.length - MOST_SHOWN))) this.dismiss(old);
    this.#options.changed();
  }

  #changed() {
    // One at a time to each person, in the order in which they were offered.
    for (const person of this.#links.keys()) {
      const outgoing = this.#outgoing(person);
      if (!outgoing.some(({ state }) => state === "moving")) {
        outgoing.find(({ state }) => state === "waiting")?.turn();
      }
    }
    this.#options.changed();
  }

  /** @param {Consent} consent */
  #consents(consent) {
    if (this.consent === consent) return;
    this.consent = consent;
    this.#options.told(consent);
    this.#options.changed();
  }

  /** @param {string} person */
  #of(person) {
    return this.list.filter((transfer) => transfer.person === person);
  }

  /** @param {string} person @returns {Outgoing[]} not over */
  #outgoing(person) {
    return /** @type {Outgoing[]} */ (this.#of(person)
      .filter((transfer) => transfer instanceof Outgoing && !isOver(transfer.state)));
  }
}

/** @param {Transfer} transfer */
function isReceived(transfer) {
  return transfer instanceof Incoming && transfer.state === "done";
}
