// Single letters in a call, and whose picture goes into the small window.
import assert from "node:assert/strict";
import { test } from "node:test";

import { KEYS, keyName } from "../../web/js/callkeys.js";

const key = (name, more = {}) => ({
  key: name, repeat: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, ...more,
});

test("each letter means one thing, in either case", () => {
  assert.equal(new Set(Object.values(KEYS)).size, Object.keys(KEYS).length);
  for (const [name, letter] of Object.entries(KEYS)) {
    assert.equal(keyName(key(letter), false), name);
    assert.equal(keyName(key(letter.toUpperCase()), false), name);
  }
  assert.equal(keyName(key("x"), false), null);
  assert.equal(keyName(key("Escape"), false), null);
});

test("letters are letters while somebody types, and with other keys held", () => {
  assert.equal(keyName(key("m"), true), null);
  for (const held of ["ctrlKey", "metaKey", "altKey", "repeat", "isComposing"]) {
    assert.equal(keyName(key("m", { [held]: true }), false), null, held);
  }
});
