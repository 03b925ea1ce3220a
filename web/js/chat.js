// @ts-check
/**
 * Chat, real-time text and files of one visit, with everybody to whom there is a connection. Loaded when
 * a call is near. Everything goes from page to page; nothing of it outlives the visit.
 */
import { concat, lengthPrefixed, toBase64url, utf8 } from "./bytes.js";
import { addLine, markArrived } from "./chatlog.js";
import { ChatPartner } from "./chatpartner.js";
import { cleanText } from "./chattext.js";
import { Emitter } from "./emitter.js";
import { FilePlaces } from "./fileplace.js";
import { Files } from "./files.js";
import { Photos } from "./photos.js";
import { hmacSha256 } from "./sha256.js";
import { takeStill } from "./still.js";

/**
 * @typedef {import("./chatlog.js").ChatLog} ChatLog
 * @typedef {import("./chatpartner.js").Channels} Channels
 * @typedef {import("./chatthread.js").ThreadOutput} ThreadOutput
 * @typedef {import("./datacodec.js").DataRefusalReason} DataRefusalReason
 * @typedef {import("./fileincoming.js").Incoming} Incoming
 * @typedef {import("./files.js").Consent} Consent
 * @typedef {import("./files.js").Transfer} Transfer
 * @typedef {import("./photos.js").Photo} Photo
 *
 * What of it survives a reload, in the tab's memory.
 * @typedef {{files: Consent, live: boolean}} ChatMemory live: letters are shown as they are typed
 *
 * @typedef {object} ChatOptions
 * @property {string} secret of the participant
 * @property {ChatMemory} memory
 * @property {(memory: ChatMemory) => void} remember
 * @property {(person: string) => MediaStream | null} streamOf what comes from this one
 * @property {MediaStream} ownStream what goes to the others
 *
 * @typedef {object} ChatState
 * @property {ChatLog} log
 * @property {ReadonlyMap<string, string>} drafts by participant; who is not there writes nothing
 * @property {readonly Transfer[]} files
 * @property {readonly Photo[]} photos
 * @property {Consent} consent
 * @property {boolean} live
 * @property {ReadonlySet<string>} ready those to whom there is a connection
 * @property {ReadonlySet<string>} unwilling those who take no files now
 *
 * @typedef {object} ChatEvents
 * @property {[]} change of the state; soon after it, many at once
 * @property {[person: string]} greeted messages reach this one, from now on
 * @property {[person: string]} gone has left for good
 * @property {[]} cleared somebody else has come, who sees nothing of what was said or begun before
 * @property {[author: string, text: string]} said somebody else has written a line, just now
 * @property {[incoming: Incoming]} offered
 * @property {[photo: Photo]} photographed somebody asks whether a photo may be taken
 * @property {[participant: string, reason: DataRefusalReason]} refused something that does not belong there
 */

/** Between two messages about what is being typed, ms. */
const DRAFT_PAUSE = 300;
/** Changes are gathered for so long, ms. */
const CHANGE_PAUSE = 50;

/** @extends {Emitter<ChatEvents>} */
export class Chat extends Emitter {
  #options;
  #key;
  #places = new FilePlaces(newId());
  #files;
  /** Still photos of the others, and of us. */
  photos;
  /** @type {Map<string, ChatPartner>} */
  #partners = new Map();
  /** @type {ChatLog} */
  #log = [];
  /** @type {Map<string, string>} */
  #drafts = new Map();
  #live;
  #draft = "";
  #draftId = newId();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #draftTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #changeTimer;
  /** Who was the last to go, while nobody else is here: may come back to the conversation. */
  #last = "";
  #closed = false;
  /** @type {(person: string, message: import("./datacodec.js").CallMessage) => void} */
  #told = () => {};

  /** @param {ChatOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#live = options.memory.live;
    this.#key = hmacSha256(utf8("konsil/1 own lines"), utf8(options.secret));
    this.#files = new Files({
      consent: options.memory.files,
      newId,
      now: () => performance.now(),
      makePlace: (name, size) => this.#places.make(name, size),
      canTake: (size) => this.#places.canTake(size),
      told: (consent) => {
        this.#remember();
        const files = consent !== "withdrawn";
        for (const partner of this.#partners.values()) partner.send({ type: "consent", files });
      },
      arrived: (incoming) => this.emit("offered", incoming),
      changed: () => this.#changed(),
    });
    this.photos = new Photos({
      newId,
      now: () => performance.now(),
      capture: (person) => takeStill(options.streamOf(person)),
      discard: (url) => URL.revokeObjectURL(url),
      asked: (photo) => this.emit("photographed", photo),
      changed: () => this.#changed(),
    });
  }

  /** What goes to the others. @returns {MediaStream} */
  get ownStream() {
    return this.#options.ownStream;
  }

  /** @returns {ChatState} */
  get state() {
    const people = [...this.#partners];
    return {
      log: this.#log,
      drafts: this.#drafts,
      files: this.#files.list,
      photos: this.photos.list,
      consent: this.#files.consent,
      live: this.#live,
      ready: new Set(people.filter(([, { ready }]) => ready).map(([id]) => id)),
      unwilling: new Set(people.map(([id]) => id).filter((id) => !this.#files.willing(id))),
    };
  }

  /**
   * @param {readonly string[]} people who are in the call with us. Who is no longer has left for good. When
   *   somebody comes after all others have gone, that is another conversation
   */
  setPeople(people) {
    const gone = [...this.#partners.keys()].filter((id) => !people.includes(id));
    const come = people.filter((id) => !this.#partners.has(id));
    if (gone.length === 0 && come.length === 0) return;
    for (const id of gone) this.#gone(id);
    for (const id of come) {
      if (this.#last !== "" && this.#last !== id) {
        this.#clear();
        this.emit("cleared");
      }
      this.#last = "";
      this.#partners.set(id, this.#meet(id));
    }
    this.#changed();
  }

  /**
   * @param {string} person one of the people
   * @param {Channels} channels
   */
  connected(person, channels) {
    this.#partners.get(person)?.connected(channels);
  }

  /** @param {(person: string, message: import("./datacodec.js").CallMessage) => void} told gets what is about
   *   the call itself; throws DataRefusal where it has no place */
  takeTold(told) {
    this.#told = told;
  }

  /** @param {import("./datacodec.js").CallMessage} message @param {string} [person] else to everybody */
  tell(message, person) {
    for (const [id, partner] of this.#partners) {
      if (partner.ready && (person ?? id) === id) partner.send(message);
    }
  }

  /** @param {string} text */
  say(text) {
    const clean = cleanText(text).trim();
    if (clean === "" || this.#partners.size === 0) return;
    const id = this.#draftId;
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    this.#draft = "";
    this.#draftId = newId();
    const missing = new Set(this.#partners.keys());
    this.#log = addLine(this.#log, { id, author: "", text: clean, at: performance.now(), missing });
    for (const { thread } of this.#partners.values()) thread.say(id, clean);
    this.#changed();
  }

  /** @param {string} text as it stands in the field */
  typed(text) {
    this.#draft = cleanText(text);
    this.#draftTimer ??= setTimeout(() => this.#tellDraft(), DRAFT_PAUSE);
  }

  /** @param {boolean} live whether the others see the letters as they are typed */
  setLive(live) {
    this.#live = live;
    this.#remember();
    this.#tellDraft();
    this.#changed();
  }

  /**
   * @param {readonly File[]} files offered to everybody here
   * @returns {"" | "too_large" | "too_many"}
   */
  offer(files) {
    return this.#files.offer(files, [...this.#partners.keys()]);
  }

  /** @param {Incoming} incoming */
  accept(incoming) {
    this.#files.accept(incoming);
  }

  /** @param {Transfer} transfer */
  dismiss(transfer) {
    this.#files.dismiss(transfer);
  }

  withdraw() {
    this.#files.withdraw();
  }

  allow() {
    this.#files.allow();
  }

  /** The visit is over: nothing of it stays, neither here nor in the browser's storage. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#clear();
    clearTimeout(this.#draftTimer);
    clearTimeout(this.#changeTimer);
    for (const partner of this.#partners.values()) partner.close();
    this.#partners.clear();
    this.#places.close().catch(() => {});
    this.emit("change");
    this.clear();
  }

  #clear() {
    this.#files.clear();
    this.photos.clear();
    this.#log = [];
    this.#drafts = new Map();
    this.#draft = "";
    this.#draftId = newId();
  }

  /** @param {string} person */
  #meet(person) {
    return new ChatPartner({
      person,
      files: this.#files,
      photos: this.photos,
      prove: (n, id, text) => this.#prove(person, n, id, text),
      now: () => performance.now(),
      output: (output) => this.#handle(person, output),
      greeted: () => {
        this.#tellDraft();
        this.#changed();
        this.emit("greeted", person);
      },
      told: (message) => this.#told(person, message),
      refused: (reason) => this.emit("refused", person, reason),
    });
  }

  /** @param {string} person */
  #gone(person) {
    this.#partners.get(person)?.close();
    this.#partners.delete(person);
    if (this.#partners.size === 0) this.#last = person;
    this.#files.gone(person);
    this.photos.gone(person);
    this.emit("gone", person);
    this.#log = markArrived(this.#log, person, null);
    this.#drafts = without(this.#drafts, person);
  }

  /** @param {string} person @param {Exclude<ThreadOutput, {type: "send"}>} output */
  #handle(person, output) {
    switch (output.type) {
      case "line": {
        const { id, text, at } = output;
        const log = addLine(this.#log, { id, author: person, text, at });
        if (log === this.#log) break;
        this.#log = log;
        // What was written before this page was loaded has been read before it was.
        if (at >= 0) this.emit("said", person, text);
        break;
      }
      case "own":
        this.#log = addLine(this.#log, { ...output, author: "" });
        break;
      case "arrived":
        this.#log = markArrived(this.#log, person, new Set(output.ids));
        break;
      case "draft":
        this.#drafts = without(this.#drafts, person);
        if (output.text !== "") this.#drafts.set(person, output.text);
        break;
    }
    this.#changed();
  }

  #tellDraft() {
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    const text = this.#live ? this.#draft : "";
    for (const { thread } of this.#partners.values()) thread.typed(this.#draftId, text);
  }

  /**
   * @param {string} person
   * @param {number} n
   * @param {string} id
   * @param {string} text
   */
  #prove(person, n, id, text) {
    const number = new Uint8Array(4);
    new DataView(number.buffer).setUint32(0, n);
    const line = concat(lengthPrefixed(person), number, lengthPrefixed(id), lengthPrefixed(text));
    return toBase64url(hmacSha256(this.#key, line).subarray(0, 16));
  }

  #remember() {
    this.#options.remember({ files: this.#files.consent, live: this.#live });
  }

  #changed() {
    if (this.#closed) return;
    this.#changeTimer ??= setTimeout(() => {
      this.#changeTimer = undefined;
      this.emit("change");
    }, CHANGE_PAUSE);
  }
}

/** 96 random bits, 16 characters. */
function newId() {
  return toBase64url(crypto.getRandomValues(new Uint8Array(12)));
}

/**
 * @param {ReadonlyMap<string, string>} drafts
 * @param {string} person
 */
function without(drafts, person) {
  return new Map([...drafts].filter(([id]) => id !== person));
}
