// @ts-check
/**
 * What is made ahead for whoever is admitted next, so that it costs no time then: a connection with its
 * offer and candidates, and a share for the exchange of keys. Nothing of it leaves the page before.
 */
import { Connection } from "./connection.js";
import { identityOf, ownIdentity } from "./identity.js";
import { makeShare } from "./sealing.js";

/**
 * @typedef {import("./connection.js").Kind} Kind
 * @typedef {import("./sealing.js").OwnShare} OwnShare
 *
 * @typedef {object} SparesOptions
 * @property {RTCCertificate} [certificate] of this page load; made when absent
 * @property {boolean} hasSecret whether this page holds the link's secret
 * @property {boolean} initiator whether we offer to whoever is likely to come
 * @property {import("./iceservers.js").IceServers} iceServers
 * @property {RTCIceTransportPolicy} iceTransportPolicy
 * @property {Readonly<Record<Kind, MediaStreamTrack | null>>} tracks as they are at the moment
 */

/** Longest wait for a relay where a direct path may do without, and where it is the only one, ms. */
const RELAY_PATIENCE = Object.freeze({ all: 1_000, relay: 10_000 });
/** Longest wait for fresh credentials where there are some already, ms. */
const REFRESH_PATIENCE = 1_000;

export class Spares {
  #options;
  #identity;
  /** @type {Promise<Connection> | null} */
  #connection = null;
  /** @type {Promise<OwnShare> | null} */
  #share = null;

  /** @param {SparesOptions} options */
  constructor(options) {
    this.#options = options;
    this.#identity = options.certificate ? identityOf(options.certificate) : ownIdentity();
  }

  /** @returns {Promise<unknown>} when there is one of each */
  prepare() {
    this.#share ??= this.#makeShare();
    return Promise.all([this.#prepareConnection(), this.#share]);
  }

  /** The network or the relay is another one. */
  renew() {
    if (!this.#connection) return;
    this.close();
    this.#prepareConnection().catch(() => {});
  }

  close() {
    this.#connection?.then((connection) => connection.close(), () => {});
    this.#connection = null;
  }

  /** @param {Kind} kind @param {MediaStreamTrack | null} track */
  async replaceTrack(kind, track) {
    await (await this.#connection)?.replaceTrack(kind, track);
  }

  /** @returns {Promise<OwnShare>} never the same twice */
  takeShare() {
    const share = this.#share ?? this.#makeShare();
    this.#share = null;
    return share;
  }

  /** @param {boolean} initiator @returns {Promise<Connection>} */
  async takeConnection(initiator) {
    const spare = this.#connection;
    if (spare && initiator === this.#options.initiator) {
      this.#connection = null;
      return spare;
    }
    return this.#makeConnection(initiator);
  }

  /** Only a group needs it, so only there it is loaded. @param {boolean} initiator */
  async makeDataConnection(initiator) {
    const { DataConnection } = await import("./dataconnection.js");
    const { certificate } = await this.#identity;
    if (initiator) await this.#iceServersKnown();
    const { iceServers, iceTransportPolicy } = this.#options;
    return new DataConnection({
      initiator,
      configuration: { iceServers: iceServers.current, iceTransportPolicy, certificates: [certificate] },
      iceServersKnown: () => this.#iceServersKnown(),
    });
  }

  /** @returns {Promise<unknown>} */
  #prepareConnection() {
    if (this.#connection) return this.#connection;
    const spare = this.#makeConnection(this.#options.initiator);
    this.#connection = spare;
    spare.catch(() => {
      if (this.#connection === spare) this.#connection = null;
    });
    return spare;
  }

  /** @param {boolean} initiator */
  async #makeConnection(initiator) {
    const { certificate } = await this.#identity;
    // An offer is made at once, an answer later.
    if (initiator) await this.#iceServersKnown();
    const { tracks, iceServers, iceTransportPolicy } = this.#options;
    const connection = new Connection({
      initiator, certificate, tracks, iceTransportPolicy,
      iceServers: iceServers.current,
      iceServersKnown: () => this.#iceServersKnown(),
      refreshIceServers: () => this.#refreshIceServers(),
    });
    await connection.prepare();
    return connection;
  }

  async #makeShare() {
    const { fingerprint } = await this.#identity;
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    return makeShare({ hasSecret: this.#options.hasSecret, fingerprint, nonce });
  }

  /** @returns {Promise<void>} */
  #iceServersKnown() {
    const { iceServers, iceTransportPolicy: policy } = this.#options;
    return iceServers.ready({ success: policy === "relay", within: RELAY_PATIENCE[policy] });
  }

  /** @returns {Promise<void>} */
  #refreshIceServers() {
    return Promise.race([
      this.#options.iceServers.refresh(),
      /** @type {Promise<void>} */ (new Promise((resolve) => {
        setTimeout(resolve, REFRESH_PATIENCE);
      })),
    ]);
  }
}
