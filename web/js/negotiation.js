// @ts-check
/**
 * Perfect negotiation on one RTCPeerConnection (W3C webrtc-pc section 10.7; RFC 8829), whose first
 * offer may have been made, and its candidates gathered, long before anybody may see them.
 */

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").Description} Description
 */

export class Negotiation {
  #pc;
  #polite;
  #adopt;
  #beforeAnswer;
  /** The first description has gone out. */
  /** @type {(content: Content) => void} */
  #send = () => {};
  #started = false;
  /** The three flags of the W3C example. */
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  /** Descriptions being made whose candidates must not overtake them. */
  #describing = 0;
  /** @type {(RTCIceCandidateInit | null)[]} */
  #held = [];
  /** @type {Promise<void>} */
  #chain = Promise.resolve();
  /** @type {Promise<void> | null} */
  #prepared = null;

  /**
   * @param {RTCPeerConnection} pc with its transceivers
   * @param {{polite: boolean, adopt: () => void, beforeAnswer: () => Promise<void>}} options adopt: the
   *   other's offer is applied, and its transceivers may be given tracks and directions before the
   *   answer; beforeAnswer: what gathers candidates for the answer may still be configured
   */
  constructor(pc, { polite, adopt, beforeAnswer }) {
    this.#pc = pc;
    this.#polite = polite;
    this.#adopt = adopt;
    this.#beforeAnswer = beforeAnswer;
    pc.addEventListener("negotiationneeded", () => this.#offer());
    pc.addEventListener("icecandidate", ({ candidate }) => this.#candidate(candidate));
  }

  /** Makes the first offer and lets candidates be gathered; nothing is sent. */
  prepare() {
    this.#prepared ??= this.#pc.setLocalDescription();
    return this.#prepared;
  }

  /**
   * From now on it may be known. What was prepared goes out, in one piece; if nothing was, the other
   * side offers.
   *
   * @param {(content: Content) => void} send in the order of calls
   */
  start(send) {
    this.#send = send;
    this.#enqueue(async () => {
      if (!this.#prepared) return;
      await this.#prepared;
      this.#started = true;
      this.#describe();
    });
  }

  /**
   * Finds a path anew. Only the initiator offers it, the responder asks: both tend to notice at once
   * that the network is another one, and the picture on the side that must then roll its offer back
   * stays frozen for good in Chromium (seen in 156), though frames are received and decoded.
   */
  restartIce() {
    if (!this.#polite) this.#pc.restartIce();
    else if (this.#started) this.#send({ restart: true });
  }

  /** The responder asks for it. */
  restartAsked() {
    // What is under way does it, too: the answer to it comes from the responder's new network.
    const underWay = this.#makingOffer || this.#pc.signalingState !== "stable";
    if (!this.#polite && !underWay) this.#pc.restartIce();
  }

  /** @param {Description | RTCIceCandidateInit | null} received a description has a `type` */
  receive(received) {
    this.#enqueue(async () => {
      if (received !== null && "type" in received) await this.#apply(received);
      else await this.#addCandidate(received);
    });
  }

  async #offer() {
    // The first offer is `prepare`'s, or the other side's.
    if (!this.#started) return;
    try {
      this.#makingOffer = true;
      this.#describing += 1;
      await this.#pc.setLocalDescription();
      this.#describe();
    } catch (error) {
      this.#fault(error);
    } finally {
      this.#makingOffer = false;
      this.#described();
    }
  }

  /** @param {Description} description */
  async #apply(description) {
    const pc = this.#pc;
    const readyForOffer = !this.#makingOffer
      && (pc.signalingState === "stable" || this.#isSettingRemoteAnswerPending);
    const collision = description.type === "offer" && !readyForOffer;
    this.#ignoreOffer = !this.#polite && collision;
    if (this.#ignoreOffer) return;
    this.#isSettingRemoteAnswerPending = description.type === "answer";
    try {
      await pc.setRemoteDescription(description);
    } finally {
      this.#isSettingRemoteAnswerPending = false;
    }
    if (description.type !== "offer") return;
    this.#adopt();
    await this.#beforeAnswer();
    this.#describing += 1;
    try {
      await pc.setLocalDescription();
      this.#started = true;
      this.#describe();
    } finally {
      this.#described();
    }
  }

  #describe() {
    const description = this.#pc.localDescription;
    if (!description || (description.type !== "offer" && description.type !== "answer")) return;
    this.#send({ description: { type: description.type, sdp: description.sdp } });
  }

  /** @param {RTCIceCandidate | null} candidate */
  #candidate(candidate) {
    // Before the first description is out, candidates become part of it.
    if (!this.#started) return;
    const json = candidate === null ? null : candidateOf(candidate);
    if (this.#describing > 0) this.#held.push(json);
    else this.#send({ candidate: json });
  }

  #described() {
    this.#describing -= 1;
    if (this.#describing > 0) return;
    for (const candidate of this.#held.splice(0)) this.#send({ candidate });
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #addCandidate(candidate) {
    try {
      await this.#pc.addIceCandidate(candidate ?? undefined);
    } catch (error) {
      // Candidates of an offer that was ignored, or of before a restart, belong to nothing.
      if (!this.#ignoreOffer && !this.#isFormer(candidate)) throw error;
    }
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  #isFormer(candidate) {
    const fragment = candidate?.usernameFragment;
    const lines = this.#pc.remoteDescription?.sdp.split(/\r?\n/) ?? [];
    return !!fragment && !lines.includes(`a=ice-ufrag:${fragment}`);
  }

  /** @param {() => Promise<void>} task */
  #enqueue(task) {
    this.#chain = this.#chain.then(task).catch((error) => this.#fault(error));
  }

  /** @param {unknown} error */
  #fault(error) {
    // Closing a connection interrupts what is under way; that is no fault.
    if (this.#pc.signalingState !== "closed") reportError(error);
  }
}

/**
 * @param {RTCIceCandidate} candidate
 * @returns {RTCIceCandidateInit}
 */
function candidateOf(candidate) {
  const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
  return { candidate: candidate.candidate, sdpMid, sdpMLineIndex, usernameFragment };
}
