// @ts-check
/**
 * The way to the chat and to the tools of a call, which are loaded when a call is near: keeps who is here,
 * and their channels, until it is there.
 */
import { hush } from "./announcer.js";
import { Emitter } from "./emitter.js";
import { whenIdle } from "./idle.js";
import { addWords } from "./language.js";
import { notCome, reachable, setMissing } from "./missing.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./datachannels.js").DataChannels} DataChannels
 * @typedef {typeof import("./chatview.js")} Views
 * @typedef {import("./calltools.js").CallTools} CallTools
 *
 * @typedef {() => import("./chat.js").ChatOptions & {call: import("./calltools.js").CallAccess}} GateOptions
 *   asked for when it is loaded
 */

/** Between tries to load it, ms; doubled up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/** So many failures are no accident any more. */
const TOO_MANY = 2;

/** @extends {Emitter<{loaded: [chat: Chat, views: Views, tools: CallTools], ended: []}>} */
export class ChatGate extends Emitter {
  /** @type {Chat | null} */
  chat = null;
  #options;
  /** @type {Views | null} */
  #views = null;
  /** @type {CallTools | null} */
  tools = null;
  /** @type {readonly string[]} */
  #people = [];
  /** @type {Map<string, DataChannels>} */
  #channels = new Map();
  #wanted = false;
  #loading = false;

  /** @param {GateOptions} options */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** Loads it, unless that is under way; tries until it succeeds. */
  load() {
    this.#wanted = true;
    if (this.#loading || this.chat !== null) return;
    this.#loading = true;
    void this.#load().finally(() => {
      this.#loading = false;
    });
  }

  /** Loads it as soon as nothing else is to be done. */
  loadWhenIdle() {
    whenIdle(() => this.load(), 5_000);
  }

  /**
   * Tells when it is loaded, at once if it is.
   *
   * @param {(chat: Chat, views: Views, tools: CallTools) => void} listener
   * @returns {() => void} takes the listener away again
   */
  whenLoaded(listener) {
    if (this.chat && this.#views && this.tools) listener(this.chat, this.#views, this.tools);
    return this.on("loaded", listener);
  }

  /** @param {readonly string[]} people see Chat */
  setPeople(people) {
    this.#people = people;
    for (const id of this.#channels.keys()) if (!people.includes(id)) this.#channels.delete(id);
    this.chat?.setPeople(people);
  }

  /** @param {string} person @param {DataChannels} channels */
  connected(person, channels) {
    this.load();
    if (this.chat !== null) this.chat.connected(person, channels);
    else this.#channels.set(person, channels);
  }

  /** The visit is over; another one may begin. */
  end() {
    this.#wanted = false;
    this.#people = [];
    this.#channels.clear();
    this.tools?.close();
    this.tools = null;
    this.chat?.close();
    this.chat = null;
    setMissing("chat", false);
    hush();
    this.emit("ended");
  }

  async #load() {
    let failures = 0;
    for (let pause = FIRST_PAUSE; this.#wanted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        const [{ Chat }, views, { CallTools }] = await Promise.all([
          import("./chat.js"), import("./chatview.js"), import("./calltools.js"), addWords("call"), addWords("photo"),
          loadStyle("/static/css/chat.css"), loadStyle("/static/css/tools.css"),
        ]);
        if (!this.#wanted) return;
        const options = this.#options();
        const chat = new Chat(options);
        this.#loaded(chat, views, new CallTools(chat, options.call));
        return;
      } catch (error) {
        if (!notCome(error)) throw error;
        failures += 1;
        if (failures >= TOO_MANY && await reachable() && this.#wanted) setMissing("chat", true);
        await new Promise((resolve) => {
          setTimeout(resolve, pause);
        });
      }
    }
  }

  /** @param {Chat} chat @param {Views} views @param {CallTools} tools */
  #loaded(chat, views, tools) {
    this.chat = chat;
    this.#views = views;
    this.tools = tools;
    setMissing("chat", false);
    chat.setPeople(this.#people);
    for (const [person, channels] of this.#channels) chat.connected(person, channels);
    this.#channels.clear();
    this.emit("loaded", chat, views, tools);
  }
}

/** @type {Map<string, Promise<void>>} */
const styles = new Map();

/** @param {string} href @returns {Promise<void>} */
export function loadStyle(href) {
  const loading = styles.get(href) ?? new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.onload = () => resolve();
    link.onerror = () => {
      link.remove();
      styles.delete(href);
      reject(new TypeError("the style sheet did not come"));
    };
    document.head.append(link);
  });
  styles.set(href, loading);
  return loading;
}
