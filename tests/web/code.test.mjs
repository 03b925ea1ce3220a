// What people type when digits are read to them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { cleanCode, spoken } from "../../web/js/digits.js";

test("digits count, however they are set apart", () => {
  for (const typed of ["123456789", "123 456 789", " 123-456-789 ", "123.456.789", "１２３４５６７８９", "١٢٣٤٥٦٧٨٩", "१२३४५६७८९"]) {
    assert.equal(cleanCode(typed), "123456789", typed);
  }
  assert.equal(cleanCode("000 000 000"), "000000000");
  for (const typed of ["", "12345678", "1234567890", "12345678x", "abc def ghi", "1 2 3"]) {
    assert.equal(cleanCode(typed), null, typed);
  }
});

test("read aloud in threes", () => {
  assert.equal(spoken("123456789"), "123 456 789");
  assert.equal(spoken(""), "");
});
