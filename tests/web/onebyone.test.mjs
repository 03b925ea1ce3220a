// However often somebody causes work, it is done one at a time, and with pauses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { OneByOne } from "../../web/js/onebyone.js";

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Work that ends when it is told to, and pauses that end when they are told to. */
function stage() {
  const begun = [];
  const pauses = [];
  const ends = new Map();
  const queue = new OneByOne(3000, (what, ms) => pauses.push([what, ms]));
  return {
    begun, pauses,
    do: (whose, name) => queue.do(whose, () => {
      begun.push(name);
      return new Promise((resolve, reject) => ends.set(name, { resolve, reject }));
    }),
    end: async (name, how = "resolve") => {
      ends.get(name)[how](new Error(how));
      await settle();
    },
    pass: async () => {
      for (const [what] of pauses.splice(0)) what();
      await settle();
    },
  };
}

test("one at a time, then a pause, then the latest of what came meanwhile", async () => {
  const { begun, pauses, do: put, end, pass } = stage();
  for (let n = 0; n < 40; n += 1) put("a", `a${n}`);
  assert.deepEqual(begun, ["a0"]);
  await end("a0");
  put("a", "a40");
  assert.deepEqual(begun, ["a0"], "not before the pause is over");
  assert.deepEqual(pauses.map(([, ms]) => ms), [3000]);
  await pass();
  assert.deepEqual(begun, ["a0", "a40"]);
  await end("a40");
  await pass();
  assert.deepEqual(begun, ["a0", "a40"], "nothing is left");
  put("a", "a41");
  assert.deepEqual(begun.at(-1), "a41", "at once again");
});

test("one does not wait for another, and what fails is done with", async () => {
  const { begun, do: put, end, pass } = stage();
  put("a", "a0");
  put("b", "b0");
  assert.deepEqual(begun, ["a0", "b0"]);
  put("a", "a1");
  await end("a0", "reject");
  await pass();
  assert.deepEqual(begun, ["a0", "b0", "a1"]);
});
