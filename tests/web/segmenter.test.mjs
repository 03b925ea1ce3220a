// What is behind a person: found as TensorFlow Lite finds it, blurred, and never slower than a call bears.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Backdrop, cutOut, fit } from "../../web/js/backdrop.js";
import { BlurPace } from "../../web/js/blurpace.js";
import { HEIGHT, Segmenter, WIDTH } from "../../web/js/segmenter.js";

const BLUR = new URL("../../web/blur/", import.meta.url);
const golden = JSON.parse(readFileSync(new URL("../vectors/segmenter.json", import.meta.url), "utf8"));
const code = new WebAssembly.Module(readFileSync(new URL("segmenter.wasm", BLUR)));
const model = () => new Uint8Array(readFileSync(new URL("model.bin", BLUR))).buffer;

function portrait() {
  const coarse = Buffer.from(golden.pixels, "base64");
  const pixels = new Uint8ClampedArray(WIDTH * HEIGHT * 4);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const from = ((y >> 2) * golden.width + (x >> 2)) * 3;
      pixels.set([...coarse.subarray(from, from + 3), 255], (y * WIDTH + x) * 4);
    }
  }
  return pixels;
}

test("the person is where TensorFlow Lite sees one, time and again", async () => {
  const segmenter = await Segmenter.make(code, model());
  const expected = Buffer.from(golden.sure, "base64");
  for (const again of [1, 2]) {
    const sure = segmenter.run(portrait());
    const found = expected.map((_, i) =>
      Math.round(255 * sure[(Math.floor(i / golden.width) * WIDTH + (i % golden.width)) * 4]));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i])));
    assert.ok(worst <= 1, `${worst} of 255, time ${again}`);
  }
  const share = expected.filter((value) => value > 127).length / expected.length;
  assert.ok(share > 0.2 && share < 0.4, "the portrait fills a part of the picture");
});

test("what is no model is refused", async () => {
  await assert.rejects(Segmenter.make(code, new ArrayBuffer(1024)), /no model/);
});

test("any shape of picture is looked at whole, in the middle", () => {
  assert.deepEqual(fit(1280, 720, 256, 144), { left: 0, top: 0, width: 256, height: 144 });
  assert.deepEqual(fit(640, 480, 256, 144), { left: 32, top: 0, width: 192, height: 144 });
  assert.deepEqual(fit(720, 1280, 256, 144), { left: 87, top: 0, width: 81, height: 144 });
  assert.deepEqual(fit(4000, 10, 256, 144), { left: 0, top: 71, width: 256, height: 1 });
});

test("the mask is of the area alone, and soft at the edge", () => {
  const sure = new Float32Array([9, 0, 0.5, 1, 9, 9, 0.2, 0.29, 0.8, 9]);
  const mask = new Uint8ClampedArray(2 * 3 * 4);
  cutOut(sure, 5, { left: 1, top: 0, width: 3, height: 2 }, mask);
  assert.deepEqual([3, 7, 11, 15, 19, 23].map((at) => mask[at]), [0, 128, 255, 0, 0, 255]);
  assert.deepEqual([...mask.subarray(0, 3)], [255, 255, 255]);
});

test("stripes behind become one colour, and the person does not shine through", () => {
  const [width, height] = [96, 54];
  const pixels = new Uint8ClampedArray(width * height * 4);
  const mask = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 4;
      const person = x > 30 && x < 60;
      pixels.set(person ? [255, 0, 0, 255] : x % 2 ? [0, 0, 0, 255] : [0, 200, 0, 255], at);
      mask[at + 3] = person ? 255 : 0;
    }
  }
  const out = new Uint8ClampedArray(width * height * 4);
  new Backdrop().blur(pixels, mask, width, height, out);
  for (let at = 0; at < out.length; at += 4) {
    assert.equal(out[at + 3], 255);
    if (mask[at + 3] !== 0) continue;
    assert.ok(out[at] <= 3, `red ${out[at]}`);
    assert.ok(out[at + 1] > 60 && out[at + 1] < 140, `green ${out[at + 1]}`);
  }
});

test("a picture full of the person has something behind, too", () => {
  const pixels = new Uint8ClampedArray(64).fill(77);
  const out = new Uint8ClampedArray(64);
  new Backdrop().blur(pixels, new Uint8ClampedArray(64).fill(255), 4, 4, out);
  assert.deepEqual([...out.subarray(0, 4)], [77, 77, 77, 255]);
});

/** Takes pictures of a camera with 30 a second, each of which costs as much. */
function work(pace, cost, seconds, from = 0) {
  let taken = 0;
  for (let now = from, busyUntil = from; now < from + seconds * 1000; now += 1000 / 30) {
    if (now < busyUntil || !pace.takes(now)) continue;
    taken += 1;
    busyUntil = now + cost;
    if (pace.took(cost, busyUntil)) return { taken, slow: busyUntil - from };
  }
  return { taken, slow: null };
}

test("a quick machine takes every picture, a slower one fewer", () => {
  assert.equal(work(new BlurPace(), 8, 10).taken, 300);
  const { taken, slow } = work(new BlurPace(), 40, 10);
  assert.ok(taken >= 120 && taken <= 160, `${taken}`);
  assert.equal(slow, null);
});

test("one that is too slow says so after some seconds, not at once and not for a moment's slowness", () => {
  const { slow } = work(new BlurPace(), 150, 30);
  assert.ok(slow >= 8_000 && slow < 10_000, `${slow}`);
  const pace = new BlurPace();
  assert.equal(work(pace, 300, 4).slow, null);
  assert.equal(work(pace, 8, 6, 4_000).slow, null);
  assert.equal(work(pace, 300, 6, 20_000).slow, null, "counted anew");
});
