// A camera while its blur is still loading: whoever goes, or switches it off, has it dark at once. And what the
// system takes away for a while, or for good.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** What a browser gives of a camera or microphone; `live` as long as its light is on. */
class Track extends EventTarget {
  readyState = "live";
  enabled = true;
  muted = false;
  contentHint = "";

  constructor(kind) {
    super();
    this.kind = kind;
    opened.push(this);
  }

  stop() {
    this.readyState = "ended";
  }

  clone() {
    const copy = new Track(this.kind);
    copy.readyState = this.readyState;
    return copy;
  }

  getSettings() {
    return { deviceId: this.kind, ...(this.kind === "video" ? { facingMode } : {}) };
  }

  /** The system takes it for something else, and gives it back. */
  mute(muted) {
    this.muted = muted;
    this.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  }
}

class Stream {
  #tracks;

  constructor(tracks = []) {
    this.#tracks = [...tracks];
  }

  getTracks() {
    return [...this.#tracks];
  }

  addTrack(track) {
    this.#tracks.push(track);
  }

  removeTrack(track) {
    this.#tracks = this.#tracks.filter((one) => one !== track);
  }
}

/** A worker that says that it is ready when the test says so. */
class SlowWorker extends EventTarget {
  constructor() {
    super();
    workers.push(this);
  }

  postMessage() {}

  loaded() {
    this.dispatchEvent(Object.assign(new Event("message"), { data: { type: "ready" } }));
  }

  terminate() {
    this.gone = true;
  }
}

let opened = [];
let workers = [];
let facingMode = "user";
/** What opening a device fails with. */
let refusal = null;
let permitted = "granted";
const page = Object.assign(new EventTarget(), { visibilityState: "visible" });

class Generator extends Track {
  writable = {};

  constructor({ kind }) {
    super(kind);
  }
}

Object.assign(globalThis, {
  document: page,
  MediaStream: Stream,
  Worker: SlowWorker,
  MediaStreamTrackProcessor: class {
    constructor({ track }) {
      if (track.readyState === "ended") throw new TypeError("ended");
    }
  },
  MediaStreamTrackGenerator: Generator,
});
Object.defineProperty(globalThis, "navigator", {
  configurable: true,
  value: {
    mediaDevices: {
      getUserMedia: async ({ audio, video }) => {
        if (refusal !== null) throw Object.assign(new Error(refusal), { name: refusal });
        return new Stream([...(audio ? [new Track("audio")] : []), ...(video ? [new Track("video")] : [])]);
      },
      enumerateDevices: async () => [],
      addEventListener: () => {},
    },
    permissions: { query: async () => ({ state: permitted }) },
  },
});

const { DeviceSet } = await import("../../web/js/devices.js");

const CHOICE = { microphone: true, camera: true, blur: true, microphoneId: "", cameraId: "" };
const lit = () => opened.filter(({ kind, readyState }) => kind === "video" && readyState === "live");
const tick = () => new Promise((resolve) => setImmediate(resolve));

async function until(condition, what) {
  for (let turns = 0; turns < 10_000; turns += 1) {
    if (condition()) return;
    await tick();
  }
  assert.fail(what);
}

/** Devices whose blur is loading. */
async function loading(choice = CHOICE) {
  const devices = new DeviceSet(choice);
  const opening = devices.open();
  await until(() => workers.length === 1, "the blur is loading");
  assert.equal(lit().length, 1);
  return { devices, opening };
}

beforeEach(() => {
  opened = [];
  workers = [];
  facingMode = "user";
  refusal = null;
  permitted = "granted";
  page.visibilityState = "visible";
});

test("leaving while the blur is loading", async () => {
  const { devices, opening } = await loading();
  devices.close();
  assert.deepEqual(lit(), []);
  assert.equal(devices.state.camera, "idle");
  await opening;
  assert.ok(workers[0].gone, "nobody waits for the blur");
  assert.equal(devices.state.camera, "idle");
});

test("the camera switched off while the blur is loading", async () => {
  const { devices, opening } = await loading();
  await devices.switch("camera", false);
  assert.deepEqual(lit(), []);
  await opening;
  assert.equal(devices.state.camera, "off");
});

test("another camera while the blur is loading: never two of them", async () => {
  const { devices, opening } = await loading();
  const [first] = lit();
  void devices.choose("camera", "other");
  assert.equal(first.readyState, "ended");
  await until(() => workers.length === 2, "the blur of the other one is loading");
  await opening;
  workers[1].loaded();
  await until(() => devices.state.camera === "on", "the other one is on");
  devices.close();
  assert.deepEqual(lit(), []);
});

test("no blur wanted any more while it is loading: the camera is shown as it is", async () => {
  const { devices, opening } = await loading();
  await devices.blur(false);
  await opening;
  assert.equal(devices.state.camera, "on");
  assert.equal(lit().length, 1);
  assert.deepEqual(lit(), devices.stream.getTracks().filter(({ kind }) => kind === "video"));
});

test("blur switched on in use, and the camera off before it is there", async () => {
  const devices = new DeviceSet({ ...CHOICE, blur: false });
  await devices.open();
  const blurring = devices.blur(true);
  await until(() => workers.length === 1, "the blur is loading");
  assert.equal(lit().length, 2, "the camera goes on meanwhile");
  await devices.switch("camera", false);
  assert.deepEqual(lit(), []);
  await blurring;
  assert.equal(devices.state.camera, "off");
});

test("what is loaded in time is used, can be switched off, and ends with the visit", async () => {
  const { devices, opening } = await loading();
  workers[0].loaded();
  await opening;
  assert.equal(devices.state.camera, "on");
  // The raw picture goes on when nothing is blurred any more.
  await devices.blur(false);
  assert.equal(lit().length, 1);
  assert.ok(workers[0].gone);
  devices.close();
  assert.deepEqual(lit(), []);
});

/** Devices in use, and time in the hands of the test. */
async function inUse(context, choice = {}) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const devices = new DeviceSet({ ...CHOICE, blur: false, ...choice });
  const told = [];
  devices.on("state", ({ camera, microphone }) => {
    const now = `${microphone} ${camera}`;
    if (told.at(-1) !== now) told.push(now);
  });
  await devices.open();
  context.after(() => devices.close());
  told.length = 0;
  return {
    devices, told,
    track: (kind) => devices.stream.getTracks().find((one) => one.kind === kind),
    pass: (ms) => context.mock.timers.tick(ms),
  };
}

function look(visible) {
  page.visibilityState = visible ? "visible" : "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
}

test("what the system takes for a telephone call is said to be paused, and is opened anew afterwards", async (context) => {
  const { devices, told, track, pass } = await inUse(context);
  for (const [kind, paused] of [["audio", "paused on"], ["video", "on paused"]]) {
    const before = track(kind);
    before.mute(true);
    pass(1000);
    assert.equal(told.at(-1), paused);
    before.mute(false);
    await until(() => told.at(-1) === "on on", "it is back");
    assert.notEqual(track(kind), before, "what has been interrupted may give nothing any more");
    assert.equal(before.readyState, "ended");
  }
  assert.equal(devices.state.microphone, "on");
});

test("a moment's silence is no word and no other track", async (context) => {
  const { told, track, pass } = await inUse(context);
  const before = track("audio");
  for (let times = 0; times < 3; times += 1) {
    before.mute(true);
    pass(900);
    before.mute(false);
  }
  pass(5000);
  await tick();
  assert.deepEqual(told, []);
  assert.equal(track("audio"), before);
});

test("coming back to the page opens what was paused, though nothing says that it could", async (context) => {
  const { told, track, pass } = await inUse(context);
  const before = track("video");
  look(false);
  before.mute(true);
  pass(1000);
  assert.equal(told.at(-1), "on paused");
  look(true);
  await until(() => told.at(-1) === "on on", "it is back");
  assert.notEqual(track("video"), before);
});

test("what comes back while nobody looks is used, and opened anew when somebody does", async (context) => {
  const { told, track, pass } = await inUse(context);
  const before = track("audio");
  look(false);
  before.mute(true);
  pass(1000);
  before.mute(false);
  assert.equal(told.at(-1), "on on");
  assert.equal(track("audio"), before);
  look(true);
  await until(() => track("audio") !== before && told.at(-1) === "on on", "it is another");
});

test("while it cannot be had it stays paused, and is tried again", async (context) => {
  const { told, track, pass } = await inUse(context);
  track("audio").mute(true);
  pass(1000);
  refusal = "NotReadableError";
  look(true);
  await until(() => track("audio") === undefined && told.at(-1) === "paused on", "still paused");
  refusal = null;
  look(true);
  await until(() => told.at(-1) === "on on", "it is back");
});

test("a microphone that was taken while it was off, or is silent still, is opened anew when switched on", async (context) => {
  const { devices, told, track, pass } = await inUse(context);
  for (const back of [true, false]) {
    await devices.switch("microphone", false);
    const before = track("audio");
    before.mute(true);
    pass(1000);
    if (back) before.mute(false);
    assert.equal(told.at(-1), "off on", "it is the person's choice that it is off");
    await devices.switch("microphone", true);
    assert.equal(told.at(-1), "on on");
    assert.notEqual(track("audio"), before);
  }
  const before = track("audio");
  await devices.switch("microphone", false);
  await devices.switch("microphone", true);
  assert.equal(track("audio"), before, "one that is well is only switched");
});

test("a track that begins silent is not opened again and again", async (context) => {
  const { devices, told, track, pass } = await inUse(context);
  track("audio").mute(true);
  pass(1000);
  const { getUserMedia } = navigator.mediaDevices;
  context.after(() => Object.assign(navigator.mediaDevices, { getUserMedia }));
  navigator.mediaDevices.getUserMedia = async () => {
    const late = new Track("audio");
    late.muted = true;
    return new Stream([late]);
  };
  await devices.switch("microphone", true);
  const late = track("audio");
  pass(1000);
  assert.equal(told.at(-1), "paused on");
  late.mute(false);
  await tick();
  assert.equal(told.at(-1), "on on");
  assert.equal(track("audio"), late);
});

test("a blurred camera is paused with the camera that it is made of", async (context) => {
  const { devices, opening } = await loading();
  workers[0].loaded();
  await opening;
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const raw = opened.find((track) => track.kind === "video" && !(track instanceof Generator));
  raw.mute(true);
  context.mock.timers.tick(1000);
  assert.equal(devices.state.camera, "paused");
  devices.close();
});

test("what has ended is taken again by whoever comes back to the page", async (context) => {
  const { told, track } = await inUse(context);
  track("video").dispatchEvent(new Event("ended"));
  assert.equal(told.at(-1), "on lost");
  refusal = "NotReadableError";
  look(true);
  await until(() => told.at(-1) === "on lost" && told.includes("on opening"), "in vain, with the same words");
  refusal = null;
  look(true);
  await until(() => told.at(-1) === "on on", "it is back");
});

test("a camera that is off stays off when somebody comes back", async (context) => {
  const { devices, told, track } = await inUse(context);
  track("video").dispatchEvent(new Event("ended"));
  await devices.switch("camera", false);
  look(true);
  await tick();
  assert.equal(told.at(-1), "on off");
  assert.equal(track("video"), undefined);
});

test("a permission taken back is said, not a cable", async (context) => {
  const { told, track } = await inUse(context);
  permitted = "denied";
  track("audio").dispatchEvent(new Event("ended"));
  await until(() => told.at(-1) === "refused on", "it is refused");
});

test("after the end nothing comes back", async (context) => {
  const { devices, track, pass } = await inUse(context);
  const before = track("audio");
  before.mute(true);
  devices.close();
  pass(1000);
  look(true);
  before.mute(false);
  await tick();
  assert.deepEqual([devices.state.microphone, devices.stream.getTracks()], ["idle", []]);
});

test("who leaves while it is being opened anew has it idle", async (context) => {
  const { devices, track, pass } = await inUse(context);
  track("audio").mute(true);
  pass(1000);
  refusal = "NotReadableError";
  look(true);
  devices.close();
  for (let turns = 0; turns < 10; turns += 1) await tick();
  assert.equal(devices.state.microphone, "idle");
});

test("where the camera looks is known, through the blur as well", async (context) => {
  facingMode = "environment";
  const { devices } = await inUse(context);
  assert.equal(devices.state.facing, "environment");
  context.mock.timers.reset();
  const blurring = devices.blur(true);
  await until(() => workers.length === 1, "the blur is loading");
  workers[0].loaded();
  await blurring;
  assert.equal(devices.state.facing, "environment");
  facingMode = "user";
  await devices.blur(false);
  assert.equal(devices.state.facing, "user");
});
