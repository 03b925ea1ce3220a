// @ts-check
/** The page's WebSocket to the server: hello, resume, reconnect, acknowledge, keep until delivered. */
import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./protocol.js").Welcome} Welcome
 * @typedef {import("./protocol.js").RoomView} RoomView
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
 * @property {[to: string]} resend kept signals to this participant are about to be sent again (peer.js)
 * @property {[bye: {reason: import("./protocol.js").ByeReason}]} bye
 * @property {[error: ChannelError]} error not for errors that answer a command
 * @property {[closing: {closes_at: number}]} closing
 * @property {[state: ChannelState]} state
 */

/** @extends {Emitter<ChannelEvents>} */
export class Channel extends Emitter {
  /** @type {ChannelState} */
  state = "connecting";

  /** @param {ChannelOptions} options */
  constructor(options) {
    super();
    this.options = options;
  }

  /**
   * Asks the server for something; survives reconnections. Resolves at `ok`, rejects with ChannelError.
   *
   * @param {"admit" | "decline" | "back_to_waiting" | "remove" | "lock" | "end" | "leave" | "connected"} type
   * @param {{participant?: string, locked?: boolean}} [fields]
   * @returns {Promise<void>}
   */
  command(type, fields) {
    return Promise.reject({ code: "closed", detail: `${type} ${fields}`, fatal: true });
  }

  /**
   * @param {string} to participant
   * @param {string} data
   */
  signal(to, data) {
    void [to, data];
  }

  close() {}
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
