// Whose picture goes into the small window.
import assert from "node:assert/strict";
import { test } from "node:test";

import { whomToFloat } from "../../web/js/floating.js";

const person = (id, more = {}) => ({ id, pinned: false, video: true, spoke: 0, ...more });

test("who is pinned, else who spoke last and has a picture, else the first", () => {
  const [a, b, c] = [person("a"), person("b", { spoke: 2 }), person("c", { spoke: 3, video: false })];
  assert.equal(whomToFloat([]), "");
  assert.equal(whomToFloat([a]), "a");
  assert.equal(whomToFloat([a, b, c]), "b");
  assert.equal(whomToFloat([{ ...a, pinned: true }, b, c]), "a");
  assert.equal(whomToFloat([c]), "c", "somebody may come into the picture yet");
});
