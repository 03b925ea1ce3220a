// @ts-check
/**
 * A group: the connection to the forwarder, the keys of frames, and the moves from one way to another.
 * Loaded when a call first becomes one.
 */
import { Emitter } from "./emitter.js";
import { FrameKeeper } from "./framekeeper.js";
import { KeyHandout } from "./keyhandout.js";
import { Moves } from "./moves.js";
import { onNetworkChange } from "./network.js";
import { wantedOf } from "./sections.js";
import { SfuConnection } from "./sfuconnection.js";
import { Streams } from "./streams.js";
import { Wishes } from "./wishes.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./connection.js").PeerState} PeerState
 * @typedef {import("./frames.js").Source} Source
 * @typedef {import("./iceservers.js").IceServers} IceServers
 * @typedef {import("./peer.js").Peers} Peers
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").SourceView} SourceView
 * @typedef {import("./protocol.js").Tile} Tile
 * @typedef {"good" | "weak" | "bad"} Quality
 *
 * @typedef {object} GroupOptions
 * @property {Channel} channel
 * @property {Peers} peers
 * @property {string} self
 * @property {string} room
 * @property {IceServers} iceServers
 * @property {RTCIceTransportPolicy} iceTransportPolicy
 * @property {MediaStream} stream own microphone and camera
 *
 * @typedef {object} GroupEvents
 * @property {[event: {participant: string, stream: MediaStream}]} stream to be shown in place of the former
 * @property {[event: {participant: string, stream: MediaStream, on: boolean}]} screen
 * @property {[event: {participant: string, state: PeerState}]} connection
 * @property {[event: {participant: string, path: "direct" | "relay" | "sfu"}]} path
 * @property {[speaking: readonly string[]]} speakers loudest first
 * @property {[event: {participant: string, quality: Quality}]} quality
 */

/** Between two looks at how well everything comes, ms. */
const QUALITY_LOOK = 2_000;
/** Before another connection is tried in place of one that was refused, ms; doubled up to the longest. */
const AGAIN = Object.freeze({ first: 500, longest: 8_000 });
/** In the third look without anything coming the connection is given up. */
const HOPELESS = 3;

/** @extends {Emitter<GroupEvents>} */
export class Group extends Emitter {
  #options;
  #keeper;
  #keys;
  #moves;
  /** @type {RoomView | null} */
  #room = null;
  /** Of the connection that is in use or being made. @type {{generation: number, way: number} | null} */
  #present = null;
  /** @type {Map<number, SfuConnection>} */
  #connections = new Map();
  #ways = 0;
  /** @type {SourceView[]} */
  #sources = [];
  /** @type {Record<Source, MediaStreamTrack | null>} */
  #tracks = { microphone: null, camera: null, screen: null, screen_audio: null };
  /** With whom there was a connection without a forwarder when the group began. @type {Set<string>} */
  #connected;
  /** By participant, and by participant and " screen". */
  #streams = new Streams();
  /** Of connections without a forwarder, not shown yet. @type {Map<string, MediaStream>} */
  #direct = new Map();
  /** @type {Map<string, "direct" | "relay">} */
  #paths = new Map();
  /** @type {Map<string, PeerState>} */
  #states = new Map();
  /** @type {Map<string, Quality>} */
  #qualities = new Map();
  /** @type {readonly Tile[]} */
  #tiles = [];
  #wishes;
  /** @type {number} */
  #again = AGAIN.first;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #movesTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #againTimer;
  #qualityTimer;
  #closed = false;
  /** @type {(() => void)[]} */
  #leave;

  /** @param {GroupOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    const { channel, peers, self, room, iceServers } = options;
    this.#keeper = new FrameKeeper({ room, self });
    const { connected, ...known } = peers.takeKeys();
    this.#connected = new Set(connected);
    this.#keys = new KeyHandout({ keeper: this.#keeper, peers, ...known });
    this.#moves = new Moves((output) => this.#handleMove(output));
    this.#tracks.microphone = options.stream.getAudioTracks()[0] ?? null;
    this.#tracks.camera = options.stream.getVideoTracks()[0] ?? null;
    this.#wishes = new Wishes((tiles) => this.#wish(tiles));
    this.#qualityTimer = setInterval(() => void this.#lookAtQuality(), QUALITY_LOOK);
    this.#leave = [
      onNetworkChange(() => this.#connection?.restartIce()),
      channel.on("sources", (message) => this.#told(message)),
      channel.on("speakers", ({ generation, speaking }) => {
        if (generation === this.#present?.generation) this.emit("speakers", speaking);
      }),
      channel.on("gone", ({ generation }) => {
        if (generation !== this.#present?.generation) return;
        if (this.#room?.media.mode === "sfu") this.#later();
        else this.#end();
      }),
      () => this.#keys.close(),
      peers.on("lost", (id) => this.#moves.anew(id)),
      peers.on("path", ({ participant, path }) => this.#paths.set(participant, path)),
      peers.on("moved", ({ participant, from }) => this.#step((now) => {
        this.#moves.moved(participant, from, now);
      })),
      peers.on("media", ({ participant, video }) => this.#step((now) => {
        this.#moves.camera(participant, video, now);
      })),
      iceServers.on("change", ({ renewed }) => {
        this.#connection?.configure(this.#configuration());
        if (renewed) this.#connection?.restartIce();
      }),
    ];
  }

  /**
   * Where this one's media comes from; while it is a forwarder, other connections say nothing of it.
   *
   * @param {string} participant
   */
  carries(participant) {
    return typeof this.#moves.viaOf(participant) === "number";
  }

  /** For our own screen. @type {import("./ownscreen.js").ScreenWay} */
  screenWay = {
    sound: true,
    send: (stream) => {
      this.#put("screen", stream?.getVideoTracks()[0] ?? null);
      this.#put("screen_audio", stream?.getAudioTracks()[0] ?? null);
    },
  };

  /** @param {RoomView} room */
  updateRoom(room) {
    if (this.#closed) return;
    this.#room = room;
    const inside = room.you === "admitted" || room.you === "in_call";
    const others = inside
      ? room.participants.filter(({ id, status }) =>
          id !== this.#options.self && (status === "admitted" || status === "in_call"))
      : [];
    const ids = others.map(({ id }) => id);
    for (const id of [...this.#states.keys()]) {
      if (!ids.includes(id)) this.#forget(id);
    }
    for (const id of ids) {
      if (!this.#states.has(id)) this.#states.set(id, "connecting");
    }
    this.#step((now) => this.#moves.people(ids, this.#connected, now));
    if (!inside) this.#end();
    else if (room.media.mode === "sfu" && room.media.generation !== this.#present?.generation) {
      this.#begin();
    } else if (room.media.mode === "p2p" && this.#moves.target !== "p2p") {
      this.#step((now) => this.#moves.go("p2p", now));
    }
    this.#arrange();
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  replaceTrack(kind, track) {
    this.#put(kind === "audio" ? "microphone" : "camera", track);
  }

  /**
   * A connection without a forwarder has come about.
   *
   * @param {string} participant
   * @param {MediaStream} stream
   */
  direct(participant, stream) {
    if (this.#moves.target === "p2p" && this.#moves.viaOf(participant) === "p2p") {
      // Not a move, but another connection: whoever it is has loaded the page anew.
      this.emit("stream", { participant, stream });
      return;
    }
    this.#direct.set(participant, stream);
    const [sound] = stream.getAudioTracks();
    const [picture] = stream.getVideoTracks();
    const there = (/** @type {"tracks" | "sound" | "picture"} */ what) =>
      this.#step((now) => this.#moves.there(participant, "p2p", what, now));
    for (const [track, what] of /** @type {const} */ ([[sound, "sound"], [picture, "picture"]])) {
      if (!track) continue;
      if (!track.muted) there(what);
      else track.addEventListener("unmute", () => there(what), { once: true });
    }
    there("tracks");
  }

  /** @param {readonly Tile[]} tiles how large everything is shown, the most important first */
  show(tiles) {
    this.#tiles = tiles;
    this.#arrange();
    this.#wishes.set(tiles);
  }

  /** @returns {Promise<import("./path.js").Reports>} of the connection to the forwarder */
  async reports() {
    return await this.#connection?.reports() ?? new Map();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
    clearInterval(this.#qualityTimer);
    clearTimeout(this.#movesTimer);
    for (const leave of this.#leave) leave();
    this.#keeper.close();
    this.clear();
  }

  get #connection() {
    return this.#present && this.#connections.get(this.#present.way);
  }

  /** A connection to the forwarder that is responsible now. */
  #begin() {
    const generation = this.#room?.media.generation ?? 0;
    this.#ways += 1;
    const way = this.#ways;
    this.#present = { generation, way };
    this.#sources = [];
    this.#wishes.begin();
    const { channel } = this.#options;
    const connection = new SfuConnection({
      configuration: this.#configuration(),
      keeper: this.#keeper,
      tracks: this.#tracks,
      offer: async ({ sdp, tracks }) => {
        const answer = await channel.command("group_offer", { generation, sdp, tracks });
        return answer?.type === "group_answer" ? answer.sdp : "";
      },
    });
    this.#connections.set(way, connection);
    connection.on("opened", ({ participant, source }) => {
      if (source === "microphone") this.#there(participant, way, "sound");
      else if (source === "camera") this.#there(participant, way, "picture");
    });
    connection.on("state", (state) => {
      if (state === "connected") this.#again = AGAIN.first;
      this.#tellStates();
      this.#wishes.look();
    });
    connection.on("quiet", () => {
      // A former forwarder that has died is not worth waiting for the next one to be heard steadily.
      if (way !== this.#present?.way) this.#drop(way);
    });
    connection.on("silent", (times) => this.#hearsNothing(way, generation, times));
    connection.on("dead", () => this.#hearsNothing(way, generation, HOPELESS));
    this.#step((now) => this.#moves.go(way, now));
  }

  /** @param {number} way @param {number} generation @param {number} times */
  #hearsNothing(way, generation, times) {
    if (way !== this.#present?.way) {
      this.#drop(way);
      return;
    }
    // If the forwarder is gone there is a new generation soon.
    this.#options.channel.command("group_failed", { generation }).catch(() => {});
    if (times >= HOPELESS) this.#later();
    else if (times > 1) this.#connection?.restartIce();
  }

  /** Another connection in place of the present one, of the same generation. */
  #later() {
    clearTimeout(this.#againTimer);
    this.#againTimer = setTimeout(() => {
      const { media, you } = this.#room ?? {};
      const wanted = media?.mode === "sfu" && media.generation === this.#present?.generation
        && (you === "admitted" || you === "in_call");
      if (!wanted || this.#closed) return;
      const former = this.#present?.way;
      this.#begin();
      // Nothing comes over it, or it was refused: not worth keeping.
      if (former !== undefined) this.#drop(former);
    }, this.#again);
    this.#again = Math.min(AGAIN.longest, this.#again * 2);
  }

  /** @param {number} way */
  #drop(way) {
    this.#connections.get(way)?.close();
    this.#connections.delete(way);
    this.#step((now) => this.#moves.broken(way, now));
  }

  #end() {
    clearTimeout(this.#againTimer);
    this.#wishes.stop();
    this.#present = null;
    this.#sources = [];
    this.emit("speakers", []);
    for (const way of [...this.#connections.keys()]) this.#drop(way);
  }

  /** @returns {RTCConfiguration} */
  #configuration() {
    const { iceServers, iceTransportPolicy } = this.#options;
    return { iceServers: iceServers.current, iceTransportPolicy };
  }

  /** @param {import("./protocol.js").GroupSourcesMessage} message */
  #told({ generation, sources }) {
    if (generation !== this.#present?.generation) return;
    this.#sources = sources.filter(({ participant }) => participant !== this.#options.self);
    this.#arrange();
  }

  /** What is received, and who can be shown by it. */
  #arrange() {
    const connection = this.#connection;
    if (!connection || !this.#present) return;
    const order = this.#tiles.map(({ participant }) => participant);
    const hidden = new Set(this.#tiles.filter(({ width }) => width === 0).map(({ participant }) => participant));
    const present = this.#sources.filter(({ participant }) => this.#states.has(participant));
    connection.receive(wantedOf(present, order, hidden));
    for (const { participant, source } of present) {
      if (source === "microphone" || source === "camera") this.#there(participant, this.#present.way, "tracks");
    }
    for (const id of this.#states.keys()) {
      if (this.#moves.viaOf(id) === this.#present.way) this.#showPerson(id);
      this.#showScreen(id);
    }
    this.#tellStates();
  }

  /** @param {string} participant @param {number} way @param {"tracks" | "sound" | "picture"} what */
  #there(participant, way, what) {
    this.#step((now) => this.#moves.there(participant, way, what, now));
  }

  /** @param {(now: number) => void} step of the moves, after which their timer is set anew */
  #step(step) {
    if (this.#closed) return;
    step(performance.now());
    clearTimeout(this.#movesTimer);
    const now = performance.now();
    const due = this.#moves.nextTimeout(now);
    if (due === null) return;
    this.#movesTimer = setTimeout(() => this.#step((at) => this.#moves.handleTimer(at)), due - now);
  }

  /** @param {import("./moves.js").MoveOutput} output */
  #handleMove(output) {
    const { peers } = this.#options;
    switch (output.type) {
      case "show": {
        const { participant, way } = output;
        if (way === "p2p") {
          const stream = this.#direct.get(participant);
          this.#streams.drop(participant);
          if (stream) this.emit("stream", { participant, stream });
          this.#states.set(participant, "connected");
          this.emit("connection", { participant, state: "connected" });
          const path = this.#paths.get(participant);
          if (path) this.emit("path", { participant, path });
        } else {
          this.#showPerson(participant);
          this.emit("path", { participant, path: "sfu" });
          peers.mediaFlows();
        }
        this.#tellStates();
        return;
      }
      case "tell":
        peers.send(output.participant, { moved: output.moved });
        return;
      case "rest":
        this.#direct.delete(output.participant);
        this.#connected.delete(output.participant);
        peers.rest(output.participant);
        return;
      case "close":
        if (output.way === this.#present?.way) this.#end();
        else this.#drop(output.way);
        return;
    }
  }

  /** @param {string} participant */
  #showPerson(participant) {
    const tracks = this.#connection?.tracksOf(participant, ["microphone", "camera"]) ?? [];
    const stream = this.#streams.renew(participant, tracks);
    if (stream) this.emit("stream", { participant, stream });
  }

  /** @param {string} participant */
  #showScreen(participant) {
    const name = `${participant} screen`;
    const tracks = this.#connection?.tracksOf(participant, ["screen", "screen_audio"]) ?? [];
    const picture = tracks.some(({ kind }) => kind === "video");
    if (!picture) this.#endScreen(participant);
    const stream = picture && this.#streams.renew(name, tracks);
    if (stream) this.emit("screen", { participant, stream, on: true });
  }

  /** @param {string} participant */
  #endScreen(participant) {
    const stream = this.#streams.drop(`${participant} screen`);
    if (stream) this.emit("screen", { participant, stream, on: false });
  }

  #tellStates() {
    const here = new Set(this.#sources.map(({ participant }) => participant));
    const own = this.#connection?.state;
    for (const [participant, before] of this.#states) {
      const via = this.#moves.viaOf(participant);
      if (via === "p2p" || (via === null && this.#room?.media.mode === "p2p")) continue;
      const state = typeof via === "number" && via !== this.#present?.way ? "connected"
        : own === "disconnected" || own === "failed" ? own
          : own === "connected" && here.has(participant) ? "connected" : "connecting";
      if (state === before) continue;
      this.#states.set(participant, state);
      this.emit("connection", { participant, state });
    }
  }

  /** @param {string} participant who is not in any more */
  #forget(participant) {
    this.#states.delete(participant);
    this.#qualities.delete(participant);
    this.#streams.drop(participant);
    this.#direct.delete(participant);
    this.#paths.delete(participant);
    this.#connected.delete(participant);
    this.#endScreen(participant);
    this.#keys.gone(participant);
  }

  /** @param {Source} source @param {MediaStreamTrack | null} track */
  #put(source, track) {
    this.#tracks[source] = track;
    for (const connection of this.#connections.values()) {
      connection.replaceTrack(source, track).catch((error) => reportError(error));
    }
  }

  /** @param {readonly Tile[]} tiles */
  #wish(tiles) {
    const { generation } = this.#present ?? {};
    if (generation === undefined || this.#connection?.state !== "connected") return null;
    return this.#options.channel.command("group_want", { generation, tiles: [...tiles] });
  }

  async #lookAtQuality() {
    const connection = this.#connection;
    if (!connection) return;
    /** @type {Map<string, Quality>} */
    const found = new Map();
    for (const { of, lost, received, frozen } of await connection.quality()) {
      const loss = lost / Math.max(1, lost + received);
      const quality = loss > 0.1 || frozen > 800 ? "bad" : loss > 0.03 || frozen > 250 ? "weak" : "good";
      const so = found.get(of.participant);
      if (!so || so === "good" || quality === "bad") found.set(of.participant, quality);
    }
    for (const [participant, quality] of found) {
      if (this.#closed || this.#qualities.get(participant) === quality) continue;
      this.#qualities.set(participant, quality);
      this.emit("quality", { participant, quality });
    }
  }
}
