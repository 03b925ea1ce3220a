import assert from "node:assert/strict";
import { test } from "node:test";
import { OwnScreen } from "../../web/js/ownscreen.js";

/** What a browser captures, in as far as it is looked at. */
class Track extends EventTarget {
  readyState = "live";
  stop() {
    this.readyState = "ended";
  }
}

class Stream {
  tracks = [new Track()];
  getTracks() {
    return this.tracks;
  }
  getVideoTracks() {
    return this.tracks;
  }
  getAudioTracks() {
    return [];
  }
}

/** A person who is asked for a screen and answers when told to. */
function asked() {
  const questions = [];
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      mediaDevices: {
        getDisplayMedia: (wanted) => new Promise((resolve, reject) => {
          questions.push({ wanted, resolve, reject });
        }),
      },
    },
  });
  return questions;
}

function way(sound) {
  const sent = [];
  return { sound, sent, send: (stream) => sent.push(stream) };
}

test("a chosen screen goes the present way, on by another, and ends with the call", async () => {
  const questions = asked();
  const told = [];
  const screen = new OwnScreen((on) => told.push(on));
  const pair = way(false);
  const group = way(true);
  screen.take(pair);
  const shared = screen.toggle();
  assert.equal(questions[0].wanted.audio, false, "where it cannot be sent it is not asked for");
  const stream = new Stream();
  questions[0].resolve(stream);
  await shared;
  screen.take(group);
  assert.deepEqual([pair.sent, group.sent], [[stream, null], [stream]]);
  screen.take(group);
  assert.deepEqual(group.sent, [stream], "the same way is no other way");
  screen.take(null);
  assert.equal(stream.tracks[0].readyState, "ended");
  assert.deepEqual(told, [true, false]);
});

test("a screen chosen after the call is not captured", async () => {
  const questions = asked();
  const told = [];
  const screen = new OwnScreen((on) => told.push(on));
  const pair = way(false);
  screen.take(pair);
  const shared = screen.toggle();
  screen.take(null);
  const stream = new Stream();
  questions[0].resolve(stream);
  await shared;
  assert.equal(stream.tracks[0].readyState, "ended");
  assert.deepEqual(told, []);
});

test("outside of a call nobody is asked, and nobody twice at once", async () => {
  const questions = asked();
  const screen = new OwnScreen(() => {});
  await screen.toggle();
  assert.equal(questions.length, 0);
  screen.take(way(false));
  const first = screen.toggle();
  await screen.toggle();
  assert.equal(questions.length, 1);
  questions[0].reject(new Error("thought better of"));
  await first;
  const again = screen.toggle();
  assert.equal(questions.length, 2, "who thought better of it may be asked again");
  questions[1].reject(new Error("thought better of"));
  await again;
});

test("the browser's own button ends it", async () => {
  const questions = asked();
  const told = [];
  const screen = new OwnScreen((on) => told.push(on));
  const pair = way(false);
  screen.take(pair);
  const shared = screen.toggle();
  const stream = new Stream();
  questions[0].resolve(stream);
  await shared;
  stream.tracks[0].dispatchEvent(new Event("ended"));
  assert.deepEqual(pair.sent, [stream, null]);
  assert.deepEqual(told, [true, false]);
});

test("sound is asked for as it is, and without the page's own", async () => {
  const questions = asked();
  const screen = new OwnScreen(() => {});
  screen.take(way(true));
  const shared = screen.toggle();
  const { audio, systemAudio } = questions[0].wanted;
  assert.deepEqual([audio.restrictOwnAudio, audio.echoCancellation, systemAudio], [true, false, "include"]);
  questions[0].reject(new Error("thought better of"));
  await shared;
  screen.take(null);
});
