// Frames through a forwarder: known answers, what is refused, windows and keys.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  FrameOpener, FrameRefusal, FrameSealer, LAST_COUNTER, OVERHEAD, OVERLAP, ReplayWindow, WINDOW,
  clearLength, contextOf, openFrame, sealFrame, trailerOf,
} from "../../web/js/frames.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/frames.json", import.meta.url), "utf8"));
const hex = (text) => Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
const importKey = (raw) =>
  crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
const newKey = () => importKey(crypto.getRandomValues(new Uint8Array(32)));
const refusedAs = (fault) => (error) => error instanceof FrameRefusal && error.fault === fault;

const AUDIO = {
  kind: "audio", source: "microphone", stream: 0,
  context: contextOf({ room: "r", sender: "s", source: "microphone" }),
};
const sound = (n) => Uint8Array.of(0x78, n & 255, 2, 3);

for (const vector of vectors) {
  test(`known answer: ${vector.what}`, async () => {
    const key = await importKey(hex(vector.key));
    const as = { ...vector, context: contextOf(vector) };
    assert.deepEqual(await sealFrame(key, as, hex(vector.frame)), hex(vector.sealed));
    assert.deepEqual(await openFrame(key, as, hex(vector.sealed)), hex(vector.frame));
    const { stream, epoch, counter } = vector;
    assert.deepEqual(trailerOf(vector.kind, hex(vector.sealed)), { stream, epoch, counter });
  });
}

test("every single byte is vouched for, and so are room, sender and source", async () => {
  const [, , vector] = vectors;
  const key = await importKey(hex(vector.key));
  const as = { ...vector, context: contextOf(vector) };
  const sealed = hex(vector.sealed);
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = sealed.slice();
    changed[at] ^= 1;
    await assert.rejects(openFrame(key, as, changed), refusedAs("unsealing_failed"), `byte ${at}`);
  }
  for (const name of ["room", "sender", "source"]) {
    const context = contextOf({ ...vector, [name]: "another" });
    await assert.rejects(openFrame(key, { ...as, context }, sealed), refusedAs("unsealing_failed"));
  }
});

test("what is too short is refused before it is looked at", async () => {
  const key = await newKey();
  for (let length = 0; length < OVERHEAD + 1; length += 1) {
    await assert.rejects(openFrame(key, AUDIO, new Uint8Array(length)), refusedAs("short"));
  }
  const as = { ...AUDIO, kind: "video", epoch: 0, counter: 0 };
  await assert.rejects(sealFrame(key, as, new Uint8Array(9)), refusedAs("short"));
  await assert.rejects(sealFrame(key, as, new Uint8Array(0)), refusedAs("short"));
  assert.equal(clearLength("video", Uint8Array.of(0)), 10);
  assert.equal(clearLength("video", Uint8Array.of(1)), 3);
});

test("a window takes each counter once, in any order, and nothing from before it", () => {
  const window = new ReplayWindow();
  for (const counter of [5, 3, 4, 0]) {
    assert.ok(window.isFresh(counter));
    window.take(counter);
    assert.ok(!window.isFresh(counter));
  }
  window.take(WINDOW + 3);
  assert.ok(!window.isFresh(3), "too old to tell");
  assert.ok(!window.isFresh(4));
  assert.ok(!window.isFresh(5));
  assert.ok(window.isFresh(6));
  window.take(10 * WINDOW);
  assert.ok(window.isFresh(10 * WINDOW - 1), "a leap leaves no marks of former rounds behind");
  assert.ok(window.isFresh(9 * WINDOW + 1) && !window.isFresh(9 * WINDOW));
});

test("a window agrees with a set that remembers everything", () => {
  const window = new ReplayWindow();
  const taken = new Set();
  let newest = -1;
  let state = 7;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let step = 0; step < 20_000; step += 1) {
    const leap = random() < 0.01 ? WINDOW * 2 * random() : 0;
    const counter = Math.max(0, Math.floor(newest - 40 + random() * 44 + leap));
    const expected = !taken.has(counter) && counter > newest - WINDOW;
    assert.equal(window.isFresh(counter), expected, `step ${step}`);
    if (!expected) continue;
    window.take(counter);
    taken.add(counter);
    newest = Math.max(newest, counter);
  }
});

async function pair() {
  const [sealer, opener, key] = [new FrameSealer(), new FrameOpener(), await newKey()];
  sealer.setKey(0, key);
  opener.addKey(0, key);
  return { sealer, opener };
}

test("a replayed frame, in its own stream or claimed for another, does not open", async () => {
  const { sealer, opener } = await pair();
  const first = await sealer.seal(AUDIO, sound(1));
  const second = await sealer.seal({ ...AUDIO, stream: 1 }, sound(2));
  assert.deepEqual(await opener.open(AUDIO, second, 0), sound(2));
  assert.deepEqual(await opener.open(AUDIO, first, 0), sound(1), "streams have windows of their own");
  await assert.rejects(opener.open(AUDIO, first, 0), refusedAs("replayed"));
  const moved = first.slice();
  moved[moved.length - 7] = 9;
  await assert.rejects(opener.open(AUDIO, moved, 0), refusedAs("unsealing_failed"));
  const third = await sealer.seal(AUDIO, sound(3));
  const both = await Promise.allSettled([0, 1].map(() => opener.open(AUDIO, third, 0)));
  assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"], "of two at once one");
});

test("a forged frame does not move the window", async () => {
  const { sealer, opener } = await pair();
  const good = await sealer.seal(AUDIO, sound(1));
  const forged = good.slice();
  forged.fill(0xff, forged.length - 4);
  await assert.rejects(opener.open(AUDIO, forged, 0), refusedAs("unsealing_failed"));
  assert.deepEqual(await opener.open(AUDIO, good, 0), sound(1));
});

test("no two frames under one key have the same nonce, whatever source they come from", async () => {
  const { sealer } = await pair();
  const seen = new Set();
  for (let n = 0; n < 50; n += 1) {
    const stream = n % 5;
    seen.add(trailerOf("audio", await sealer.seal({ ...AUDIO, stream }, sound(n))).counter);
  }
  assert.equal(seen.size, 50);
  sealer.setKey(0, await newKey());
  assert.equal(trailerOf("audio", await sealer.seal(AUDIO, sound(0))).counter, 50, "not begun anew");
  sealer.setKey(1, await newKey());
  const { epoch, counter } = trailerOf("audio", await sealer.seal(AUDIO, sound(0)));
  assert.deepEqual([epoch, counter], [1, 0]);
  assert.equal(LAST_COUNTER, 2 ** 32 - 1);
});

test("without a key nothing goes out and nothing comes in", async () => {
  const { sealer } = await pair();
  await assert.rejects(new FrameSealer().seal(AUDIO, sound(1)), refusedAs("no_key"));
  const sealed = await sealer.seal(AUDIO, sound(1));
  await assert.rejects(new FrameOpener().open(AUDIO, sealed, 0), refusedAs("no_key"));
  const stranger = new FrameOpener();
  stranger.addKey(0, await newKey());
  await assert.rejects(stranger.open(AUDIO, sealed, 0), refusedAs("unsealing_failed"));
});

test("an older key opens what is still under way, and soon nothing more", async () => {
  const { sealer, opener } = await pair();
  const late = [await sealer.seal(AUDIO, sound(1)), await sealer.seal(AUDIO, sound(2))];
  const next = await newKey();
  sealer.setKey(1, next);
  const fresh = await sealer.seal(AUDIO, sound(3));
  await assert.rejects(opener.open(AUDIO, fresh, 0), refusedAs("no_key"));
  opener.addKey(1, next);
  assert.deepEqual(await opener.open(AUDIO, fresh, 1000), sound(3));
  assert.deepEqual(await opener.open(AUDIO, late[0], 1000 + OVERLAP), sound(1));
  await assert.rejects(opener.open(AUDIO, late[1], 1001 + OVERLAP), refusedAs("no_key"));
});

test("a key that comes twice does not open the window again", async () => {
  const [sealer, opener, key] = [new FrameSealer(), new FrameOpener(), await newKey()];
  sealer.setKey(0, key);
  opener.addKey(0, key);
  const frame = await sealer.seal(AUDIO, sound(1));
  await opener.open(AUDIO, frame, 0);
  opener.addKey(0, key);
  await assert.rejects(opener.open(AUDIO, frame, 0), refusedAs("replayed"));
});
