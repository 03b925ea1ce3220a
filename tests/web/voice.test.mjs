// A word to who speaks into a microphone that is off, once and not again and again.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Voice } from "../../web/js/voice.js";

const SPEECH = -25;
const ROOM = -60;
const DEAD = -120;

/** Ten levels a second; gives [second, warning] of each change. */
function run(voice, levels, from = 0) {
  const changes = [];
  levels.forEach((level, at) => {
    const second = from + (at + 1) / 10;
    if (voice.hear(level, second * 1000)) changes.push([second, voice.warning]);
  });
  return changes;
}
const of = (level, seconds) => Array(Math.round(seconds * 10)).fill(level);
const off = (now = 0) => {
  const voice = new Voice(now);
  voice.switched(false, now);
  return voice;
};

test("speech into a microphone that is off is noticed within a second or two", () => {
  assert.deepEqual(run(off(), [...of(ROOM, 10), ...of(SPEECH, 3)]), [[10.7, "muted"]]);
  const words = Array.from({ length: 100 }, (_, at) => (at % 5 < 3 ? SPEECH : ROOM));
  const [[second]] = run(off(), words);
  assert.ok(second <= 2, `${second}`);
});

test("a cough, typing, a chair and a quiet room are not speech", () => {
  assert.deepEqual(run(off(), [...of(SPEECH, 0.5), ...of(ROOM, 60), ...of(SPEECH, 0.5), ...of(ROOM, 5)]), []);
  const typing = Array.from({ length: 600 }, (_, at) => (at % 4 === 0 ? -30 : ROOM));
  assert.deepEqual(run(off(), typing), []);
  assert.deepEqual(run(off(), of(-44, 600)), [], "a fan");
});

test("the warning goes with the microphone switched on, and comes anew the next time", () => {
  const voice = off();
  run(voice, of(SPEECH, 2));
  assert.equal(voice.warning, "muted");
  voice.switched(true, 2_000);
  assert.equal(voice.warning, "");
  assert.deepEqual(run(voice, of(SPEECH, 20), 2), [], "speech that is heard is none to warn of");
  voice.switched(false, 22_000);
  assert.deepEqual(run(voice, of(SPEECH, 2), 22), [[22.7, "muted"]]);
});

test("it goes by itself some seconds after the last word", () => {
  assert.deepEqual(run(off(), [...of(SPEECH, 2), ...of(ROOM, 30)]), [[0.7, "muted"], [8.1, ""]]);
});

test("who talks on to somebody in the same room is told three times at most, ever later", () => {
  const voice = off();
  const talk = Array.from({ length: 360 }, () => [...of(SPEECH, 3), ...of(ROOM, 7)]).flat();
  const told = run(voice, talk).filter(([, warning]) => warning === "muted").map(([second]) => second);
  assert.equal(told.length, 3);
  assert.ok(told[1] - told[0] >= 45 && told[2] - told[1] >= 90, `${told}`);
});

test("who has read it and leaves the microphone off is not told again soon", () => {
  const voice = off();
  run(voice, of(SPEECH, 1));
  voice.dismiss(1_000);
  assert.equal(voice.warning, "");
  assert.deepEqual(run(voice, of(SPEECH, 40), 1), []);
});

test("a microphone that gives nothing at all is told of once, and again only for another one", () => {
  const voice = new Voice(0);
  assert.deepEqual(run(voice, of(DEAD, 60)), [[8, "silent"]]);
  voice.dismiss(60_000);
  assert.deepEqual(run(voice, of(DEAD, 60), 60), []);
  voice.replaced(120_000);
  assert.deepEqual(run(voice, of(DEAD, 9), 120), [[128, "silent"]]);
  assert.deepEqual(run(voice, of(ROOM, 1), 129), [[129.1, ""]], "it gives something now");
});

test("who listens in a quiet room has a microphone that works", () => {
  assert.deepEqual(run(new Voice(0), of(-78, 600)), []);
  const gated = Array.from({ length: 3000 }, (_, at) => (at % 300 === 0 ? ROOM : DEAD));
  assert.deepEqual(run(new Voice(0), [...of(SPEECH, 1), ...gated]), [], "some devices close between words");
});

test("a page that slept has heard nothing in that time", () => {
  const voice = off();
  voice.hear(ROOM, 100);
  assert.equal(voice.hear(SPEECH, 3_600_000), false);
  const still = new Voice(0);
  assert.equal(still.hear(DEAD, 3_600_000), false);
});
