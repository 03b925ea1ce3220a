// A camera while its blur is still loading: whoever goes, or switches it off, has it dark at once.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** What a browser gives of a camera or microphone; `live` as long as its light is on. */
class Track extends EventTarget {
  readyState = "live";
  enabled = true;
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
    return { deviceId: this.kind };
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

class Generator extends Track {
  writable = {};

  constructor({ kind }) {
    super(kind);
  }
}

Object.assign(globalThis, {
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
      getUserMedia: async ({ audio, video }) =>
        new Stream([...(audio ? [new Track("audio")] : []), ...(video ? [new Track("video")] : [])]),
      enumerateDevices: async () => [],
      addEventListener: () => {},
    },
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
