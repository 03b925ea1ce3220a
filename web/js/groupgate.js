// @ts-check
/** The way from a visit to its group, which is loaded when the call first becomes one. */
import { toBase64url } from "./bytes.js";
import { makeLink } from "./link.js";
import { loadSurely, notCome, reachable, setMissing } from "./missing.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./group.js").Group} Group
 * @typedef {import("./group.js").GroupOptions} GroupOptions
 * @typedef {import("./protocol.js").RoomView} RoomView
 *
 * @typedef {(tiles: readonly import("./protocol.js").Tile[]) => readonly import("./protocol.js").Tile[]} Refine
 *
 * @typedef {object} GateOptions
 * @property {(event: import("./callstate.js").CallEvent
 *   | {type: "mute_answered"} | {type: "sharing", sharing: boolean}) => void} dispatch
 * @property {(name: string, stream: MediaStream | null) => void} show a participant's stream, or with
 *   " screen" behind the name a screen's; null: none any more
 * @property {import("./link.js").Link} link
 * @property {import("./ownscreen.js").ScreenWay} pairWay of a screen without a forwarder
 */

/** Without it a browser cannot take part in a group: what a forwarder passes on must be sealed. */
export function canSealFrames() {
  return "RTCRtpScriptTransform" in globalThis;
}

export class GroupGate {
  #options;
  /** @type {GroupOptions | null} */
  #visit = null;
  /** @type {Group | null} */
  #group = null;
  #loading = false;
  /** @type {import("./ownscreen.js").OwnScreen | null} */
  #screen = null;
  /** @type {RoomView | null} */
  #room = null;
  /** @type {readonly import("./protocol.js").Tile[]} */
  #tiles = [];
  /** @type {Refine} */
  #refine = (tiles) => tiles;
  /** While there is no group: what it is to send in place of the camera. @type {MediaStreamTrack | null} */
  #picture = null;
  #pictureKnown = false;

  /** @param {GateOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** What is shown, by participant. @type {Map<string, MediaStream>} */
  #screens = new Map();

  /** What a person does in a group. @type {import("./callview.js").GroupActions} */
  actions = {
    show: (tiles) => {
      this.#tiles = tiles;
      this.#wish();
    },
    share: () => void this.#share(),
    keepSound: () => this.#options.dispatch({ type: "mute_answered" }),
  };

  /** @param {GroupOptions} options of the entry that has begun */
  enter(options) {
    this.#visit = options;
  }

  /** @param {RoomView} room */
  updateRoom(room) {
    this.#room = room;
    if (this.#group) this.#group.updateRoom(room);
    else if (room.media.mode === "sfu") void this.#load();
    this.#chooseWay();
  }

  /**
   * A connection to somebody without a forwarder.
   *
   * @param {string} participant
   * @param {MediaStream} stream
   * @returns {boolean} whether it is shown when something comes over it; else it may be shown at once
   */
  direct(participant, stream) {
    this.#group?.direct(participant, stream);
    return this.#group !== null;
  }

  /**
   * A screen that comes, or no longer comes, by a connection or by a forwarder: while the call moves between
   * them the end of the one may be heard of after the beginning of the other.
   *
   * @param {string} participant
   * @param {MediaStream} stream
   * @param {boolean} on
   */
  showScreen(participant, stream, on) {
    if (!on && this.#screens.get(participant) !== stream) return;
    if (on) this.#screens.set(participant, stream);
    else this.#screens.delete(participant);
    this.#options.show(`${participant} screen`, on ? stream : null);
    this.#options.dispatch({ type: "peer_screen", participant, screen: on });
  }

  /** Whether this one's media comes from a forwarder. @param {string} participant */
  carries(participant) {
    return this.#group?.carries(participant) ?? false;
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  replaceTrack(kind, track) {
    this.#group?.replaceTrack(kind, track);
    if (kind === "audio") return;
    this.#picture = track;
    this.#pictureKnown = true;
  }

  /** @param {Refine} refine makes of what is shown what is asked for, from now on */
  refine(refine) {
    this.#refine = refine;
    this.#wish();
  }

  #wish() {
    this.#group?.show(this.#refine(this.#tiles));
  }

  /** @returns {Promise<import("./path.js").Reports | null>} null: nothing goes over a forwarder */
  async reports() {
    return this.#room?.media.mode === "sfu" ? await this.#group?.reports() ?? new Map() : null;
  }

  /** @param {Channel | null} channel @returns {Promise<string>} a link for a guest, or "" */
  async inviteGuest(channel) {
    const answer = await channel?.command("invite_guest").catch(() => null);
    if (answer?.type !== "guest_link") return "";
    const { secret } = this.#options.link;
    const base = `${location.origin}/join`;
    return secret === null ? `${base}#${answer.token}`
      : makeLink(base, answer.token, toBase64url(secret));
  }

  close() {
    this.#screen?.take(null);
    this.#group?.close();
    this.#group = null;
    this.#visit = null;
    this.#room = null;
    this.#pictureKnown = false;
    this.#screens.clear();
  }

  async #load() {
    const visit = this.#visit;
    if (!visit || this.#loading) return;
    this.#loading = true;
    try {
      const loaded = await loadSurely("group", () => import("./group.js"), () => visit === this.#visit);
      if (loaded && visit === this.#visit && this.#room) this.#begin(new loaded.Group(visit), this.#room);
    } catch (error) {
      reportError(error);
    } finally {
      this.#loading = false;
    }
    // Left and entered again meanwhile.
    if (visit !== this.#visit && this.#room) this.updateRoom(this.#room);
  }

  /** @param {Group} group @param {RoomView} room */
  #begin(group, room) {
    const { dispatch, show } = this.#options;
    group.on("stream", ({ participant, stream }) => show(participant, stream));
    group.on("screen", ({ participant, stream, on }) => this.showScreen(participant, stream, on));
    group.on("connection", (event) => dispatch({ type: "peer_connection", ...event }));
    group.on("path", (event) => dispatch({ type: "peer_path", ...event }));
    group.on("speakers", (speaking) => dispatch({ type: "peer_speakers", speaking }));
    group.on("quality", (event) => dispatch({ type: "peer_quality", ...event }));
    this.#group = group;
    if (this.#pictureKnown) group.replaceTrack("video", this.#picture);
    this.#wish();
    group.updateRoom(room);
    this.#chooseWay();
  }

  /** Loaded with the chat, and so at hand: a browser asks for a screen only in answer to a click. */
  async #share() {
    let loaded;
    try {
      loaded = await import("./ownscreen.js");
    } catch (error) {
      if (!notCome(error)) throw error;
      if (await reachable()) setMissing("screen", true);
      return;
    }
    this.#screen ??= new loaded.OwnScreen((sharing) => this.#options.dispatch({ type: "sharing", sharing }));
    this.#chooseWay();
    await this.#screen.toggle();
  }

  #chooseWay() {
    const { pairWay } = this.#options;
    const room = this.#room;
    const inside = room?.you === "admitted" || room?.you === "in_call";
    const forwarded = this.#group && room?.media.mode === "sfu";
    this.#screen?.take(!inside ? null : forwarded ? this.#group?.screenWay ?? null : pairWay);
  }
}
