// @ts-check
/**
 * The way to the chat, which is loaded when a call is near: keeps who is here, and their channels, until
 * it is there.
 */
import { hush } from "./announcer.js";
import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./datachannels.js").DataChannels} DataChannels
 * @typedef {typeof import("./chatview.js")} Views
 *
 * @typedef {() => import("./chat.js").ChatOptions} GateOptions asked for when it is loaded
 */

/** Between tries to load it, ms; doubled up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** @extends {Emitter<{loaded: [chat: Chat, views: Views], ended: []}>} */
export class ChatGate extends Emitter {
  /** @type {Chat | null} */
  chat = null;
  #options;
  /** @type {Views | null} */
  #views = null;
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
    // Safari has no requestIdleCallback.
    if (typeof requestIdleCallback === "function") requestIdleCallback(() => this.load(), { timeout: 5000 });
    else setTimeout(() => this.load(), 1000);
  }

  /**
   * Tells when it is loaded, at once if it is.
   *
   * @param {(chat: Chat, views: Views) => void} listener
   * @returns {() => void} takes the listener away again
   */
  whenLoaded(listener) {
    if (this.chat !== null && this.#views !== null) listener(this.chat, this.#views);
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
    this.chat?.close();
    this.chat = null;
    hush();
    this.emit("ended");
  }

  async #load() {
    for (let pause = FIRST_PAUSE; this.#wanted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        const [{ Chat }, views] = await Promise.all([
          import("./chat.js"), import("./chatview.js"), loadStyle("/static/css/chat.css"),
        ]);
        if (this.#wanted) this.#loaded(new Chat(this.#options()), views);
        return;
      } catch (error) {
        // That is how a browser says that a module did not come.
        if (!(error instanceof TypeError)) throw error;
        await new Promise((resolve) => {
          setTimeout(resolve, pause);
        });
      }
    }
  }

  /** @param {Chat} chat @param {Views} views */
  #loaded(chat, views) {
    this.chat = chat;
    this.#views = views;
    chat.setPeople(this.#people);
    for (const [person, channels] of this.#channels) chat.connected(person, channels);
    this.#channels.clear();
    this.emit("loaded", chat, views);
  }
}

/** @type {Map<string, Promise<void>>} */
const styles = new Map();

/** @param {string} href @returns {Promise<void>} */
function loadStyle(href) {
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
