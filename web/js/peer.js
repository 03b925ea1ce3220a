// @ts-check
/** Everybody this page talks to: who is admitted gets an exchange and a connection, who goes loses them. */
import { Emitter } from "./emitter.js";
import { onNetworkChange } from "./network.js";
import { isInitiator } from "./partner.js";
import { Party } from "./party.js";
import { Spares } from "./spares.js";
import { Standings } from "./standings.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./connection.js").Kind} Kind
 * @typedef {import("./connection.js").PeerState} PeerState
 * @typedef {import("./content.js").FrameKey} FrameKey
 * @typedef {import("./content.js").Media} Media
 * @typedef {import("./iceservers.js").IceServers} IceServers
 * @typedef {import("./protocol.js").ParticipantView} ParticipantView
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").Role} Role
 * @typedef {import("./sealing.js").RefusalReason} RefusalReason
 *
 * @typedef {object} PeersOptions
 * @property {Channel} channel
 * @property {{participant: string, role: Role}} self from `welcome`
 * @property {string} room from GET /api/v1/link
 * @property {Uint8Array | null} linkSecret 16 bytes of the link's `~{secret}`, or null
 * @property {IceServers} iceServers
 * @property {RTCIceTransportPolicy} iceTransportPolicy
 * @property {RTCCertificate} [certificate] of this page load; made when absent
 * @property {boolean} [groups] whether this browser can seal frames
 *
 * @typedef {object} PeersEvents
 * @property {[event: {participant: string, stream: MediaStream}]} track once per connection; the stream
 *   has an audio and a video track from the start
 * @property {[event: {participant: string, stream: MediaStream, on: boolean}]} screen on: it is shown now
 * @property {[event: {participant: string, state: PeerState}]} connection
 * @property {[event: {participant: string, path: "direct" | "relay"}]} path
 * @property {[event: {participant: string, channels: import("./datachannels.js").DataChannels}]} data
 *   open channels of a new connection
 * @property {[event: {participant: string, audio: boolean, video: boolean}]} media
 * @property {[event: {participant: string, verified: "link" | "code", code: string}]} security code:
 *   six digits
 * @property {[participant: string]} open sealed messages reach this one
 * @property {[participant: string]} lost they do not, for the present
 * @property {[event: {participant: string, key: FrameKey}]} key
 * @property {[event: {participant: string, from: "p2p" | "sfu"}]} moved this one takes our media from there
 * @property {[event: {participant: string, receipt: string}]} receipt of this one's consent; not yet checked
 * @property {[event: {participant: string, reason: RefusalReason}]} refused the connection is closed and
 *   stays so until `retry`
 */

/** Signals of people the room has not shown yet; it comes first unless something is amiss. */
const EARLY_PEOPLE = 8;
const EARLY_SIGNALS = 16;
const EARLY_KEYS = 4;

/** How long after the keys a receipt is handed over, ms: what connects is in more of a hurry. */
const RECEIPT_PAUSE = 1_500;

/** @extends {Emitter<PeersEvents>} */
export class Peers extends Emitter {
  #options;
  /** @type {Map<string, Party>} */
  #parties = new Map();
  #standings = new Standings();
  /** @type {Map<string, string[]>} */
  #early = new Map();
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  /** @type {Media} */
  #media = { audio: false, video: false };
  #mediaTold = true;
  /** @type {MediaStream | null} */
  #screen = null;
  #receipt = "";
  #prewarmed = false;
  #spares;
  /** @type {RoomView | null} */
  #room = null;
  #toldConnected = false;
  /** Whether media goes straight to the others. */
  #direct = true;
  /** @type {Map<string, PeerState>} */
  #states = new Map();
  /** Since the last connection. @type {Map<string, number>} */
  #failures = new Map();
  /** Of frames, that have come before anybody asked. @type {Map<string, FrameKey[]>} */
  #keys = new Map();
  #keysTaken = false;
  #closed = false;
  /** @type {(() => void)[]} */
  #leave = [];

  /** @param {PeersOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    const { channel, certificate, linkSecret, iceServers, iceTransportPolicy } = options;
    this.#spares = new Spares({
      certificate, iceServers, iceTransportPolicy, tracks: this.#tracks,
      hasSecret: linkSecret !== null, initiator: options.self.role === "host",
    });
    this.#leave = [
      channel.on("signal", ({ from, data }) => this.#signaled(from, data)),
      channel.on("welcome", () => this.#reconnected()),
      channel.on("overflow", (to) => this.#overflowed(to)),
      iceServers.on("change", ({ renewed }) => this.#newIceServers(renewed)),
      onNetworkChange(() => this.#networkChanged()),
    ];
  }

  /**
   * Makes a connection ahead, with these tracks, so that admission costs no time. Sends nothing.
   *
   * @param {MediaStream | null} stream null: neither microphone nor camera
   * @returns {Promise<void>} when it is ready
   */
  async prewarm(stream) {
    this.#prewarmed = true;
    // At once: after a reload the first room already takes the connection.
    await Promise.all([this.setLocalStream(stream), this.#spares.prepare()]);
  }

  /** @param {MediaStream | null} stream its tracks replace those sent so far, without renegotiation */
  async setLocalStream(stream) {
    await Promise.all([
      this.replaceTrack("audio", stream?.getAudioTracks()[0] ?? null),
      this.replaceTrack("video", stream?.getVideoTracks()[0] ?? null),
    ]);
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(kind, track) {
    if (this.#tracks[kind] === track) return;
    this.#tracks[kind] = track;
    await Promise.all([
      this.#spares.replaceTrack(kind, track),
      ...[...this.#parties.values()].map((party) => party.replaceTrack(kind, track)),
    ]);
  }

  /** @param {MediaStream | null} screen our own, shown to everybody to whom media goes straight */
  showScreen(screen) {
    this.#screen = screen;
    for (const party of this.#parties.values()) party.showScreen(screen);
  }

  /** @param {Media} media whether microphone and camera are on; told to all */
  setMedia({ audio, video }) {
    if (this.#media.audio === audio && this.#media.video === video) return;
    this.#media = { audio, video };
    // While the server is away only the last state is worth keeping.
    this.#mediaTold = this.#options.channel.state === "open";
    if (this.#mediaTold) for (const party of this.#parties.values()) party.tellMedia();
  }

  /** @param {string} receipt of the own consent; handed to every host, again after a reload of theirs */
  setReceipt(receipt) {
    this.#receipt = receipt;
    for (const party of this.#parties.values()) this.#handReceipt(party);
  }

  /** @param {Party} party */
  #handReceipt(party) {
    if (party.role === "host" && party.open && this.#receipt !== "") {
      party.send({ receipt: this.#receipt });
    }
  }

  /** @param {RoomView} room opens exchanges with those admitted, closes those gone */
  updateRoom(room) {
    if (this.#closed) return;
    this.#room = room;
    const others = this.#othersIn(room);
    const present = new Set(others.map(({ id }) => id));
    for (const [id, party] of this.#parties) {
      if (present.has(id)) continue;
      this.#parties.delete(id);
      this.#states.delete(id);
      this.#failures.delete(id);
      this.#keys.delete(id);
      party.close();
      this.emit("connection", { participant: id, state: "closed" });
    }
    this.#direct = room.media.mode === "p2p";
    for (const other of others) {
      const party = this.#parties.get(other.id) ?? this.#welcome(other);
      party.setDirect(this.#direct);
      party.seen(other.instance, other.connected);
      for (const data of this.#early.get(other.id) ?? []) party.receive(data);
      this.#early.delete(other.id);
    }
    if (room.you === "waiting") this.#toldConnected = false;
    const wanted = this.#options.self.role === "host"
      ? room.participants.some(({ status }) => status === "waiting")
      : room.you === "waiting";
    if (wanted && this.#prewarmed && this.#direct) void this.#spares.prepare().catch(() => {});
  }

  /** @param {RoomView} room @returns {boolean} whether `updateRoom` would begin to connect to somebody */
  meets(room) {
    return this.#othersIn(room).some(({ id, connected }) => connected && !this.#parties.has(id));
  }

  /** @param {RoomView} room */
  #othersIn(room) {
    if (!isIn(room.you)) return [];
    return room.participants.filter(({ id, status }) => id !== this.#options.self.participant && isIn(status));
  }

  /**
   * A person asks to start again after a refusal.
   *
   * @param {string} participant
   */
  retry(participant) {
    this.#standings.forgive(participant);
    this.#parties.get(participant)?.retry();
  }

  /**
   * For whoever hands out keys of frames: from now on keys of others are told as they come.
   *
   * @returns {{open: string[], connected: string[], keys: [string, FrameKey[]][]}} to whom sealed messages
   *   can be sent, with whom there is a connection, and the keys that have come so far
   */
  takeKeys() {
    this.#keysTaken = true;
    const keys = [...this.#keys];
    this.#keys.clear();
    return {
      open: [...this.#parties].filter(([, party]) => party.open).map(([id]) => id),
      connected: [...this.#states].filter(([, state]) => state === "connected").map(([id]) => id),
      keys,
    };
  }

  /** @param {string} participant @param {import("./content.js").Content} content */
  send(participant, content) {
    this.#parties.get(participant)?.send(content);
  }

  /** @returns {Promise<import("./path.js").Reports[]>} of every connection with media */
  reports() {
    return Promise.all([...this.#parties.values()].map((party) => party.reports()));
  }

  /** Media of this one goes another way by now. @param {string} participant */
  rest(participant) {
    this.#states.delete(participant);
    this.#parties.get(participant)?.rest();
  }

  /** Closes every connection; local tracks go on. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const leave of this.#leave) leave();
    for (const party of this.#parties.values()) party.close();
    this.#parties.clear();
    this.#early.clear();
    this.#spares.close();
    this.clear();
  }

  /** @param {ParticipantView} other */
  #welcome({ id, role }) {
    const { channel, self, room, linkSecret } = this.#options;
    const party = new Party({
      partner: {
        room, self, other: { participant: id, role },
        linkSecret: linkSecret && new Uint8Array(linkSecret),
        takeShare: () => this.#spares.takeShare(),
        random: (length) => crypto.getRandomValues(new Uint8Array(length)),
        now: () => performance.now(),
        standings: this.#standings,
      },
      direct: this.#direct,
      takeConnection: (initiator) => this.#spares.takeConnection(initiator),
      makeDataConnection: () =>
        this.#spares.makeDataConnection(isInitiator(self, { participant: id, role })),
      media: () => this.#media,
      signal: (data) => channel.signal(id, data),
      notice: (data) => channel.notice(id, data),
    });
    this.#parties.set(id, party);
    party.showScreen(this.#screen);
    party.on("screen", (screen) => this.emit("screen", { participant: id, ...screen }));
    party.on("stream", (stream) => this.emit("track", { participant: id, stream }));
    party.on("path", (path) => this.emit("path", { participant: id, path }));
    party.on("data", (channels) => this.emit("data", { participant: id, channels }));
    party.on("media", (media) => this.emit("media", { participant: id, ...media }));
    party.on("security", (security) => this.emit("security", { participant: id, ...security }));
    party.on("refused", (reason) => this.emit("refused", { participant: id, reason }));
    party.on("open", () => {
      this.emit("open", id);
      setTimeout(() => this.#handReceipt(party), RECEIPT_PAUSE);
    });
    party.on("receipt", (receipt) => this.emit("receipt", { participant: id, receipt }));
    party.on("lost", () => {
      this.#keys.delete(id);
      this.emit("lost", id);
    });
    party.on("key", (key) => {
      if (this.#keysTaken) this.emit("key", { participant: id, key });
      else this.#keys.set(id, [...(this.#keys.get(id) ?? []), key].slice(-EARLY_KEYS));
    });
    party.on("moved", (from) => this.emit("moved", { participant: id, from }));
    party.on("state", (state) => {
      this.#states.set(id, state);
      this.emit("connection", { participant: id, state });
      // What was connected once may have lost its network for a while: one failure more.
      if (state === "connected") this.#failures.set(id, -1);
      if (state === "connected") this.mediaFlows();
      if (state === "failed") this.#failed(id);
    });
    return party;
  }

  /** @param {string} from @param {string} data */
  #signaled(from, data) {
    const party = this.#parties.get(from);
    if (party) {
      party.receive(data);
      return;
    }
    const early = this.#early.get(from) ?? [];
    if (early.length >= EARLY_SIGNALS || (early.length === 0 && this.#early.size >= EARLY_PEOPLE)) return;
    this.#early.set(from, [...early, data]);
  }

  #reconnected() {
    for (const party of this.#parties.values()) {
      party.reconnected();
      if (!this.#mediaTold) party.tellMedia();
    }
    this.#mediaTold = true;
  }

  /** @param {string} to what was kept for this one was given up: its counters have a gap now */
  #overflowed(to) {
    const party = this.#parties.get(to);
    if (party && !party.refused) party.retry();
  }

  /** Tells the server, once, that somebody can be seen or heard. */
  mediaFlows() {
    if (this.#toldConnected || this.#room?.you !== "admitted") return;
    this.#toldConnected = true;
    this.#options.channel.command("connected").catch(() => {
      // Sent back, or away, in the same moment: said again when it is true again.
      this.#toldConnected = false;
    });
  }

  /**
   * Neither a direct path nor a relay: a forwarder may be reached by both.
   *
   * @param {string} participant
   */
  #failed(participant) {
    const party = this.#parties.get(participant);
    const failures = (this.#failures.get(participant) ?? 0) + 1;
    this.#failures.set(participant, failures);
    if (failures < 1 || !this.#direct || !party?.connected || !this.#options.groups) return;
    // Refused where there is no forwarder, or another topology: the connection goes on trying by itself.
    this.#options.channel.command("p2p_failed", { participant }).catch(() => {});
  }

  /** @param {boolean} renewed */
  #newIceServers(renewed) {
    for (const party of this.#parties.values()) {
      party.setIceServers(this.#options.iceServers.current, renewed);
    }
    this.#spares.renew();
  }

  #networkChanged() {
    for (const party of this.#parties.values()) party.restartIce();
    this.#spares.renew();
  }
}

/**
 * @param {PeersOptions} options
 * @returns {Peers}
 */
export function createPeers(options) {
  return new Peers(options);
}

/** @param {import("./protocol.js").Status} status */
function isIn(status) {
  return status === "admitted" || status === "in_call";
}
