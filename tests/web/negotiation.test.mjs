import assert from "node:assert/strict";
import { test } from "node:test";

import { Negotiation } from "../../web/js/negotiation.js";

/** The parts of a browser's RTCPeerConnection that decide who says what, and when. */
class Connection extends EventTarget {
  signalingState = "stable";
  localDescription = null;
  remoteDescription = null;
  candidates = [];
  restarts = 0;
  log = [];
  #made = 0;

  async setLocalDescription() {
    await Promise.resolve();
    const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
    this.#made += 1;
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    this.localDescription = { type, sdp: `own ${this.#made}` };
    this.log.push(type);
  }

  async setRemoteDescription({ type, sdp }) {
    await Promise.resolve();
    if (type === "offer" && this.signalingState !== "stable") this.log.push("rollback");
    this.signalingState = type === "offer" ? "have-remote-offer" : "stable";
    this.remoteDescription = { type, sdp };
    this.log.push(sdp);
  }

  async addIceCandidate(candidate) {
    if (candidate?.candidate === "foreign") throw new Error("of no description");
    const fragment = candidate?.usernameFragment;
    if (fragment && !this.remoteDescription.sdp.includes(fragment)) throw new Error("of another");
    this.candidates.push(candidate);
  }

  restartIce() {
    this.restarts += 1;
  }

  gather(candidate) {
    const json = candidate && { candidate, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "u" };
    this.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate: json }));
  }

  needNegotiation() {
    this.dispatchEvent(new Event("negotiationneeded"));
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

function side(polite) {
  const pc = new Connection();
  const adopted = [];
  const negotiation = new Negotiation(pc, {
    polite, adopt: () => adopted.push(pc.signalingState), beforeAnswer: async () => {},
  });
  const sent = [];
  return { pc, negotiation, sent, adopted, start: () => negotiation.start((content) => sent.push(content)) };
}

const offer = (sdp = "theirs") => ({ type: "offer", sdp });
const answer = (sdp = "theirs") => ({ type: "answer", sdp });

test("what was prepared leaves at the start, in one piece, and nothing of it before", async () => {
  const { pc, negotiation, sent, start } = side(false);
  await negotiation.prepare();
  pc.gather("early");
  pc.needNegotiation();
  await settle();
  assert.deepEqual(sent, []);
  start();
  await settle();
  assert.deepEqual(sent, [{ description: { type: "offer", sdp: "own 1" } }]);
  pc.gather("late");
  pc.gather(null);
  assert.deepEqual(sent.slice(1).map(({ candidate }) => candidate?.candidate ?? candidate), ["late", null]);
  assert.deepEqual(pc.log, ["offer"], "one offer, whatever was asked for before");
});

test("the responder waits for the offer, adopts it and answers", async () => {
  const { pc, negotiation, sent, adopted, start } = side(true);
  start();
  pc.needNegotiation();
  await settle();
  assert.deepEqual(sent, []);
  negotiation.receive(offer());
  negotiation.receive({ candidate: "theirs" });
  await settle();
  assert.deepEqual(adopted, ["have-remote-offer"]);
  assert.deepEqual(pc.log, ["theirs", "answer"]);
  assert.deepEqual(sent, [{ description: { type: "answer", sdp: "own 1" } }]);
  assert.equal(pc.candidates.length, 1, "after the description it belongs to");
});

test("candidates never overtake their description", async () => {
  const { pc, negotiation, sent, start } = side(false);
  await negotiation.prepare();
  start();
  negotiation.receive(answer());
  await settle();
  sent.length = 0;
  pc.needNegotiation();
  pc.gather("of the new description");
  assert.deepEqual(sent, []);
  await settle();
  assert.deepEqual(sent.map((content) => Object.keys(content)[0]), ["description", "candidate"]);
});

test("two offers at once: the impolite side's counts", async () => {
  const [impolite, polite] = [side(false), side(true)];
  for (const one of [impolite, polite]) {
    one.start();
    one.negotiation.receive(offer("first"));
    await settle();
    one.pc.needNegotiation();
    await settle();
    one.negotiation.receive(offer("colliding"));
    await settle();
  }
  // A candidate of the offer that was passed over belongs to nothing, and is no fault.
  impolite.negotiation.receive({ candidate: "foreign" });
  await settle();
  assert.deepEqual(impolite.pc.log, ["first", "answer", "offer"]);
  assert.equal(polite.pc.log.at(-1), "answer");
  assert.ok(polite.pc.log.includes("rollback") && polite.pc.log.includes("colliding"));
});

test("a candidate of before a restart of ICE is no fault; any other that is not taken is", async (t) => {
  const { pc, negotiation, start } = side(false);
  const faults = [];
  globalThis.reportError = (error) => faults.push(error.message);
  t.after(() => delete globalThis.reportError);
  await negotiation.prepare();
  start();
  negotiation.receive(answer("v=0\r\na=ice-ufrag:new\r\n"));
  negotiation.receive({ candidate: "late", usernameFragment: "old" });
  negotiation.receive({ candidate: "right", usernameFragment: "new" });
  await settle();
  assert.deepEqual(faults, []);
  assert.deepEqual(pc.candidates.map(({ candidate }) => candidate), ["right"]);
  negotiation.receive({ candidate: "foreign", usernameFragment: "new" });
  await settle();
  assert.deepEqual(faults, ["of no description"]);
});

test("only the initiator restarts ICE; the responder asks, and both at once make one restart", async () => {
  const initiator = side(false);
  await initiator.negotiation.prepare();
  initiator.start();
  await settle();
  initiator.negotiation.restartAsked();
  assert.equal(initiator.pc.restarts, 0, "an offer is under way already");
  initiator.negotiation.receive(answer());
  await settle();
  initiator.negotiation.restartAsked();
  assert.equal(initiator.pc.restarts, 1);
  initiator.negotiation.restartIce();
  assert.equal(initiator.pc.restarts, 2);

  const responder = side(true);
  responder.start();
  responder.negotiation.restartIce();
  assert.deepEqual(responder.sent, [], "nothing to restart yet");
  responder.negotiation.receive(offer());
  await settle();
  responder.negotiation.restartIce();
  responder.negotiation.restartAsked();
  assert.deepEqual(responder.sent.at(-1), { restart: true });
  assert.equal(responder.pc.restarts, 0);
});
