// The people on the other side, the devices on this one, and what is said aloud of their changes.
import assert from "node:assert/strict";
import { test } from "node:test";

import { announcementsBetween } from "../../web/js/announcements.js";
import { healthOf, peopleOf, reduceCall } from "../../web/js/callstate.js";
import {
  faultOf,
  NO_DEVICES,
  readinessOf,
  statusOf,
  worthTrying,
} from "../../web/js/devicestate.js";
import { JOIN_START, reduceJoin } from "../../web/js/joinstate.js";
import { loudness, startMeter } from "../../web/js/meter.js";

const view = (you, ...ids) => ({
  version: 1,
  you,
  host_present: true,
  locked: false,
  place: null,
  participants: ids.map((id) => ({
    id,
    instance: "i",
    name: id.toUpperCase(),
    role: "client",
    status: "in_call",
    connected: true,
    since: 0,
  })),
});

test("who stays keeps the state, who goes is dropped, oneself is not shown", () => {
  let call = peopleOf([], view("in_call", "me", "a", "b"), "me");
  call = reduceCall(call, { type: "peer_path", participant: "a", path: "relay" });
  call = peopleOf(call, view("in_call", "me", "c", "a"), "me");
  assert.deepEqual(
    call.map(({ id, path }) => [id, path]),
    [
      ["c", null],
      ["a", "relay"],
    ],
  );
  assert.deepEqual(peopleOf(call, view("waiting"), "me"), []);
});

test("who waits or was removed is not in the call", () => {
  const room = view("in_call", "a", "b");
  room.participants[0].status = "waiting";
  room.participants[1].status = "removed";
  assert.deepEqual(peopleOf([], room, "me"), []);
});

test("a refusal outweighs every state of the connection, and ends with the next good exchange", () => {
  let call = peopleOf([], view("in_call", "a"), "me");
  call = reduceCall(call, {
    type: "peer_security",
    participant: "a",
    verified: "code",
    code: "123456",
  });
  call = reduceCall(call, { type: "peer_compared", participant: "a" });
  call = reduceCall(call, { type: "peer_refused", participant: "a", reason: "replayed" });
  call = reduceCall(call, { type: "peer_connection", participant: "a", state: "closed" });
  assert.equal(healthOf(call[0]), "refused");
  assert.deepEqual([call[0].security, call[0].compared], [null, false]);
  call = reduceCall(call, { type: "peer_retry", participant: "a" });
  assert.equal(healthOf(call[0]), "connecting");
});

test("a compared code counts only as long as it is the same", () => {
  let call = peopleOf([], view("in_call", "a"), "me");
  const security = (code) => ({ type: "peer_security", participant: "a", verified: "code", code });
  call = reduceCall(call, security("111111"));
  call = reduceCall(call, { type: "peer_compared", participant: "a" });
  assert.equal(reduceCall(call, security("111111"))[0].compared, true);
  assert.equal(reduceCall(call, security("222222"))[0].compared, false);
});

test("a broken connection with the socket gone reads as away, else as interrupted", () => {
  const [remote] = peopleOf([], view("in_call", "a"), "me");
  assert.equal(healthOf({ ...remote, connection: "disconnected" }), "interrupted");
  assert.equal(healthOf({ ...remote, connection: "disconnected", present: false }), "away");
  assert.equal(
    healthOf({ ...remote, connection: "connected", present: false }),
    "fine",
    "media that flows matters more than a lost socket",
  );
});

test("who has spoken last is known, and a muted one does not speak", () => {
  let call = peopleOf([], view("in_call", "a", "b", "c"), "me");
  const speakers = (...speaking) => {
    call = reduceCall(call, { type: "peer_speakers", speaking });
    return call.map(({ speaking: now, spoke }) => [now, spoke]);
  };
  assert.deepEqual(speakers("b"), [[false, 0], [true, 1], [false, 0]]);
  assert.deepEqual(speakers("b", "a"), [[true, 2], [true, 1], [false, 0]]);
  assert.deepEqual(speakers("c"), [[false, 2], [false, 1], [true, 3]]);
  const muted = { type: "peer_media", participant: "c", audio: false, video: true };
  assert.equal(reduceCall(call, muted)[2].speaking, false);
});

test("what is told of a hand or of sound only is one person's, and goes with that person", () => {
  let call = peopleOf([], view("in_call", "a", "b"), "me");
  call = reduceCall(call, { type: "peer_told", participant: "b", told: { hand: 1 } });
  call = reduceCall(call, { type: "peer_told", participant: "b", told: { sound: "thin" } });
  call = peopleOf(call, view("in_call", "a", "b"), "me");
  assert.deepEqual(call.map(({ hand, sound }) => [hand, sound]), [[0, ""], [1, "thin"]]);
  call = peopleOf(peopleOf(call, view("in_call", "a"), "me"), view("in_call", "a", "b"), "me");
  assert.deepEqual(call.map(({ hand, sound }) => [hand, sound]), [[0, ""], [0, ""]]);
});

test("a picture that a line is too thin for is not called a camera switched off", () => {
  const call = peopleOf([], view("in_call", "a"), "me");
  const off = reduceCall(call, { type: "peer_media", participant: "a", audio: true, video: false });
  const thin = (some) => reduceCall(some, { type: "peer_told", participant: "a", told: { sound: "thin" } });
  const said = (before, after) => announcementsBetween(
    { ...JOIN_START, phase: "call", call: before }, { ...JOIN_START, phase: "call", call: after },
  ).map(({ key }) => key);
  assert.deepEqual(said(call, off), ["say.camera_off"]);
  assert.deepEqual(said(thin(call), thin(off)), []);
  assert.deepEqual(said(thin(off), thin(call)), []);
});

test("pins, screens and quality belong to one person and outlast a new view of the room", () => {
  let call = peopleOf([], view("in_call", "a", "b"), "me");
  for (const event of [
    { type: "peer_pin" }, { type: "peer_screen", screen: true }, { type: "peer_quality", quality: "bad" },
  ]) {
    call = reduceCall(call, { participant: "a", ...event });
  }
  call = peopleOf(call, view("in_call", "b", "a"), "me");
  assert.deepEqual(call.map(({ pinned, screen, quality }) => [pinned, screen, quality]), [
    [false, false, "good"], [true, true, "bad"],
  ]);
  call = reduceCall(call, { type: "peer_pin", participant: "a" });
  assert.equal(call[1].pinned, false);
});

test("what is asked of somebody is done with when it is done, or at the end", () => {
  const room = (you) => ({ type: "room", room: { ...view(you, "a"), media: { mode: "p2p", generation: 0 } } });
  const on = { type: "devices", devices: { ...NO_DEVICES, microphone: "on" } };
  let state = reduceJoin({ ...JOIN_START, phase: "waiting" }, room("in_call"));
  assert.equal(reduceJoin(state, { type: "mute_asked" }).muteAsked, false, "it is off");
  state = reduceJoin(reduceJoin(state, on), { type: "mute_asked" });
  assert.equal(state.muteAsked, true);
  assert.deepEqual(
    announcementsBetween({ ...state, muteAsked: false }, state).map(({ key }) => key), ["say.mute_asked"],
  );
  assert.equal(reduceJoin(state, { type: "mute_answered" }).muteAsked, false);
  const off = { type: "devices", devices: { ...NO_DEVICES, microphone: "off" } };
  assert.equal(reduceJoin(state, off).muteAsked, false);
  assert.equal(reduceJoin(state, { type: "leave", over: "left" }).muteAsked, false);
});

test("who cannot take part in a group is told so until let in", () => {
  let state = { ...JOIN_START, phase: "waiting" };
  state = reduceJoin(state, { type: "unsupported" });
  assert.equal(state.unsupported, true);
  assert.equal(reduceJoin(state, { type: "room", room: view("waiting") }).unsupported, true);
  assert.equal(reduceJoin(state, { type: "room", room: view("admitted") }).unsupported, false);
});

test("what a browser's refusal means", () => {
  const named = (name) => Object.assign(new Error("x"), { name });
  assert.equal(statusOf(named("NotAllowedError")), "refused");
  assert.equal(statusOf(named("NotFoundError")), "none");
  assert.equal(statusOf(named("NotReadableError")), "busy");
  assert.equal(statusOf(new TypeError("undefined is not an object")), "insecure");
  assert.equal(statusOf(named("SomethingNew")), "failed");
  assert.equal(statusOf(null), "failed");
});

test("who has said no is not asked a second time", () => {
  const both = ["microphone", "camera"];
  assert.deepEqual(worthTrying("none", { camera: "prompt", microphone: "prompt" }), both);
  assert.deepEqual(worthTrying("refused", { camera: "denied", microphone: "granted" }), [
    "microphone",
  ]);
  assert.deepEqual(worthTrying("refused", { camera: "denied", microphone: "prompt" }), [
    "microphone",
  ]);
  assert.deepEqual(worthTrying("refused", { camera: "denied", microphone: "denied" }), []);
  assert.deepEqual(worthTrying("refused", { camera: "prompt", microphone: "prompt" }), []);
  assert.deepEqual(worthTrying("refused", { camera: "unknown", microphone: "unknown" }), []);
  assert.deepEqual(worthTrying("insecure", { camera: "granted", microphone: "granted" }), []);
});

test("readiness and the fault to explain", () => {
  const devices = (microphone, camera) => ({ ...NO_DEVICES, microphone, camera });
  assert.equal(readinessOf(devices("on", "off")), "ready");
  assert.equal(readinessOf(devices("on", "none")), "sound_only");
  assert.equal(readinessOf(devices("refused", "on")), "picture_only");
  assert.equal(readinessOf(devices("none", "none")), "nothing");
  assert.equal(readinessOf(devices("opening", "none")), "opening");
  assert.equal(faultOf(devices("on", "off")), null, "off is a choice, no fault");
  assert.deepEqual(faultOf(devices("none", "none")), { kind: "both", status: "none" });
  assert.deepEqual(faultOf(devices("on", "busy")), { kind: "camera", status: "busy" });
  assert.deepEqual(faultOf(devices("busy", "none")), { kind: "microphone", status: "busy" });
});

test("changes are said once, and only what has changed", () => {
  const call = peopleOf([], view("in_call", "a"), "me");
  const before = { ...JOIN_START, phase: "call", call };
  const keys = (after) =>
    announcementsBetween(before, { ...before, ...after }).map(({ key }) => key);
  assert.deepEqual(keys({}), []);
  assert.deepEqual(
    keys({
      call: reduceCall(call, { type: "peer_connection", participant: "a", state: "connected" }),
    }),
    ["say.connected"],
  );
  assert.deepEqual(
    keys({
      call: reduceCall(call, { type: "peer_media", participant: "a", audio: false, video: true }),
    }),
    ["say.muted"],
  );
  assert.deepEqual(
    announcementsBetween({ ...before, phase: "waiting" }, before).map(({ key, urgent }) => [
      key,
      urgent,
    ]),
    [["say.admitted", true]],
  );
});

test("a code to be compared is said at once, digit by digit, whenever its question comes up", () => {
  const nobody = peopleOf([], view("in_call", "a", "b"), "me");
  const security = (call, participant, code, verified = "code") =>
    reduceCall(call, { type: "peer_security", participant, verified, code });
  const said = (before, after) => announcementsBetween(
    { ...JOIN_START, phase: "call", call: before }, { ...JOIN_START, phase: "call", call: after },
  );
  const words = (name, code) => [{ key: "say.compare", values: { name, code }, urgent: true }];

  assert.deepEqual(said(nobody, security(nobody, "a", "123456", "link")), []);
  const first = security(nobody, "a", "123456");
  assert.deepEqual(said(nobody, first), words("A", "1 2 3 4 5 6"));
  assert.deepEqual(said(first, security(first, "a", "123456")), []);
  assert.deepEqual(said(first, security(first, "a", "654321")), words("A", "6 5 4 3 2 1"));

  // One after another, as they are shown.
  const both = security(first, "b", "111111");
  assert.deepEqual(said(first, both), []);
  const compared = reduceCall(both, { type: "peer_compared", participant: "a" });
  assert.deepEqual(said(both, compared), words("B", "1 1 1 1 1 1"));
  const done = reduceCall(compared, { type: "peer_compared", participant: "b" });
  assert.deepEqual(said(compared, done), []);

  // A new one in the place of one that was compared is a question again.
  assert.deepEqual(said(done, security(done, "a", "222222")), words("A", "2 2 2 2 2 2"));
  const refused = reduceCall(first, { type: "peer_refused", participant: "a", reason: "replayed" });
  assert.deepEqual(said(first, refused), []);
});

test("loudness runs from silence to full, and bears an empty buffer", () => {
  assert.equal(loudness(new Float32Array(8)), 0);
  assert.equal(loudness(new Float32Array(0)), 0);
  assert.equal(loudness(new Float32Array(8).fill(1)), 1);
  const [soft, loud] = [0.02, 0.1].map((a) => loudness(new Float32Array(8).fill(a)));
  assert.ok(soft > 0 && soft < loud && loud < 1);
});

test("a meter whose context is interrupted says nothing, and wakes it", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const audio = {
    state: "running", resumed: 0,
    createAnalyser: () => ({ fftSize: 0, getFloatTimeDomainData: (samples) => samples.fill(0.1) }),
    createMediaStreamSource: () => ({ connect: () => {}, disconnect: () => {} }),
    resume: async () => void (audio.resumed += 1),
    close: async () => {},
  };
  const AudioContext = function () {
    return audio;
  };
  Object.assign(globalThis, { window: { AudioContext }, AudioContext, MediaStream: class {} });
  const heard = [];
  const stop = startMeter({ getAudioTracks: () => [{}] }, (level) => heard.push(level));
  for (const [state, reports, resumed] of [["running", 1, 0], ["interrupted", 1, 1], ["suspended", 1, 2], ["running", 2, 2]]) {
    audio.state = state;
    context.mock.timers.tick(100);
    assert.deepEqual([heard.length, audio.resumed], [reports, resumed], state);
  }
  stop();
});
