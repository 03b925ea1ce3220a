// What is wanted of others: the forwarder has the newest wish in the end, whatever happens on the way.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Wishes } from "../../web/js/wishes.js";

const tile = (width) => [{ participant: "a", source: "camera", width, height: width }];
const [LARGE, NONE] = [tile(640), tile(0)];

/** @type {{tiles: unknown, resolve: () => void, reject: (error: unknown) => void}[]} */
let told = [];
let reachable = true;
let wishes = new Wishes(() => null);

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  told = [];
  reachable = true;
  wishes = new Wishes((tiles) => reachable
    ? new Promise((resolve, reject) => told.push({ tiles, resolve: () => resolve(null), reject }))
    : null);
});

const settle = () => new Promise((resolve) => setImmediate(resolve));
const pass = async (ms) => {
  await settle();
  mock.timers.tick(ms);
  await settle();
};

test("what changes together is told together, and the same is not told again", async () => {
  wishes.set(LARGE);
  wishes.set(NONE);
  wishes.set(LARGE);
  await pass(300);
  assert.deepEqual(told.map(({ tiles }) => tiles), [LARGE]);
  told[0].resolve();
  await settle();
  wishes.set([...LARGE]);
  await pass(5_000);
  assert.equal(told.length, 1);
});

test("a wish waits for the answer to the one before: the newest is the last to arrive", async () => {
  wishes.set(NONE);
  await pass(300);
  wishes.set(LARGE);
  await pass(5_000);
  assert.equal(told.length, 1, "the first is still on its way");
  told[0].resolve();
  await pass(300);
  assert.deepEqual(told.map(({ tiles }) => tiles), [NONE, LARGE]);
  told[1].resolve();
  await pass(5_000);
  assert.equal(told.length, 2);
});

test("a wish that nobody could take is told again, when it is said or in a second", async () => {
  wishes.set(LARGE);
  await pass(300);
  told[0].reject({ code: "sfu_unavailable", retry_after: 2 });
  await pass(1_900);
  assert.equal(told.length, 1);
  await pass(200);
  assert.equal(told.length, 2);
  told[1].reject({ code: "sfu_unavailable" });
  await pass(1_000);
  assert.deepEqual(told.map(({ tiles }) => tiles), [LARGE, LARGE, LARGE]);
});

test("of a way that is over a wish is told again when there is another, and its answer means nothing", async () => {
  wishes.set(LARGE);
  await pass(300);
  wishes.begin();
  reachable = false;
  wishes.look();
  await pass(300);
  reachable = true;
  wishes.look();
  await pass(300);
  assert.equal(told.length, 2);
  told[0].reject({ code: "stale_generation" });
  await pass(5_000);
  assert.equal(told.length, 2, "the second is still on its way");
  told[1].reject({ code: "stale_generation" });
  await pass(5_000);
  assert.equal(told.length, 2, "nobody to tell it to");
  wishes.look();
  await pass(300);
  assert.equal(told.length, 3);
});

test("what is stopped tells nothing", async () => {
  wishes.set(LARGE);
  wishes.stop();
  await pass(5_000);
  assert.equal(told.length, 0);
});
