// Words about time grow old, and are not said as if they were new.
import assert from "node:assert/strict";
import { test } from "node:test";

import { estimateOf, retold } from "../../web/js/told.js";

const MINUTE = 60_000;
const told = { text: "A moment, please.", at: 1_000_000, minutes: 10 };

test("an estimate counts down and then admits that it was wrong", () => {
  assert.deepEqual(estimateOf(told, told.at), { minutes: 10 });
  assert.deepEqual(estimateOf(told, told.at - 500), { minutes: 10 }, "clocks differ a little");
  assert.deepEqual(estimateOf(told, told.at + 3.6 * MINUTE), { minutes: 6 });
  assert.deepEqual(estimateOf(told, told.at + 9.9 * MINUTE), { minutes: 1 });
  assert.equal(estimateOf(told, told.at + 10 * MINUTE), "longer");
  assert.equal(estimateOf({ text: "x", at: 0 }, 5), null, "nothing was said of time");
  assert.equal(estimateOf(null, 5), null);
});

test("whoever comes later is told the time that is left", () => {
  assert.deepEqual(retold(told, told.at + 4 * MINUTE), { text: told.text, minutes: 6 });
  assert.deepEqual(retold(told, told.at + 11 * MINUTE), { text: told.text });
  assert.equal(retold({ text: "", at: 0, minutes: 5 }, 6 * MINUTE), null);
  assert.deepEqual(retold({ text: "x", at: 0 }, 60 * MINUTE), { text: "x" });
});
