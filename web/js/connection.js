// @ts-check
/**
 * One RTCPeerConnection with one other participant: tracks, states, recovery. It can be made, and
 * its candidates gathered, before it is known for whom.
 */
import { DataChannels } from "./datachannels.js";
import { Emitter } from "./emitter.js";
import { Negotiation } from "./negotiation.js";
import { carrying, isStuck, reportsOf, watchPath } from "./path.js";
import { FULL_SIZE_AFTER, scaleDown, smallStart } from "./smallstart.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").Description} Description
 * @typedef {"connecting" | "connected" | "disconnected" | "failed" | "closed"} PeerState
 * @typedef {"audio" | "video"} Kind
 *
 * @typedef {object} ConnectionOptions
 * @property {boolean} initiator makes the first offer; the impolite side
 * @property {RTCIceServer[]} iceServers
 * @property {RTCIceTransportPolicy} iceTransportPolicy
 * @property {RTCCertificate} certificate
 * @property {Record<Kind, MediaStreamTrack | null>} tracks
 * @property {() => Promise<void>} iceServersKnown waits for them as long as it is worth it; they come
 *   by `setIceServers`
 * @property {() => Promise<void>} refreshIceServers asks for them anew, likewise
 *
 * @typedef {object} ConnectionEvents
 * @property {[stream: MediaStream]} stream
 * @property {[stream: MediaStream]} screen what comes by the sections for it; once per connection
 * @property {[state: PeerState]} state
 * @property {[path: "direct" | "relay"]} path
 * @property {[channels: DataChannels]} data they are open; once per connection
 * @property {[]} spent nothing can be sent over it any more; only another one helps
 */

/** Between attempts to find a path again while there is none, in ms; doubled up to the longest. */
const FIRST_RESTART = 20_000;
const LONGEST_RESTART = 60_000;
/** From the last sign of a relayed path to the search for another one, in ms. */
const RELAY_LOST = 3_000;
/** After a failure, from a path found again to something having been sent over it, in ms. */
const FIRST_SENT = 2_000;
/** Data channels that have been open for as long are worth another connection when they break, in ms. */
const DATA_WORTH = 30_000;
/** From their break to another connection, in ms: where the other side has gone this one fails before. */
const DATA_BREAK = 15_000;

/** @type {readonly Kind[]} the order of media sections */
const KINDS = ["audio", "video"];

/** @extends {Emitter<ConnectionEvents>} */
export class Connection extends Emitter {
  #pc;
  #data;
  #dataSince = Number.POSITIVE_INFINITY;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #dataTimer;
  #configuration;
  #negotiation;
  #refreshIceServers;
  /** @type {"direct" | "relay" | null} */
  #path = null;
  #tracks;
  #initiator;
  #started = false;
  #closed = false;
  /** Names what is sent as belonging together, so that sound and picture stay in step. */
  #outgoing = new MediaStream();
  #incoming = new MediaStream();
  #incomingScreen = new MediaStream();
  /** Our own. @type {Record<Kind, MediaStreamTrack | null>} */
  #screen = { audio: null, video: null };
  #screenOutgoing = new MediaStream();
  #restartPause = FIRST_RESTART;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #restartTimer;
  #wasConnected = false;
  /** ICE has failed, and nothing is known to have been sent since. */
  #failed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sentTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} running, or done, once connected */
  #fullSizeTimer;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    const { initiator, iceServers, iceTransportPolicy, certificate, tracks } = options;
    this.#initiator = initiator;
    this.#tracks = { ...tracks };
    this.#refreshIceServers = options.refreshIceServers;
    /** @type {RTCConfiguration} */
    this.#configuration = {
      iceServers, iceTransportPolicy, certificates: [certificate], bundlePolicy: "max-bundle",
      // Lets the responder gather, too, before it has an offer.
      iceCandidatePoolSize: 1,
    };
    const pc = new RTCPeerConnection(this.#configuration);
    this.#pc = pc;
    carrying.set(pc, false);
    this.#negotiation = new Negotiation(pc, {
      polite: !initiator, adopt: () => this.#adopt(), beforeAnswer: options.iceServersKnown,
    });
    pc.addEventListener("track", ({ track, transceiver }) => this.#received(track, transceiver));
    pc.addEventListener("connectionstatechange", () => this.#changed());
    watchPath(pc, (path) => {
      this.#path = path;
      this.emit("path", path);
    });
    for (const kind of KINDS) this.#addSender(kind);
    this.#data = new DataChannels(pc, {
      opened: (channels) => {
        this.#dataSince = performance.now();
        this.emit("data", channels);
      },
      broken: () => this.#dataBroken(),
    });
  }

  get initiator() {
    return this.#initiator;
  }

  /** Gathers candidates, and on the initiator's side makes the offer. @returns {Promise<void>} */
  async prepare() {
    if (this.#initiator) await this.#negotiation.prepare();
  }

  /** @param {(content: Content) => void} send */
  start(send) {
    this.#started = true;
    this.prepare().catch((error) => this.#fault(error));
    this.#negotiation.start(send);
  }

  /** @param {Description | RTCIceCandidateInit | null} content */
  receive(content) {
    this.#negotiation.receive(content);
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   * @returns {Promise<void>}
   */
  async replaceTrack(kind, track) {
    if (this.#closed || this.#tracks[kind] === track) return;
    this.#tracks[kind] = track;
    const sender = this.#senderOf(kind);
    if (sender) {
      if (!this.#started) this.#sendSmall(kind, sender);
      await sender.replaceTrack(track);
    } else if (!this.#started) {
      this.#addSender(kind);
    }
    // Else `adopt` finds it, when the other side's offer has come.
  }

  /** @returns {Promise<import("./path.js").Reports>} */
  reports() {
    return reportsOf(this.#pc);
  }

  /** @param {MediaStream | null} stream our own screen; sent as soon as there are sections for it */
  async showScreen(stream) {
    if (this.#closed) return;
    this.#screen = {
      audio: stream?.getAudioTracks()[0] ?? null, video: stream?.getVideoTracks()[0] ?? null,
    };
    if (stream) this.openScreen();
    await Promise.all(KINDS.map((kind) => this.#sectionOf(kind, 1)?.sender.replaceTrack(this.#screen[kind])));
  }

  /**
   * Either side shows a screen. It has sections of its own beside those of the camera, from the first screen
   * on; only the initiator offers them, so that two offers never meet. Most calls go without.
   */
  openScreen() {
    if (this.#closed || !this.#initiator || this.#sectionOf("video", 1)) return;
    for (const kind of KINDS) {
      this.#pc.addTransceiver(this.#screen[kind] ?? kind, {
        direction: "sendrecv", streams: [this.#screenOutgoing],
      });
    }
  }

  /** The network is another one: finds a path anew, while media stays on the old one. */
  async restartIce() {
    if (!this.#started || !this.#pc.remoteDescription) return;
    // A relay may have gone, or its credentials be about to.
    await this.#refreshIceServers();
    if (!this.#closed) this.#negotiation.restartIce();
  }

  /**
   * @param {RTCIceServer[]} iceServers gathered from at the next description
   * @param {boolean} renewed the credentials of those in use expire soon
   */
  setIceServers(iceServers, renewed) {
    if (this.#closed) return;
    this.#configuration = { ...this.#configuration, iceServers };
    this.#pc.setConfiguration(this.#configuration);
    // An allocation lives no longer than the credentials it was made with (RFC 8656 section 7).
    const without = this.#pc.connectionState !== "connected" && this.#pc.localDescription !== null;
    if (without || (renewed && this.#path === "relay")) this.#negotiation.restartIce();
  }

  /** The other side asks for it. */
  restartAsked() {
    if (!this.#closed) this.#negotiation.restartAsked();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    clearTimeout(this.#sentTimer);
    clearTimeout(this.#dataTimer);
    clearTimeout(this.#fullSizeTimer);
    this.#data.close();
    this.#pc.close();
    carrying.delete(this.#pc);
    if (this.#started) this.emit("state", "closed");
    this.clear();
  }

  /** @param {Kind} kind */
  #addSender(kind) {
    const track = this.#tracks[kind];
    // The responder's transceivers must be made by addTrack: only those are matched with the sections
    // of the offer (RFC 8829 section 5.10), and a missing one is made by the offer itself.
    if (!this.#initiator) {
      if (track) this.#sendSmall(kind, this.#pc.addTrack(track, this.#outgoing));
      return;
    }
    const { sender } = this.#pc.addTransceiver(track ?? kind, {
      direction: "sendrecv", streams: [this.#outgoing],
    });
    this.#sendSmall(kind, sender);
  }

  /** @param {Kind} kind @param {RTCRtpSender} sender */
  #sendSmall(kind, sender) {
    if (kind !== "video" || this.#fullSizeTimer !== undefined) return;
    scaleDown(sender, smallStart(this.#tracks.video)).catch((error) => this.#fault(error));
  }

  #sendFullSize() {
    this.#fullSizeTimer ??= setTimeout(() => {
      const sender = this.#senderOf("video");
      if (sender) scaleDown(sender, 1).catch((error) => this.#fault(error));
    }, FULL_SIZE_AFTER);
  }

  /** Both kinds go both ways, whatever devices there are, so that one may come later. */
  #adopt() {
    for (const transceiver of this.#pc.getTransceivers()) {
      const kind = /** @type {Kind} */ (transceiver.receiver.track.kind);
      if (transceiver.direction === "sendrecv" || transceiver.direction === "stopped") continue;
      const screen = transceiver !== this.#sectionOf(kind, 0);
      transceiver.direction = "sendrecv";
      transceiver.sender.setStreams(screen ? this.#screenOutgoing : this.#outgoing);
      const track = (screen ? this.#screen : this.#tracks)[kind];
      transceiver.sender.replaceTrack(track).catch((error) => this.#fault(error));
    }
  }

  /** @param {Kind} kind */
  #senderOf(kind) {
    return this.#sectionOf(kind, 0)?.sender;
  }

  /**
   * Sections for microphone and camera are made before any others, on both sides.
   *
   * @param {Kind} kind
   * @param {0 | 1} place 0: microphone or camera, 1: the screen
   */
  #sectionOf(kind, place) {
    return this.#pc.getTransceivers().filter(({ receiver }) => receiver.track.kind === kind)[place];
  }

  /** @param {MediaStreamTrack} track @param {RTCRtpTransceiver} section */
  #received(track, section) {
    if (section !== this.#sectionOf(/** @type {Kind} */ (track.kind), 0)) {
      this.#incomingScreen.addTrack(track);
      if (this.#incomingScreen.getTracks().length === KINDS.length) this.emit("screen", this.#incomingScreen);
      return;
    }
    this.#incoming.addTrack(track);
    if (this.#incoming.getTracks().length === KINDS.length) this.emit("stream", this.#incoming);
  }

  #changed() {
    const state = this.#pc.connectionState;
    if (this.#closed || state === "new" || state === "closed") return;
    // Firefox says so at every restart of ICE, while media goes on as before.
    if (state === "connecting" && this.#wasConnected) return;
    clearTimeout(this.#sentTimer);
    if (state === "connected") {
      this.#wasConnected = true;
      this.#restartPause = FIRST_RESTART;
      clearTimeout(this.#restartTimer);
      this.#sendFullSize();
      if (this.#failed) this.#sentTimer = setTimeout(() => void this.#lookAtSent(), FIRST_SENT);
    }
    // A short outage of the network heals by itself. An allocation lost with its relay does not, and
    // `failed` comes late.
    if (state === "disconnected" && this.#path === "relay") {
      clearTimeout(this.#restartTimer);
      this.#restartTimer = setTimeout(() => {
        if (this.#pc.connectionState !== "disconnected") return;
        this.restartIce().catch((error) => this.#fault(error));
      }, RELAY_LOST);
    }
    // Chromium says `failed` here some 17 s into an outage, while ICE itself never does; shorter ones
    // heal by themselves.
    if (state === "failed") {
      this.#failed = true;
      this.#recover();
    }
    this.emit("state", state);
  }

  async #lookAtSent() {
    const reports = await reportsOf(this.#pc);
    if (this.#closed || this.#pc.connectionState !== "connected") return;
    this.#failed = false;
    if (isStuck(reports)) this.emit("spent");
  }

  /** Firefox gives data channels up after a long outage, though media goes on over a path found anew. */
  #dataBroken() {
    if (this.#closed || performance.now() - this.#dataSince < DATA_WORTH) return;
    this.#dataTimer = setTimeout(() => {
      if (this.#pc.connectionState === "connected") this.emit("spent");
    }, DATA_BREAK);
  }

  #recover() {
    this.restartIce().catch((error) => this.#fault(error));
    clearTimeout(this.#restartTimer);
    this.#restartTimer = setTimeout(() => {
      if (this.#pc.connectionState === "failed") this.#recover();
    }, this.#restartPause);
    this.#restartPause = Math.min(LONGEST_RESTART, this.#restartPause * 2);
  }

  /** @param {unknown} error */
  #fault(error) {
    if (!this.#closed) reportError(error);
  }
}
