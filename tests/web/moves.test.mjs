// Between pages, forwarder and next forwarder: nothing is let go before its successor is there.
import assert from "node:assert/strict";
import { test } from "node:test";

import { DEADLINE, FAREWELL, GRACE, Moves, PATIENCE, PICTURE, STEADY } from "../../web/js/moves.js";

class Page {
  time = 0;
  outputs = [];
  moves = new Moves((output) => this.outputs.push(output));

  /** What has come out since the last call, in short. */
  said() {
    return this.outputs.splice(0).map(({ type, participant, way, moved }) =>
      [type, participant, way, moved].filter((word) => word !== undefined).join(" "));
  }

  at(time) {
    this.time = time;
    this.moves.handleTimer(time);
    return this.said();
  }

  there(who, way, what) {
    this.moves.there(who, way, what, this.time);
    return this.said();
  }
}

function talkingDirectly(...ids) {
  const page = new Page();
  page.moves.people(ids, new Set(ids), 0);
  return page;
}

test("the old connection goes when both sides take the media from the forwarder", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  assert.deepEqual(page.there("b", 1, "tracks"), []);
  assert.deepEqual(page.there("b", 1, "sound"), [], "a picture is on its way");
  assert.deepEqual(page.there("b", 1, "picture"), [], "not before the sound is steady");
  assert.deepEqual(page.at(STEADY), ["show b 1", "tell b sfu"]);
  assert.deepEqual(page.at(5_000), [], "the other one still listens to the old one");
  page.moves.moved("b", "sfu", 5_000);
  assert.deepEqual(page.said(), ["rest b"]);
  assert.equal(page.moves.nextTimeout(5_000), null);
});

test("the other one may be quicker, and is not cut off either", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  page.moves.moved("b", "sfu", 0);
  assert.deepEqual(page.at(2_000), []);
  page.there("b", 1, "sound");
  page.there("b", 1, "picture");
  assert.deepEqual(page.at(2_000 + STEADY), ["show b 1", "tell b sfu", "rest b"]);
});

test("a picture that does not come holds nobody up for long, one that is off not at all", () => {
  const page = talkingDirectly("b", "c");
  page.moves.go(1, 0);
  page.moves.camera("c", false, 0);
  page.there("b", 1, "sound");
  page.there("c", 1, "sound");
  assert.deepEqual(page.at(STEADY), ["show c 1", "tell c sfu"]);
  assert.deepEqual(page.at(PICTURE - 1), []);
  assert.deepEqual(page.at(PICTURE), ["show b 1", "tell b sfu"]);
});

test("somebody without a microphone is moved after some patience", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  page.there("b", 1, "picture");
  assert.deepEqual(page.at(PATIENCE - 1), []);
  assert.deepEqual(page.at(PATIENCE), ["show b 1", "tell b sfu"]);
});

test("a way on which nothing comes takes nobody from one that works", () => {
  const page = talkingDirectly("b", "c");
  page.moves.go(1, 0);
  for (const id of ["b", "c"]) page.there(id, 1, "tracks");
  assert.deepEqual(page.at(2 * PATIENCE), []);
  page.moves.there("b", 1, "sound", 2 * PATIENCE);
  page.moves.there("b", 1, "picture", 2 * PATIENCE + STEADY);
  assert.deepEqual(page.said(), ["show b 1", "tell b sfu"]);
  // With neither microphone nor camera nothing ever comes.
  assert.deepEqual(page.at(DEADLINE - 1), []);
  assert.deepEqual(page.at(DEADLINE), ["rest b", "show c 1", "tell c sfu", "rest c"]);
});

test("who was not heard before is shown as soon as there is something", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  assert.deepEqual(page.there("b", 1, "tracks"), ["show b 1", "tell b sfu"]);
});

test("in the end the old way is given up, though the other one does not say that it is, too", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  page.there("b", 1, "sound");
  page.there("b", 1, "picture");
  assert.deepEqual(page.at(STEADY), ["show b 1", "tell b sfu"]);
  assert.deepEqual(page.at(DEADLINE - 1), []);
  assert.deepEqual(page.at(DEADLINE), ["rest b"]);
  assert.equal(page.moves.viaOf("b"), 1);
});

test("a connection is kept for as long as nothing comes over the forwarder", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  page.moves.moved("b", "sfu", 0);
  assert.deepEqual(page.at(10 * DEADLINE), []);
  assert.equal(page.moves.viaOf("b"), "p2p");
});

test("a former forwarder is not kept for ever for somebody who does not come to the next", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  page.there("b", 1, "tracks");
  page.said();
  page.moves.go(2, 0);
  assert.deepEqual(page.at(FAREWELL - 1), []);
  assert.deepEqual(page.at(FAREWELL), ["close 1"]);
});

test("back again: the forwarder goes when both take the media directly, and not before", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  page.there("b", 1, "tracks");
  page.moves.moved("b", "sfu", 0);
  page.said();
  page.moves.go("p2p", 0);
  page.there("b", "p2p", "sound");
  page.there("b", "p2p", "picture");
  assert.deepEqual(page.at(STEADY), ["show b p2p", "tell b p2p"]);
  assert.deepEqual(page.at(DEADLINE - 1), []);
  page.moves.moved("b", "p2p", DEADLINE - 1);
  assert.deepEqual(page.said(), ["close 1"]);
  assert.equal(page.moves.nextTimeout(DEADLINE), null);
});

test("a forwarder is kept as long as no direct connection has come about", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  page.there("b", 1, "tracks");
  page.said();
  page.moves.go("p2p", 0);
  assert.deepEqual(page.at(10 * DEADLINE), []);
});

test("from one forwarder to the next: the first is kept until the second is heard, and a little longer", () => {
  const page = new Page();
  page.moves.people(["b", "c"], new Set(), 0);
  page.moves.go(1, 0);
  for (const id of ["b", "c"]) page.there(id, 1, "tracks");
  page.said();
  page.moves.go(2, 0);
  page.there("b", 2, "sound");
  page.there("b", 2, "picture");
  page.there("c", 2, "sound");
  page.there("c", 2, "picture");
  assert.deepEqual(page.at(STEADY), ["show b 2", "show c 2"]);
  assert.deepEqual(page.at(STEADY + GRACE - 1), []);
  assert.deepEqual(page.at(STEADY + GRACE), ["close 1"]);
});

test("a dead forwarder is nothing to wait for", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  page.there("b", 1, "tracks");
  page.said();
  page.moves.broken(1, 0);
  page.moves.go(2, 0);
  assert.deepEqual(page.there("b", 2, "tracks"), ["show b 2"]);
});

test("a newcomer in a group, and somebody who goes, change nothing for the others", () => {
  const page = talkingDirectly("b");
  page.moves.go(1, 0);
  page.moves.people(["b", "c"], new Set(), 0);
  assert.deepEqual(page.there("c", 1, "tracks"), ["show c 1", "tell c sfu"]);
  page.moves.people(["c"], new Set(), 0);
  assert.equal(page.moves.viaOf("b"), null);
  assert.deepEqual(page.there("b", 1, "picture"), []);
});

test("after a reload it is told again where the media is taken from", () => {
  const page = new Page();
  page.moves.people(["b"], new Set(), 0);
  page.moves.go(1, 0);
  page.there("b", 1, "tracks");
  page.said();
  page.moves.anew("b");
  assert.deepEqual(page.at(1), ["tell b sfu"]);
});
