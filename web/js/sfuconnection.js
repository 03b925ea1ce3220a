// @ts-check
/**
 * This page's one connection to the forwarder (docs/protocol.md section 9). The page always offers, one
 * offer at a time; what is sent never needs a new one when a device is switched or muted.
 */
import { Emitter } from "./emitter.js";
import { assign, sameSections } from "./sections.js";
import { carrying, reportsOf } from "./path.js";

/**
 * @typedef {import("./protocol.js").SourceOf} SourceOf
 * @typedef {import("./protocol.js").SourceView} SourceView
 * @typedef {import("./protocol.js").Track} Track
 * @typedef {import("./frames.js").Kind} Kind
 * @typedef {import("./frames.js").Source} Source
 * @typedef {import("./sections.js").Section} Section
 * @typedef {import("./framekeeper.js").FrameKeeper} FrameKeeper
 * @typedef {import("./connection.js").PeerState} PeerState
 *
 * @typedef {object} SfuOptions
 * @property {RTCConfiguration} configuration
 * @property {FrameKeeper} keeper
 * @property {Partial<Record<Source, MediaStreamTrack | null>>} tracks what is sent at first
 * @property {(offer: {sdp: string, tracks: Track[]}) => Promise<string>} offer gives the answer's SDP, or
 *   rejects with `code` and perhaps `retry_after` in seconds
 *
 * @typedef {object} SfuEvents
 * @property {[state: PeerState]} state
 * @property {[of: SourceOf]} opened the first frame of this source that could be opened
 * @property {[]} sections what is received in which section has changed
 * @property {[times: number]} silent we send, and nothing at all comes back; 2 s for each time
 * @property {[]} quiet the same, after a second and then every half: enough to prefer another connection
 * @property {[]} dead nothing can be done with it any more
 */

/** Of the camera, lowest first. */
const LAYERS = Object.freeze([
  { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "m", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "h", scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
]);
/** Text on a screen wants every pixel. Those on a narrow line get fewer frames of a film on it; Firefox does not know layers. */
const SCREEN = Object.freeze([{ maxBitrate: 2_500_000, maxFramerate: 15, scalabilityMode: "L1T3" }]);

/** @type {Readonly<Record<Source, Kind>>} */
export const KIND = Object.freeze({
  microphone: "audio", camera: "video", screen: "video", screen_audio: "audio",
});
/** @type {Readonly<Record<Kind, readonly string[]>>} what the forwarder passes on */
const CODECS = Object.freeze({ audio: ["audio/opus"], video: ["video/vp8", "video/rtx"] });

/** Between looks at the traffic, and so many of them without anything coming are silence. */
const LOOK = 500;
const SILENT_LOOKS = 4;
const QUIET_LOOKS = 2;
/** Between two offers, so that what changes together is offered together, ms. */
const GATHER = 40;
/** When the forwarder does not say when to come again, ms. */
const RETRY = 1_000;

/** @extends {Emitter<SfuEvents>} */
export class SfuConnection extends Emitter {
  #pc;
  #keeper;
  #options;
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #sending = new Map();
  /** @type {Section[]} */
  #sections = [];
  /** @type {Map<number, RTCRtpTransceiver>} */
  #receiving = new Map();
  #closed = false;
  /** Rises with every reason to offer; and what it was at the last offer. */
  #reasons = 0;
  #offered = 0;
  #busy = false;
  #restart = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #lookTimer;
  #traffic = { sent: 0, received: 0, silent: 0 };
  /** Packets and losses of each slot at the last look. @type {Map<number, {lost: number, received: number, frozen: number}>} */
  #counts = new Map();
  /** @type {() => void} */
  #offOpened;

  /** @param {SfuOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#keeper = options.keeper;
    this.#pc = new RTCPeerConnection({ ...options.configuration, bundlePolicy: "max-bundle" });
    carrying.set(this.#pc, true);
    this.#pc.addEventListener("connectionstatechange", () => this.#changed());
    this.#offOpened = this.#keeper.on("opened", (slot) => {
      const of = this.#sections.find((section) => section.slot === slot)?.of;
      if (of) this.emit("opened", of);
    });
    this.#send("microphone", options.tracks.microphone ?? null);
    this.#send("camera", options.tracks.camera ?? null);
    for (const source of /** @type {const} */ (["screen", "screen_audio"])) {
      const track = options.tracks[source];
      if (track) this.#send(source, track);
    }
    this.#lookTimer = setInterval(() => void this.#look(), LOOK);
    this.#negotiate();
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.#pc.connectionState;
  }

  /**
   * Microphone and camera change without an offer; a screen needs one when it comes and when it goes.
   *
   * @param {Source} source
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(source, track) {
    if (this.#closed) return;
    const lasting = source === "microphone" || source === "camera";
    const transceiver = this.#sending.get(source);
    if (!transceiver) {
      if (track) this.#send(source, track);
      if (track) this.#negotiate();
      return;
    }
    await transceiver.sender.replaceTrack(track);
    const direction = track || lasting ? "sendonly" : "inactive";
    if (this.#closed || transceiver.direction === direction) return;
    transceiver.direction = direction;
    this.#negotiate();
  }

  /** @param {readonly SourceView[]} wanted */
  receive(wanted) {
    const next = assign(this.#sections, wanted, this.#keeper.newSlot);
    if (this.#closed || sameSections(this.#sections, next)) return;
    const before = this.#sections;
    this.#sections = next;
    for (const [at, { slot, kind, of }] of next.entries()) {
      const was = before[at]?.of ?? null;
      let transceiver = this.#receiving.get(slot);
      if (!transceiver) {
        transceiver = this.#pc.addTransceiver(kind, { direction: "recvonly" });
        prefer(transceiver, kind);
        this.#keeper.guard(transceiver.receiver, { side: "receive", slot, kind });
        this.#receiving.set(slot, transceiver);
        this.#keeper.give(slot, of);
      } else if (was?.participant !== of?.participant || was?.source !== of?.source) {
        this.#keeper.give(slot, of);
        this.#counts.delete(slot);
      }
      transceiver.direction = of ? "recvonly" : "inactive";
    }
    this.#negotiate();
    this.emit("sections");
  }

  /**
   * @param {string} participant
   * @param {readonly Source[]} sources
   * @returns {MediaStreamTrack[]} those of them that are received
   */
  tracksOf(participant, sources) {
    return this.#sections.flatMap(({ slot, of }) => {
      const transceiver = this.#receiving.get(slot);
      const ours = of?.participant === participant && sources.includes(of.source);
      return ours && transceiver ? [transceiver.receiver.track] : [];
    });
  }

  /** Finds a way to the forwarder anew, while media stays on the old one. */
  restartIce() {
    this.#restart = true;
    this.#negotiate();
  }

  /** @param {RTCConfiguration} configuration */
  configure(configuration) {
    if (!this.#closed) this.#pc.setConfiguration({ ...configuration, bundlePolicy: "max-bundle" });
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#lookTimer);
    this.#offOpened();
    this.#pc.close();
    carrying.delete(this.#pc);
    this.clear();
  }

  /**
   * How the pictures and sounds of everybody have come since the last call.
   *
   * @returns {Promise<{of: SourceOf, lost: number, received: number, frozen: number}[]>} packets lost and
   *   received, ms for which a picture stood still
   */
  async quality() {
    const reports = await reportsOf(this.#pc);
    /** @type {{of: SourceOf, lost: number, received: number, frozen: number}[]} */
    const found = [];
    for (const report of reports.values()) {
      if (report.type !== "inbound-rtp") continue;
      const section = this.#sections
        .find(({ slot }) => this.#receiving.get(slot)?.mid === report.mid);
      if (!section?.of) continue;
      const now = {
        lost: report.packetsLost ?? 0, received: report.packetsReceived ?? 0,
        frozen: (report.totalFreezesDuration ?? 0) * 1000,
      };
      const before = this.#counts.get(section.slot);
      this.#counts.set(section.slot, now);
      if (!before) continue;
      found.push({
        of: section.of, lost: Math.max(0, now.lost - before.lost),
        received: now.received - before.received, frozen: now.frozen - before.frozen,
      });
    }
    return found;
  }

  /** @returns {Promise<import("./path.js").Reports>} */
  reports() {
    return reportsOf(this.#pc);
  }

  /** @param {Source} source @param {MediaStreamTrack | null} track */
  #send(source, track) {
    const kind = KIND[source];
    const encodings = source === "camera" ? LAYERS : source === "screen" ? SCREEN : [];
    const transceiver = this.#pc.addTransceiver(track ?? kind, {
      direction: "sendonly", sendEncodings: encodings.map((encoding) => ({ ...encoding })),
    });
    prefer(transceiver, kind);
    this.#keeper.guard(transceiver.sender, { side: "send", source, kind });
    this.#sending.set(source, transceiver);
  }

  #negotiate() {
    this.#reasons += 1;
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    this.#offers().catch((error) => {
      if (this.#closed) return;
      reportError(error);
      this.emit("dead");
    }).finally(() => {
      this.#busy = false;
    });
  }

  async #offers() {
    while (this.#offered !== this.#reasons && !this.#closed) {
      await after(GATHER);
      // What is said of the sections must be true of the very offer it goes with.
      while (this.#offered !== this.#reasons && !this.#closed) {
        this.#offered = this.#reasons;
        if (this.#restart) this.#pc.restartIce();
        this.#restart = false;
        await this.#pc.setLocalDescription();
      }
      const sdp = this.#pc.localDescription?.sdp ?? "";
      const answer = await this.#ask({ sdp, tracks: this.#tracks() });
      if (this.#closed) return;
      if (answer === null) {
        this.emit("dead");
        return;
      }
      await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
    }
  }

  /**
   * @param {{sdp: string, tracks: Track[]}} offer
   * @returns {Promise<string | null>} null: refused for good
   */
  async #ask(offer) {
    while (!this.#closed) {
      try {
        return await this.#options.offer(offer);
      } catch (error) {
        const code = Reflect.get(Object(error), "code");
        if (code !== "sfu_unavailable" && code !== "store_unavailable" && code !== "slow_down") return null;
        const seconds = Number(Reflect.get(Object(error), "retry_after") ?? 0);
        await after(seconds > 0 ? seconds * 1000 : RETRY);
      }
    }
    return null;
  }

  /** @returns {Track[]} */
  #tracks() {
    /** @type {Track[]} */
    const tracks = [];
    for (const [source, { mid, direction }] of this.#sending) {
      if (mid !== null && direction === "sendonly") tracks.push({ mid, send: source });
    }
    for (const { slot, of } of this.#sections) {
      const mid = this.#receiving.get(slot)?.mid ?? null;
      if (mid !== null && of) tracks.push({ mid, receive: of });
    }
    return tracks;
  }

  #changed() {
    const state = this.#pc.connectionState;
    if (this.#closed || state === "new" || state === "closed") return;
    this.emit("state", state);
    if (state === "failed") this.emit("dead");
  }

  /** A forwarder that has died says nothing; the browser alone would notice after a quarter of a minute. */
  async #look() {
    if (this.#pc.connectionState !== "connected" && this.#pc.connectionState !== "disconnected") return;
    const reports = [...(await reportsOf(this.#pc)).values()];
    const transport = reports.find(({ type }) => type === "transport");
    if (!transport || this.#closed) return;
    const { bytesSent: sent, bytesReceived: received } = transport;
    const quiet = sent > this.#traffic.sent && received === this.#traffic.received;
    const silent = quiet ? this.#traffic.silent + 1 : 0;
    this.#traffic = { sent, received, silent };
    if (silent >= QUIET_LOOKS) this.emit("quiet");
    if (silent > 0 && silent % SILENT_LOOKS === 0) this.emit("silent", silent / SILENT_LOOKS);
  }
}

/** @param {RTCRtpTransceiver} transceiver @param {Kind} kind */
function prefer(transceiver, kind) {
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  const ours = codecs.filter(({ mimeType }) => CODECS[kind].includes(mimeType.toLowerCase()));
  transceiver.setCodecPreferences(ours);
}

/** @param {number} ms */
function after(ms) {
  return /** @type {Promise<void>} */ (new Promise((resolve) => {
    setTimeout(resolve, ms);
  }));
}
