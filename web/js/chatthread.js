// @ts-check
/**
 * Lines and drafts between this page and one other participant (docs/protocol.md section 11.2). Pure:
 * clock and words to prove own lines by are handed in, messages and events come out.
 *
 * Lines are numbered from 1 per author and pair. Each side says after every connecting up to which it
 * has them, and gets the rest: the other's, and after a reload its own as well.
 */
import { applyEdit, editBetween } from "./chattext.js";
import { DataRefusal } from "./datacodec.js";

/**
 * @typedef {import("./datacodec.js").ChatMessage} ChatMessage
 * @typedef {import("./datacodec.js").Known} Known
 * @typedef {import("./datacodec.js").Line} Line
 *
 * @typedef {{n: number, id: string, text: string, at: number, proof: string}} Entry at: ms, by `now`
 *
 * @typedef {{type: "send", message: ChatMessage}
 *   | {type: "line", id: string, text: string, at: number}
 *   | {type: "own", id: string, text: string, at: number}
 *   | {type: "arrived", ids: string[]}
 *   | {type: "draft", text: string}} ThreadOutput own: one of our own came back; arrived: our own that
 *   the other has; draft: the other's
 *
 * @typedef {object} ThreadOptions
 * @property {(n: number, id: string, text: string) => string} prove 22 characters that only this
 *   person's pages can make
 * @property {() => number} now ms
 * @property {(output: ThreadOutput) => void} output
 */

/** Lines of one author that are kept, and come back after a reload; older ones are forgotten. */
export const MOST_LINES = 500;

export class Thread {
  #options;
  /** Said before the first greeting tells how far the numbers are. @type {{id: string, text: string, at: number}[]} */
  #unnumbered = [];
  /** @type {Entry[]} */
  #own = [];
  #ownLast = 0;
  #ownArrived = 0;
  /** Own lines up to this number are here, or were forgotten by both. */
  #ownKnown = 0;
  /** @type {Entry[]} */
  #theirs = [];
  #theirLast = 0;
  #greeted = false;
  /** What the other shows of our draft. @type {{id: string, text: string} | null} */
  #shown = null;
  /** @type {{id: string, text: string} | null} */
  #theirDraft = null;

  /** @param {ThreadOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @returns {Known} what to say in a greeting */
  get known() {
    return { own: this.#ownKnown, other: this.#theirLast };
  }

  /**
   * The other has said what it has; everything else may be sent from now on.
   *
   * @param {Known} known of the other: `own` are its lines, `other` ours
   */
  greeted({ own, other }) {
    this.#greeted = true;
    this.#shown = null;
    // It knows more of our lines than we do: this page was loaded anew.
    this.#ownLast = Math.max(this.#ownLast, other);
    const again = this.#own.filter(({ n }) => n > other);
    this.#arrived(other);
    for (const entry of again) this.#send(entry, "line");
    for (const entry of this.#theirs) if (entry.n > own) this.#send(entry, "returned");
    for (const { id, text, at } of this.#unnumbered.splice(0)) this.#say(id, text, at);
  }

  /** There is no connection for the moment. */
  interrupted() {
    this.#greeted = false;
    this.#shown = null;
    if (this.#theirDraft === null) return;
    this.#theirDraft = null;
    this.#options.output({ type: "draft", text: "" });
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  say(id, text) {
    const at = this.#options.now();
    if (this.#ownLast === 0 && !this.#greeted) {
      this.#unnumbered = [...this.#unnumbered, { id, text, at }].slice(-MOST_LINES);
    } else {
      this.#say(id, text, at);
    }
  }

  /**
   * Tells what has been typed since the last time.
   *
   * @param {string} id of the line that it is going to be
   * @param {string} text "": nothing, or nothing that is to be seen
   */
  typed(id, text) {
    if (!this.#greeted) return;
    const before = this.#shown;
    if (text === (before?.text ?? "")) return;
    const start = before === null || before.id !== id;
    const edit = editBetween(start ? "" : before.text, text);
    this.#shown = text === "" ? null : { id, text };
    this.#options.output({
      type: "send", message: { type: "draft", id, start, edits: edit === null ? [] : [edit] },
    });
  }

  /**
   * @param {ChatMessage} message
   * @throws {DataRefusal} out_of_range, unexpected
   */
  receive(message) {
    switch (message.type) {
      case "line":
        this.#received(message);
        return;
      case "returned":
        this.#returned(message);
        return;
      case "ack":
        if (message.n > this.#ownLast) throw new DataRefusal("out_of_range", "n");
        this.#arrived(message.n);
        return;
      case "draft":
        this.#drafted(message);
        return;
    }
  }

  /** @param {string} id @param {string} text @param {number} at */
  #say(id, text, at) {
    this.#ownLast += 1;
    const n = this.#ownLast;
    if (this.#ownKnown === n - 1) this.#ownKnown = n;
    const entry = { n, id, text, at, proof: this.#options.prove(n, id, text) };
    this.#own = [...this.#own, entry].slice(-MOST_LINES);
    if (this.#shown?.id === id) this.#shown = null;
    if (this.#greeted) this.#send(entry, "line");
  }

  /** @param {Entry} entry @param {"line" | "returned"} type */
  #send({ n, id, text, at, proof }, type) {
    // Rounded down: an answer must not come to stand before what it answers.
    const ago = Math.max(0, Math.floor(this.#options.now() - at));
    this.#options.output({ type: "send", message: { type, n, id, text, ago, proof } });
  }

  /** @param {number} n all up to this one have arrived */
  #arrived(n) {
    if (n <= this.#ownArrived) return;
    const ids = this.#own.filter((entry) => entry.n > this.#ownArrived && entry.n <= n).map(({ id }) => id);
    this.#ownArrived = n;
    if (ids.length > 0) this.#options.output({ type: "arrived", ids });
  }

  /** @param {Line} line */
  #received({ n, id, text, ago, proof }) {
    if (n > this.#theirLast) {
      this.#theirLast = n;
      const at = this.#options.now() - ago;
      this.#theirs = [...this.#theirs, { n, id, text, at, proof }].slice(-MOST_LINES);
      if (this.#theirDraft?.id === id) this.#showDraft(null);
      this.#options.output({ type: "line", id, text, at });
    }
    this.#options.output({ type: "send", message: { type: "ack", n: this.#theirLast } });
  }

  /** @param {Line} line */
  #returned({ n, id, text, ago, proof }) {
    // Nobody but this person can have written it; else the other could put words into our mouth.
    if (n > this.#ownLast || proof !== this.#options.prove(n, id, text)) {
      throw new DataRefusal("out_of_range", "proof");
    }
    if (n <= this.#ownKnown || this.#own.some((entry) => entry.n === n)) return;
    const at = this.#options.now() - ago;
    const entry = { n, id, text, at, proof };
    this.#own = [...this.#own, entry].sort((a, b) => a.n - b.n).slice(-MOST_LINES);
    this.#ownKnown = n;
    this.#options.output({ type: "own", id, text, at });
  }

  /** @param {import("./datacodec.js").DraftMessage} message */
  #drafted({ id, start, edits }) {
    if (!start && this.#theirDraft?.id !== id) throw new DataRefusal("unexpected", "id");
    /** @type {string | null} */
    let text = start ? "" : (this.#theirDraft?.text ?? "");
    for (const edit of edits) {
      text = applyEdit(text, edit);
      if (text === null) throw new DataRefusal("out_of_range", "edits");
    }
    this.#showDraft({ id, text });
  }

  /** @param {{id: string, text: string} | null} draft */
  #showDraft(draft) {
    this.#theirDraft = draft;
    this.#options.output({ type: "draft", text: draft?.text ?? "" });
  }
}
