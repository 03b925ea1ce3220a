// @ts-check
/**
 * One person's visit to one room, from the link to the end: asks the API, holds the socket, the
 * connections and the devices, and turns all they say into events for the page's state.
 */
import { Alarm } from "./alarm.js";
import { ApiError, askIceServers, askLink } from "./api.js";
import { peopleOf } from "./callstate.js";
import { createChannel } from "./channel.js";
import { ChatGate } from "./chatgate.js";
import { DeviceSet } from "./devices.js";
import { canSealFrames, GroupGate } from "./groupgate.js";
import { IceServers } from "./iceservers.js";
import { createPeers } from "./peer.js";
import { keepVisit, randomName, recallVisit } from "./tabmemory.js";
import { keepTold, recallTold } from "./told.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./visitstate.js").VisitEvent} VisitEvent
 * @typedef {import("./link.js").Link} Link
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./channel.js").ChannelError} ChannelError
 * @typedef {import("./peer.js").Peers} Peers
 *
 * @typedef {object} VisitOptions
 * @property {"join" | "host"} page
 * @property {string} fragment
 * @property {Link} link
 * @property {(event: VisitEvent) => void} dispatch
 * @property {(event: {participant: string, receipt: string}) => void} [onreceipt] called with receipts of
 *   consent, not yet checked
 * @property {() => void} onstream called when a remote stream has come
 */

/** Longest wait for what makes entering quicker but is not needed for it, ms. */
const PREPARATION = 3000;
/** Longest wait for the server's word when leaving, ms. */
const FAREWELL = 2000;
/** Longest time for which the screen waits for a connection, ms: nobody notices. */
const QUIET = 150;
/** Bounds of the wait between tries while the server has trouble, ms. */
const RETRY = Object.freeze({ first: 1000, most: 15_000 });

/** May have relays. @type {ReadonlySet<import("./protocol.js").Status>} */
const INSIDE = new Set(["admitted", "in_call"]);

/** Codes on the socket that say the server has trouble for a moment. */
const STALLING = new Set(["store_unavailable", "internal", "going_away", "slow_down"]);

export class Visit {
  /**
   * Remote streams by participant, and by participant and " screen"; not part of the state, for they are no
   * values. @type {Map<string, MediaStream>}
   */
  streams = new Map();
  /** Chat and files, of which most is loaded later. */
  chat = new ChatGate(() => ({
    secret: this.memory.secret,
    memory: { files: this.memory.files, live: this.memory.live },
    remember: (memory) => this.remember(memory),
    streamOf: (person) => this.streams.get(person) ?? null,
    ownStream: this.devices.stream,
    call: {
      devices: this.devices,
      dispatch: this.options.dispatch,
      streams: this.streams,
      refine: (refine) => this.group.refine(refine),
      reports: async () => {
        const forwarded = await this.group.reports();
        return { forwarded: forwarded !== null, all: forwarded ? [forwarded] : await this.#peers?.reports() ?? [] };
      },
      sendPicture: (sent) => this.#sendPicture(sent),
    },
  }));
  /** @type {Channel | null} */
  #channel = null;
  /** @type {Peers | null} */
  #peers = null;
  #iceServers;
  /** @type {RTCCertificate | undefined} */
  #certificate;
  /** @type {Promise<void> | null} */
  #prepared = null;
  #receipt = "";
  /** Where the server wants to know. @type {import("./callquality.js").CallQuality | null} */
  #quality = null;
  /** Whether the camera's picture goes to the others; a line too thin for it may be the reason. */
  #pictureSent = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #checkTimer;
  #opening = new Alarm();
  /** @type {number} */
  #retryDelay = RETRY.first;

  /** What the screen waits for, see `#beQuiet`. @type {Promise<void> | null} */
  quiet = null;
  #loud = () => {};

  /** @param {VisitOptions} options */
  constructor(options) {
    this.options = options;
    this.memory = recallVisit(options.page, options.fragment);
    this.#iceServers = new IceServers({
      ask: () => askIceServers(options.link.token, this.memory.secret),
    });
    this.devices = new DeviceSet(this.memory);
    this.group = new GroupGate({
      dispatch: options.dispatch,
      link: options.link,
      pairWay: { sound: true, send: (stream) => this.#peers?.showScreen(stream) },
      show: (name, stream) => {
        if (stream) this.streams.set(name, stream);
        else this.streams.delete(name);
        options.onstream();
      },
    });
    this.devices.on("state", (devices) => {
      options.dispatch({ type: "devices", devices });
      this.remember(this.devices.choice);
      this.#tellMedia();
    });
    this.devices.on("track", (kind, track) => {
      if (kind === "audio" || this.#pictureSent) this.#replaceTrack(kind, track);
    });
    this.remember({});
    const told = recallTold(options.link.room);
    if (told !== null) options.dispatch({ type: "told", told });
  }

  /**
   * Host: words to those who wait.
   * @param {{text: string, minutes?: number, participant?: string}} words
   * @returns {Promise<string>} "" or the code of the refusal
   */
  tell(words) {
    return this.command("tell", words);
  }

  /** @param {Partial<import("./tabmemory.js").Visit>} change kept for a reload of this tab */
  remember(change) {
    this.memory = { ...this.memory, ...change };
    keepVisit(this.options.page, this.memory);
  }

  /** Asks the server about the link, again and again while it has trouble or the link is too early. */
  async check() {
    clearTimeout(this.#checkTimer);
    this.#opening.stop();
    const { dispatch, link, page } = this.options;
    const asked = Date.now();
    try {
      const view = await askLink(link.token);
      if ((view.role === "host") !== (page === "host")) {
        location.replace(`/${view.role === "host" ? "host" : "join"}#${this.options.fragment}`);
        return;
      }
      this.#retryDelay = RETRY.first;
      const skew = view.server_time - (asked + Date.now()) / 2;
      const { provider, opens_at: opensAt, closes_at: closesAt } = view;
      dispatch({ type: "link", appointment: { provider, opensAt, closesAt }, skew, measured: view.call_quality });
      if (view.call_quality) void this.#measure();
    } catch (error) {
      const refusal = error instanceof ApiError ? error : new ApiError("unreachable");
      if (refusal.code === "token_not_open_yet") {
        this.#waitFor(refusal.opensAt, refusal.serverTime ? refusal.serverTime - Date.now() : 0);
      } else if (refusal.passing) {
        const delay = Math.max(refusal.retryAfter * 1000, this.#retryDelay);
        this.#retryDelay = Math.min(this.#retryDelay * 2, RETRY.most);
        dispatch({ type: "trouble", retryAt: Date.now() + delay });
        this.#checkTimer = setTimeout(() => void this.check(), delay);
      } else {
        dispatch({ type: "refused", code: refusal.code });
      }
    }
  }

  async #measure() {
    const { CallQuality } = await import("./callquality.js");
    this.#quality ??= new CallQuality(this.options.link.token);
  }

  /**
   * Too early: asks again by itself when the waiting room opens.
   * @param {number} opensAt ms since 1970
   * @param {number} skew ms
   */
  #waitFor(opensAt, skew) {
    this.options.dispatch({ type: "early", opensAt, skew });
    clearTimeout(this.#checkTimer);
    this.#opening.set(Math.max(Date.now() + 1000, opensAt - skew), () => void this.check());
  }

  /** Fetches and makes ahead all that a call will need. Nothing of it goes to anybody else. */
  prepare() {
    this.#prepared ??= Promise.all([
      // A host is let in by the link; who waits is given no relay.
      this.options.page === "host" ? this.#iceServers.refresh() : null,
      this.#makeCertificate(),
    ]).then(() => {});
    return this.#prepared;
  }

  /**
   * Goes in. For a client this is the waiting room, for a host the room itself.
   * @param {{name?: string, reopen?: boolean}} [how]
   */
  async enter({ name, reopen } = {}) {
    this.#release();
    this.remember({ entered: true, ...(name === undefined ? {} : { name }) });
    await Promise.race([this.prepare(), after(PREPARATION)]);
    if (!this.memory.entered || this.#channel !== null) return;
    const { dispatch, link } = this.options;
    const channel = createChannel({
      url: `${location.protocol === "http:" ? "ws" : "wss"}://${location.host}/ws`,
      token: link.token,
      secret: this.memory.secret,
      // The connections of an earlier entry are gone, so for the others this is a new page.
      instance: randomName(),
      ...(this.options.page === "join" ? { name: this.memory.name } : {}),
      ...(reopen ? { reopen: true } : {}),
      groups: canSealFrames(),
    });
    this.#channel = channel;
    let self = "";
    channel.on("state", (state) => dispatch({ type: "channel", channel: state }));
    channel.on("welcome", (welcome) => {
      self = welcome.participant;
      dispatch({ type: "welcome", welcome, skew: welcome.server_time - Date.now() });
      this.#peers ??= this.#makePeers(channel, welcome);
    });
    channel.on("room", (room) => {
      if (this.#peers?.meets(room)) this.#beQuiet();
      dispatch({ type: "room", room });
      if (INSIDE.has(room.you)) this.#iceServers.want();
      else this.#iceServers.stop();
      this.#peers?.updateRoom(room);
      this.chat.setPeople(peopleOf([], room, self).map(({ id }) => id));
      this.group.updateRoom(room);
      const others = room.participants.filter(({ id, status }) => id !== self && INSIDE.has(status));
      this.#quality?.people(INSIDE.has(room.you) ? others.length + 1 : 0);
    });
    channel.on("mute", () => dispatch({ type: "mute_asked" }));
    channel.on("told", ({ text, at, minutes, by }) => {
      if (by) return dispatch({ type: "greeted", text });
      const told = { text, at, ...(minutes === undefined ? {} : { minutes }) };
      keepTold(link.room, told);
      dispatch({ type: "told", told });
    });
    channel.on("bye", ({ reason }) => {
      if (reason === "going_away") return;
      this.#finish();
      dispatch({ type: "bye", reason });
    });
    channel.on("closing", ({ closes_at: at }) => dispatch({ type: "closing", at }));
    channel.on("error", (error) => this.#refused(error));
  }

  /**
   * Building a call on the screen takes as long as making the connection, in which every step waits for
   * the one before. So the connection goes first.
   */
  #beQuiet() {
    if (this.quiet !== null) return;
    this.quiet = new Promise((resolve) => {
      const timer = setTimeout(() => this.#loud(), QUIET);
      this.#loud = () => {
        clearTimeout(timer);
        this.quiet = null;
        this.#loud = () => {};
        resolve();
      };
    });
  }

  /** @returns {Promise<void>} when nothing is more urgent than what the person sees and hears */
  calm() {
    return this.quiet ?? Promise.resolve();
  }

  /** @param {string} receipt of the own consent, for the host */
  handReceipt(receipt) {
    this.#receipt = receipt;
    this.#peers?.setReceipt(receipt);
  }

  /** @param {ChannelError} error */
  #refused(error) {
    const { dispatch } = this.options;
    if (error.code === "bad_name") {
      this.#finish(false);
      dispatch({ type: "bad_name" });
    } else if (!error.fatal) {
      if (STALLING.has(error.code)) dispatch({ type: "stalled" });
      else if (error.code === "group_unsupported") dispatch({ type: "unsupported" });
    } else if (error.code === "token_not_open_yet") {
      this.#finish(false);
      this.#waitFor(error.opens_at ?? Date.now(), 0);
    } else {
      this.#finish();
      if (error.code === "taken_over") dispatch({ type: "bye", reason: "taken_over" });
      else dispatch({ type: "refused", code: error.code });
    }
  }

  /**
   * @param {Channel} channel
   * @param {import("./protocol.js").Welcome} welcome
   */
  #makePeers(channel, welcome) {
    const { dispatch, link, onstream } = this.options;
    const peers = createPeers({
      channel,
      self: { participant: welcome.participant, role: welcome.role },
      room: link.room,
      linkSecret: link.secret,
      iceServers: this.#iceServers,
      iceTransportPolicy: welcome.ice_transport_policy,
      ...(this.#certificate === undefined ? {} : { certificate: this.#certificate }),
      groups: canSealFrames(),
    });
    peers.on("receipt", (event) => this.options.onreceipt?.(event));
    peers.setReceipt(this.#receipt);
    peers.on("track", ({ participant, stream }) => {
      if (this.group.direct(participant, stream)) return;
      this.streams.set(participant, stream);
      onstream();
    });
    peers.on("screen", ({ participant, stream, on }) => this.group.showScreen(participant, stream, on));
    peers.on("connection", (event) => {
      if (event.state === "connected") this.#loud();
      if (event.state === "closed") this.streams.delete(event.participant);
      else if (this.group.carries(event.participant)) return;
      dispatch({ type: "peer_connection", ...event });
    });
    peers.on("path", (event) => {
      if (!this.group.carries(event.participant)) dispatch({ type: "peer_path", ...event });
    });
    peers.on("data", ({ participant, channels }) => this.chat.connected(participant, channels));
    peers.on("media", (event) => dispatch({ type: "peer_media", ...event }));
    peers.on("security", (event) => dispatch({ type: "peer_security", ...event }));
    peers.on("refused", (event) => dispatch({ type: "peer_refused", ...event }));
    this.#peers = peers;
    this.group.enter({
      channel, peers,
      self: welcome.participant,
      room: link.room,
      iceServers: this.#iceServers,
      iceTransportPolicy: welcome.ice_transport_policy,
      stream: this.devices.stream,
    });
    this.#tellMedia();
    void peers.prewarm(this.devices.stream).then(() => this.chat.loadWhenIdle());
    return peers;
  }

  /** @returns {Promise<string>} a link for a guest, or "" */
  inviteGuest() {
    return this.group.inviteGuest(this.#channel);
  }

  /**
   * Asks the server for something a host may do.
   * @param {import("./protocol.js").Command["type"]} type
   * @param {import("./channel.js").CommandFields} [fields]
   * @returns {Promise<string>} "" or the code of the refusal
   */
  async command(type, fields) {
    try {
      await this.#channel?.command(type, fields);
      return "";
    } catch (error) {
      return String(Reflect.get(Object(error), "code") ?? "internal");
    }
  }

  /**
   * Leaves: picture and sound stop at once, the server hears of it as soon as it can.
   * @param {"left" | "unsafe"} over
   */
  async leave(over = "left") {
    const channel = this.#channel;
    this.#channel = null;
    this.options.dispatch({ type: "leave", over });
    this.#finish();
    if (channel === null) return;
    await Promise.race([channel.command("leave").catch(() => {}), after(FAREWELL)]);
    channel.close();
  }

  /** @param {string} participant whose exchange was refused; a person wants another try */
  retryPeer(participant) {
    this.options.dispatch({ type: "peer_retry", participant });
    this.#peers?.retry(participant);
  }

  /**
   * Stops everything that belongs to the room; after the end the devices, too.
   * @param {boolean} [end]
   */
  #finish(end = true) {
    this.#release();
    this.remember({ entered: false });
    if (!end) return;
    this.devices.close();
    this.#iceServers.stop();
    this.#prepared = null;
  }

  #release() {
    this.#quality?.end();
    this.chat.end();
    this.#pictureSent = true;
    this.group.close();
    this.#peers?.close();
    this.#peers = null;
    for (const stream of this.streams.values()) {
      for (const track of stream.getTracks()) track.stop();
    }
    this.streams.clear();
    this.#channel?.close();
    this.#channel = null;
  }

  /** What of the camera is to be sent. */
  get #camera() {
    return this.#pictureSent ? this.devices.stream.getVideoTracks()[0] ?? null : null;
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  #replaceTrack(kind, track) {
    void this.#peers?.replaceTrack(kind, track);
    this.group.replaceTrack(kind, track);
  }

  /** @param {boolean} sent whether the camera's picture goes out; the camera itself stays as it is */
  #sendPicture(sent) {
    if (this.#pictureSent === sent) return;
    this.#pictureSent = sent;
    this.#replaceTrack("video", this.#camera);
    this.#tellMedia();
  }

  #tellMedia() {
    const { microphone, camera } = this.devices.state;
    this.#peers?.setMedia({ audio: microphone === "on", video: camera === "on" && this.#pictureSent });
  }

  async #makeCertificate() {
    try {
      this.#certificate = await RTCPeerConnection.generateCertificate(
        /** @type {EcKeyGenParams} */ ({ name: "ECDSA", namedCurve: "P-256" }));
    } catch {
      this.#certificate = undefined;
    }
  }
}

/** @param {number} ms */
function after(ms) {
  return /** @type {Promise<void>} */ (new Promise((resolve) => {
    setTimeout(resolve, ms);
  }));
}
