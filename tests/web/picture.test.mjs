// Sound and picture of the other side that the system has paused: started again, or a button says so.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./paper.mjs";

const REFUSED = Object.assign(new Error("not now"), { name: "NotAllowedError" });
let sounds = [];
let refuses = false;
let clock = 0;

class Sound extends EventTarget {
  srcObject = null;
  paused = true;
  started = 0;

  constructor() {
    super();
    sounds.push(this);
  }

  async play() {
    this.started += 1;
    if (refuses) throw REFUSED;
    this.paused = false;
  }
}

class Stream {
  getAudioTracks() {
    return [];
  }
}

Object.assign(globalThis, { Audio: Sound, MediaStream: Stream });
performance.now = () => clock;
const { createPicture, onSound, showStream, soundBlocked, soundOn } = await import("../../web/js/picture.js");

const settle = () => new Promise((resolve) => setImmediate(resolve));

function look(visible) {
  document.visibilityState = visible ? "visible" : "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
}

/** The system pauses it, for a telephone call perhaps. */
function pause(element) {
  element.paused = true;
  element.dispatchEvent(new Event("pause"));
}

/** A picture that has been running for a while. */
async function running(context, own = false) {
  const video = createPicture("remote-video", own);
  showStream(video, new Stream());
  await settle();
  clock += 60_000;
  context.after(() => showStream(video, null));
  return { video, sound: sounds.at(-1) };
}

beforeEach(() => {
  sounds = [];
  refuses = false;
  document.visibilityState = "visible";
});

test("what is paused is started again at once", async (context) => {
  const { video, sound } = await running(context);
  for (const element of [sound, video]) {
    pause(element);
    await settle();
    assert.ok(!element.paused);
  }
  assert.ok(!soundBlocked());
});

test("what cannot be started again is offered to the person, whose click starts it", async (context) => {
  const { video, sound } = await running(context);
  let told = 0;
  context.after(onSound(() => (told += 1)));
  refuses = true;
  pause(sound);
  await settle();
  assert.ok(soundBlocked());
  assert.ok(told > 0);
  refuses = false;
  soundOn();
  await settle();
  assert.ok(!soundBlocked());
  assert.ok(!sound.paused && !video.paused);
});

test("what was paused while nobody looked is started when somebody comes back", async (context) => {
  const { sound } = await running(context);
  look(false);
  refuses = true;
  pause(sound);
  await settle();
  refuses = false;
  look(true);
  await settle();
  assert.ok(!sound.paused);
  assert.ok(!soundBlocked());
});

test("a system that pauses it again and again is left its will, until it plays by itself", async (context) => {
  const { sound } = await running(context);
  const before = sound.started;
  for (let times = 0; times < 5; times += 1) {
    pause(sound);
    await settle();
    clock += 100;
  }
  pause(sound);
  assert.equal(sound.started, before + 1);
  assert.ok(soundBlocked());
  sound.paused = false;
  sound.dispatchEvent(new Event("playing"));
  assert.ok(!soundBlocked());
});

test("a picture that is shown no more stays as it is, and so does nobody's button", async (context) => {
  const { video, sound } = await running(context);
  refuses = true;
  pause(sound);
  await settle();
  showStream(video, null);
  assert.ok(!soundBlocked());
  const before = sound.started;
  pause(sound);
  look(true);
  await settle();
  assert.equal(sound.started, before);
  assert.ok(!soundBlocked());
});

test("one's own picture asks for no sound", async (context) => {
  const { video } = await running(context, true);
  video.play = async () => {
    throw REFUSED;
  };
  pause(video);
  await settle();
  assert.ok(!soundBlocked());
});
