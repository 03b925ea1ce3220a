// @ts-check
/** One other participant: the exchange that seals, and the connection it speaks for. */
import { DataPath } from "./datapath.js";
import { Emitter } from "./emitter.js";
import { Partner } from "./partner.js";

/**
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./connection.js").PeerState} PeerState
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").Description} Description
 * @typedef {import("./content.js").Media} Media
 * @typedef {import("./partner.js").PartnerOptions} PartnerOptions
 * @typedef {import("./partner.js").PartnerOutput} PartnerOutput
 * @typedef {import("./sealing.js").RefusalReason} RefusalReason
 *
 * @typedef {object} PartyOptions
 * @property {Omit<PartnerOptions, "output">} partner
 * @property {boolean} direct whether media goes straight to the other one; else only the exchange is
 *   for something
 * @property {(initiator: boolean) => Promise<Connection>} takeConnection a fresh one at every call
 * @property {() => Promise<import("./dataconnection.js").DataConnection>} makeDataConnection
 * @property {() => Media} media what of our own is on
 * @property {(data: string) => void} signal
 * @property {(data: string) => void} notice
 *
 * @typedef {object} PartyEvents
 * @property {[stream: MediaStream]} stream
 * @property {[screen: {stream: MediaStream, on: boolean}]} screen the other's; on: it is shown now
 * @property {[state: PeerState]} state
 * @property {[path: "direct" | "relay"]} path
 * @property {[channels: import("./datachannels.js").DataChannels]} data of a new connection
 * @property {[media: Media]} media
 * @property {[security: {verified: "link" | "code", code: string}]} security
 * @property {[reason: RefusalReason]} refused
 * @property {[]} open sealed messages can be sent
 * @property {[]} lost they cannot, for the present
 * @property {[key: import("./content.js").FrameKey]} key
 * @property {[moved: "p2p" | "sfu"]} moved
 * @property {[receipt: string]} receipt of consent; not yet checked
 */

/** A responder that still waits for the other's first word asks for it, in ms; doubled. */
const FIRST_PATIENCE = 5_000;
const LONGEST_PATIENCE = 60_000;
/** Of a connection that the other side has begun before we know that there is to be one. */
const EARLY_CONTENTS = 64;

/** @extends {Emitter<PartyEvents>} */
export class Party extends Emitter {
  /** Whether the other's socket is up, as the room says. */
  connected = true;
  #options;
  #partner;
  /** @type {Promise<Connection> | null} */
  #taken = null;
  /** @type {Connection | null} started, so of the present exchange */
  #connection = null;
  #direct;
  #data;
  /** Our own. @type {MediaStream | null} */
  #screen = null;
  /** The other one shows a screen. */
  #shown = false;
  /** @type {MediaStream | null} */
  #screenStream = null;
  /** @type {(Description | RTCIceCandidateInit | null)[]} */
  #early = [];
  /** Of the other side's last description: which of its connections it is of. */
  #origin = "";
  #closed = false;
  #patience = FIRST_PATIENCE;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {PartyOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#partner = new Partner({ ...options.partner, output: (output) => this.#handle(output) });
    this.#direct = options.direct;
    this.#data = new DataPath({
      initiator: this.#partner.initiator,
      make: options.makeDataConnection,
      send: (content) => this.#partner.send({ data: content }),
    });
    this.#data.on("data", (channels) => this.emit("data", channels));
    if (this.#direct) this.#take();
    this.#watch();
  }

  get refused() {
    return this.#partner.refused;
  }

  /** The other's role. */
  get role() {
    return this.#options.partner.other.role;
  }

  /** Whether sealed messages can be sent. */
  get open() {
    return this.#partner.open;
  }

  /** @param {Content} content dropped where there are no keys */
  send(content) {
    this.#partner.send(content);
  }

  /** @param {boolean} direct see PartyOptions; what is connected stays so until `rest` */
  setDirect(direct) {
    if (this.#direct === direct) return;
    this.#direct = direct;
    if (!direct) {
      if (this.open) this.#data.begin();
      return;
    }
    this.#data.stop();
    // The other side may have given up the former connection, so both begin a new one.
    const early = this.#early;
    this.#drop();
    this.#early = early;
    this.#connect();
  }

  /** Media goes another way by now. */
  rest() {
    if (!this.#direct) this.#drop();
  }

  /** @param {string} instance @param {boolean} connected */
  seen(instance, connected) {
    if (connected && !this.connected) this.#partner.reconnected();
    this.connected = connected;
    this.#partner.peerSeen(instance);
  }

  /** @param {string} data */
  receive(data) {
    this.#partner.receive(data);
  }

  /** Our own socket has come back. */
  reconnected() {
    this.#partner.reconnected();
  }

  /** Tells what of our own is on. */
  tellMedia() {
    this.#partner.send({ media: this.#options.media() });
  }

  /** A person asks for it, or what was kept for the other had to be given up. */
  retry() {
    this.#partner.retry();
  }

  /** @returns {Promise<import("./path.js").Reports>} of the connection with media */
  async reports() {
    return await this.#connection?.reports() ?? new Map();
  }

  restartIce() {
    this.#connection?.restartIce().catch(reportError);
    this.#data.renew();
  }

  /** @param {RTCIceServer[]} iceServers @param {boolean} renewed see Connection.setIceServers */
  setIceServers(iceServers, renewed) {
    this.#taken?.then((connection) => connection.setIceServers(iceServers, renewed), () => {});
  }

  /** @param {import("./connection.js").Kind} kind @param {MediaStreamTrack | null} track */
  async replaceTrack(kind, track) {
    await (await this.#taken)?.replaceTrack(kind, track);
  }

  /** @param {MediaStream | null} stream our own, shown over this and every later connection */
  showScreen(stream) {
    if (this.#screen === stream) return;
    this.#screen = stream;
    if (this.#connection) this.#tellScreen(this.#connection);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#partner.close();
    this.#data.reset();
    this.#data.clear();
    this.#drop();
    this.clear();
  }

  /** @param {PartnerOutput} output */
  #handle(output) {
    switch (output.type) {
      case "send":
        this.#options.signal(output.data);
        return;
      case "notice":
        this.#options.notice(output.data);
        return;
      case "begun":
        this.#data.reset();
        if (this.#connection || !this.#taken) {
          this.#drop();
          if (this.#direct) this.#take();
        }
        this.#patience = FIRST_PATIENCE;
        this.#watch();
        this.emit("lost");
        if (this.#direct) this.emit("state", "connecting");
        return;
      case "ready":
        clearTimeout(this.#timer);
        if (this.#direct) this.#connect();
        else this.tellMedia();
        if (!this.#direct) this.#data.begin();
        this.emit("open");
        return;
      case "verified":
        this.emit("security", { verified: output.verified, code: output.code });
        return;
      case "content":
        this.#deliver(output.content);
        return;
      case "refused":
        clearTimeout(this.#timer);
        this.#data.reset();
        this.#drop();
        this.emit("state", "closed");
        this.emit("refused", output.reason);
        return;
      default: {
        /** @type {never} */
        const unknown = output;
        return unknown;
      }
    }
  }

  /** A connection is chosen before it is needed, so that it gathers while keys are exchanged. */
  #take() {
    this.#taken = this.#options.takeConnection(this.#partner.initiator);
  }

  #connect() {
    if (!this.#taken) this.#take();
    if (!this.open) return;
    this.#start().catch((error) => {
      reportError(error);
      this.emit("state", "failed");
    });
    for (const received of this.#early.splice(0)) this.#negotiate(received);
  }

  async #start() {
    const taken = this.#taken;
    const connection = await taken;
    if (!connection || taken !== this.#taken) return;
    this.#connection = connection;
    /** @template {"stream" | "state" | "path"} Name @param {Name} name */
    const pass = (name) => connection.on(name, (value) => {
      if (this.#connection === connection) this.emit(name, .../** @type {any} */ ([value]));
    });
    pass("stream");
    pass("state");
    pass("path");
    connection.on("data", (channels) => {
      if (this.#connection === connection) this.#data.mediaHas(channels);
    });
    connection.on("screen", (stream) => {
      if (this.#connection !== connection) return;
      this.#screenStream = stream;
      if (this.#shown) this.emit("screen", { stream, on: true });
    });
    connection.on("spent", () => {
      if (this.#connection === connection) this.#partner.retry();
    });
    let told = false;
    connection.start((content) => {
      if (this.#connection !== connection) return;
      this.#partner.send(content);
      if (told) return;
      // Behind the first description, which is in more of a hurry.
      told = true;
      this.tellMedia();
      if (this.#screen) this.#tellScreen(connection);
    });
  }

  /** @param {Connection} connection */
  #tellScreen(connection) {
    this.#partner.send({ screen: this.#screen !== null });
    connection.showScreen(this.#screen).catch(reportError);
  }

  /** @param {boolean} on whether the other one shows a screen */
  #showsScreen(on) {
    if (on) this.#connection?.openScreen();
    if (this.#shown === on) return;
    this.#shown = on;
    if (this.#screenStream) this.emit("screen", { stream: this.#screenStream, on });
  }

  /** @param {Content} content */
  #deliver(content) {
    if ("media" in content) {
      this.emit("media", content.media);
      return;
    }
    if ("screen" in content) {
      this.#showsScreen(content.screen);
      return;
    }
    if ("restart" in content) {
      this.#connection?.restartAsked();
      return;
    }
    if ("key" in content) {
      this.emit("key", content.key);
      return;
    }
    if ("moved" in content) {
      this.emit("moved", content.moved);
      return;
    }
    if ("receipt" in content) {
      this.emit("receipt", content.receipt);
      return;
    }
    if ("data" in content) {
      this.#data.receive(content.data);
      return;
    }
    this.#negotiate("description" in content ? content.description : content.candidate);
  }

  /** @param {Description | RTCIceCandidateInit | null} received */
  #negotiate(received) {
    const taken = this.#taken;
    const origin = received !== null && "type" in received ? originOf(received) : null;
    // The other side knows already that there is to be a new connection, and begins it.
    const begins = origin !== null && (!taken || (!this.#direct && origin !== this.#origin));
    if (begins) this.#early = [];
    if (begins || !taken || this.#early.length > 0) {
      // Candidates without a description are of a connection that is over.
      const kept = begins || this.#early.length > 0;
      if (kept && this.#early.length < EARLY_CONTENTS) this.#early.push(received);
      return;
    }
    if (origin !== null) this.#origin = origin;
    if (this.#connection) this.#connection.receive(received);
    // `start` still waits for the connection; it began to wait before this does.
    else taken.then((connection) => taken === this.#taken && connection.receive(received));
  }

  #drop() {
    this.#showsScreen(false);
    this.#screenStream = null;
    const taken = this.#taken;
    this.#taken = null;
    this.#connection = null;
    this.#early = [];
    this.#data.mediaHas(null);
    taken?.then((connection) => connection.close(), () => {});
  }

  #watch() {
    clearTimeout(this.#timer);
    if (this.#partner.initiator) return;
    this.#timer = setTimeout(() => {
      if (this.connected) this.#partner.stalled();
      this.#patience = Math.min(LONGEST_PATIENCE, this.#patience * 2);
      this.#watch();
    }, this.#patience);
  }
}

/**
 * @param {Description} description
 * @returns {string} the same for all of one connection (RFC 8829 section 5.2.1)
 */
function originOf({ sdp }) {
  return /^o=\S+ (\d+) /m.exec(sdp)?.[1] ?? "";
}
