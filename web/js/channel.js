// @ts-check
/** The page's WebSocket to the server: moves bytes, timers and events for dialogue.js. */
import { Dialogue } from "./dialogue.js";
import { Emitter } from "./emitter.js";
import { againNotice } from "./exchange.js";
import { SUBPROTOCOL } from "./protocol.js";

/**
 * @typedef {import("./protocol.js").Welcome} Welcome
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").Command} Command
 *
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ChannelState
 *
 * @typedef {object} ChannelOptions
 * @property {string} url ws(s)://…/ws
 * @property {string} token
 * @property {string} secret the participant's secret of section 2 (session storage)
 * @property {string} instance one load of this page
 * @property {string} [name]
 * @property {boolean} [reopen]
 * @property {boolean} [groups] whether this browser can seal frames
 *
 * What a command has beside its type and id.
 * @typedef {object} CommandFields
 * @property {string} [participant]
 * @property {boolean} [locked]
 * @property {string} [text]
 * @property {number} [minutes]
 * @property {import("./protocol.js").DeviceWord} [camera]
 * @property {import("./protocol.js").DeviceWord} [microphone]
 * @property {number} [generation]
 * @property {string} [sdp]
 * @property {import("./protocol.js").Track[]} [tracks]
 * @property {import("./protocol.js").Tile[]} [tiles]
 *
 * What the server said against us, or why the channel is closed for good.
 * @typedef {object} ChannelError
 * @property {string} code of protocol section 6; `closed` for a command cut short by the end
 * @property {string} detail
 * @property {boolean} fatal the channel is closed and does not come back by itself
 * @property {string} [reason]
 * @property {string} [field]
 * @property {number} [retry_after] seconds
 * @property {number} [opens_at] ms since 1970
 *
 * @typedef {object} ChannelEvents
 * @property {[welcome: Welcome]} welcome after every (re)connection, before its `room`
 * @property {[room: RoomView]} room every new view, that of `welcome` included
 * @property {[signal: {from: string, data: string}]} signal for peer.js
 * @property {[to: string]} overflow more was kept for this participant than is bearable; it was dropped
 * @property {[bye: {reason: import("./protocol.js").ByeReason}]} bye
 * @property {[error: ChannelError]} error not for errors that answer a command
 * @property {[closing: {closes_at: number}]} closing
 * @property {[sources: import("./protocol.js").GroupSourcesMessage]} sources
 * @property {[speakers: import("./protocol.js").GroupSpeakersMessage]} speakers
 * @property {[gone: import("./protocol.js").GroupGoneMessage]} gone
 * @property {[mute: {from: string}]} mute
 * @property {[told: import("./protocol.js").ToldMessage]} told
 * @property {[state: ChannelState]} state
 */

/** @extends {Emitter<ChannelEvents>} */
export class Channel extends Emitter {
  #url;
  #dialogue;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #pumping = false;
  /**
   * @type {Map<number, {resolve: (answer: import("./dialogue.js").Answer | null) => void,
   *   reject: (error: ChannelError) => void}>}
   */
  #commands = new Map();
  #unwatch;

  /** @param {ChannelOptions} options */
  constructor({ url, ...hello }) {
    super();
    this.#url = url;
    this.#dialogue = new Dialogue(
      { hello, again: againNotice(), random: Math.random }, performance.now(),
    );
    this.#unwatch = onReturn(() => this.#drive((now) => this.#dialogue.wake(now)));
    // Listeners are subscribed by whoever has made the channel; nothing may happen before.
    queueMicrotask(() => this.#drive(() => {}));
  }

  /** @returns {ChannelState} */
  get state() {
    return this.#dialogue.state;
  }

  /**
   * Asks the server for something; survives reconnections. Resolves with the answer, rejects with
   * ChannelError.
   *
   * @param {Command["type"]} type
   * @param {CommandFields} [fields]
   * @returns {Promise<import("./dialogue.js").Answer | null>}
   */
  command(type, fields = {}) {
    return new Promise((resolve, reject) => {
      this.#drive((now) => {
        this.#commands.set(this.#dialogue.command(type, fields, now), { resolve, reject });
      });
    });
  }

  /**
   * Kept, and repeated after a reconnect, until the other side has it.
   *
   * @param {string} to participant
   * @param {string} data
   */
  signal(to, data) {
    this.#drive((now) => this.#dialogue.signal(to, data, now));
  }

  /**
   * Neither kept nor repeated.
   *
   * @param {string} to participant
   * @param {string} data
   */
  notice(to, data) {
    this.#drive(() => this.#dialogue.notice(to, data));
  }

  /** For good. Commands under way are rejected with `closed`. */
  close() {
    this.#drive(() => this.#dialogue.close());
  }

  /** @param {(now: number) => void} input */
  #drive(input) {
    input(performance.now());
    // A listener that asks for something while outputs are handed on finds its place in the loop below.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (let outputs = this.#dialogue.poll(); outputs.length; outputs = this.#dialogue.poll()) {
        for (const output of outputs) this.#carryOut(output);
      }
    } finally {
      this.#pumping = false;
    }
    this.#arm();
  }

  /** @param {import("./dialogue.js").Output} output */
  #carryOut(output) {
    switch (output.type) {
      case "connect":
        this.#connect();
        return;
      case "disconnect":
        this.#disconnect();
        return;
      case "send":
        if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(output.text);
        return;
      case "settled": {
        const command = this.#commands.get(output.id);
        this.#commands.delete(output.id);
        if (output.error) command?.reject(output.error);
        else command?.resolve(output.answer);
        return;
      }
      case "event":
        this.emit(output.name, .../** @type {[any]} */ (output.args));
        return;
    }
  }

  #connect() {
    this.#disconnect();
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    /** @param {(now: number) => void} input */
    const mine = (input) => {
      if (this.#socket === socket) this.#drive(input);
    };
    socket.onopen = () => mine((now) => {
      if (socket.protocol === SUBPROTOCOL) this.#dialogue.opened(now);
      else this.#dialogue.closed(1002, now);
    });
    socket.onmessage = ({ data }) => mine((now) => this.#dialogue.received(String(data), now));
    socket.onclose = ({ code }) => mine((now) => this.#dialogue.closed(code, now));
  }

  #disconnect() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #arm() {
    clearTimeout(this.#timer);
    const now = performance.now();
    const due = this.#dialogue.nextTimeout(now);
    if (due === null) {
      this.#unwatch();
      return;
    }
    this.#timer = setTimeout(
      () => this.#drive((at) => this.#dialogue.handleTimer(at)), Math.max(0, due - now),
    );
  }
}

/**
 * Connects at once.
 *
 * @param {ChannelOptions} options
 * @returns {Channel}
 */
export function createChannel(options) {
  return new Channel(options);
}

/**
 * Calls when the network has come back or changed, or when the page is looked at again.
 *
 * @param {() => void} listener
 * @returns {() => void} stops it
 */
function onReturn(listener) {
  const visible = () => {
    if (document.visibilityState === "visible") listener();
  };
  window.addEventListener("online", listener);
  window.addEventListener("pageshow", listener);
  document.addEventListener("visibilitychange", visible);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("pageshow", listener);
    document.removeEventListener("visibilitychange", visible);
  };
}
