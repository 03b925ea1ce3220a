// @ts-check
/** Everybody this page talks to: one sealed exchange and one RTCPeerConnection per participant. */
import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").Role} Role
 *
 * @typedef {object} PeersOptions
 * @property {Channel} channel
 * @property {{participant: string, role: Role}} self from `welcome`
 * @property {string} room from GET /api/v1/link
 * @property {Uint8Array | null} linkSecret 16 bytes of the link's `~{secret}`, or null
 * @property {RTCIceServer[]} iceServers
 * @property {RTCIceTransportPolicy} iceTransportPolicy
 * @property {RTCCertificate} [certificate] of this page load; made when absent
 *
 * @typedef {"connecting" | "connected" | "disconnected" | "failed" | "closed"} PeerState
 * @typedef {"commit_mismatch" | "no_common_suite" | "unsealing_failed" | "fingerprint_mismatch"
 *   | "malformed" | "replayed" | "out_of_order" | "secret_missing"} RefusalReason
 *
 * @typedef {object} PeersEvents
 * @property {[event: {participant: string, stream: MediaStream}]} track once per connection; the stream
 *   has an audio and a video track from the start
 * @property {[event: {participant: string, state: PeerState}]} connection
 * @property {[event: {participant: string, path: "direct" | "relay"}]} path
 * @property {[event: {participant: string, audio: boolean, video: boolean}]} media
 * @property {[event: {participant: string, verified: "link" | "code", code: string}]} security code:
 *   six digits
 * @property {[event: {participant: string, reason: RefusalReason}]} refused the connection is closed and
 *   stays so until `retry`
 */

/** @extends {Emitter<PeersEvents>} */
export class Peers extends Emitter {
  /** @param {PeersOptions} options */
  constructor(options) {
    super();
    this.options = options;
  }

  /**
   * Makes a connection ahead, with these tracks, so that admission costs no time. Sends nothing.
   *
   * @param {MediaStream | null} stream null: neither microphone nor camera
   * @returns {Promise<void>}
   */
  async prewarm(stream) {
    void stream;
  }

  /** @param {MediaStream | null} stream its tracks replace those sent so far, without renegotiation */
  async setLocalStream(stream) {
    void stream;
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(kind, track) {
    void [kind, track];
  }

  /** @param {{audio: boolean, video: boolean}} media whether microphone and camera are on; told to all */
  setMedia(media) {
    void media;
  }

  /** @param {RTCIceServer[]} iceServers fresh credentials, for connections made from now on */
  setIceServers(iceServers) {
    void iceServers;
  }

  /** @param {RoomView} room opens exchanges with those admitted, closes those gone */
  updateRoom(room) {
    void room;
  }

  /**
   * A person asks to start again after a refusal.
   *
   * @param {string} participant
   */
  retry(participant) {
    void participant;
  }

  /** Closes every connection; local tracks go on. */
  close() {}
}

/**
 * @param {PeersOptions} options
 * @returns {Peers}
 */
export function createPeers(options) {
  return new Peers(options);
}
