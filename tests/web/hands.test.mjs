// Raised hands keep their order, whatever comes again, too often, or from somebody who may not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { HAND_PAUSE, Hands } from "../../web/js/hands.js";

const up = (ago = 0) => ({ type: "hand", up: true, ago });
const down = { type: "hand", up: false, ago: 0 };
const refused = (what) => {
  try {
    what();
  } catch (error) {
    assert.equal(error.name, "DataRefusal", error.stack);
    return error.reason;
  }
  return "";
};

test("hands are in the order in which they were raised, not in which they were told", () => {
  const hands = new Hands();
  assert.equal(hands.receive("dora", up(), 10_000), true);
  assert.equal(hands.receive("emil", up(4_000), 10_500), true, "came over a reconnect");
  assert.equal(hands.receive("anna", up(), 11_000), true);
  assert.deepEqual(hands.order, ["emil", "dora", "anna"]);
  assert.equal(hands.receive("dora", down, 12_000), true);
  assert.deepEqual(hands.order, ["emil", "anna"]);
});

test("what is said again changes nothing, and does not move a hand forward", () => {
  const hands = new Hands();
  hands.receive("dora", up(), 1_000);
  hands.receive("emil", up(), 2_000);
  assert.equal(hands.receive("emil", up(100_000), 3_000), false);
  assert.deepEqual(hands.order, ["dora", "emil"]);
  assert.equal(hands.receive("anna", down, 3_000), false);
});

test("who leaves takes the hand along", () => {
  const hands = new Hands();
  hands.receive("dora", up(), 0);
  assert.equal(hands.gone("dora"), true);
  assert.equal(hands.gone("dora"), false);
  assert.deepEqual(hands.order, []);
});

test("our own hand keeps its time until it is lowered", () => {
  const hands = new Hands();
  assert.deepEqual(hands.message(5), down);
  hands.raise(true, 1_000);
  hands.raise(true, 3_000);
  assert.deepEqual(hands.message(4_000.4), up(3_000));
  hands.raise(false, 5_000);
  hands.raise(true, 6_000);
  assert.deepEqual(hands.message(6_000), up(0));
});

test("a host lowers our hand, and nobody else does", () => {
  const hands = new Hands();
  hands.raise(true, 0);
  assert.equal(refused(() => hands.lower("emil", false, 1)), "unexpected");
  assert.equal(hands.up, true);
  assert.equal(hands.lower("host", true, 2), true);
  assert.equal(hands.up, false);
  assert.equal(hands.lower("host", true, 3), false, "we had lowered it in the same moment");
});

test("who waves is refused, and nobody else with it", () => {
  const hands = new Hands();
  let taken = 0;
  for (let n = 0; n < 100; n += 1) {
    if (refused(() => hands.receive("dora", n % 2 ? down : up(), n * 10)) === "") taken += 1;
  }
  assert.ok(taken >= 6 && taken <= 7, `${taken}`);
  assert.equal(refused(() => hands.receive("emil", up(), 1_000)), "");
  assert.equal(refused(() => hands.receive("dora", down, 10_000)), "", "later it is taken again");
});

test("a page of ours is never too fast", () => {
  const hands = new Hands();
  for (let n = 0; n < 200; n += 1) {
    assert.equal(refused(() => hands.receive("dora", n % 2 ? down : up(), n * HAND_PAUSE)), "");
  }
});
