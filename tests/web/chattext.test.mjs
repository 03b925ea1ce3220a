// What may be written, and edits that make one draft of another.
import assert from "node:assert/strict";
import { test } from "node:test";

import { applyEdit, cleanText, editBetween, isCleanText, MOST_TEXT } from "../../web/js/chattext.js";
import { randomFrom } from "./relay.mjs";

test("what would change the words around it, or cannot be seen, is not taken", () => {
  assert.equal(cleanText("a\r\nb\rc\td"), "a\nb\nc\td");
  assert.equal(cleanText("x\u202egnp.exe\u202c\u2066y\u2069\0\x1b[31m\x7f\u0085\u2028\ufeffz"), "xgnp.exey[31mz");
  assert.equal(cleanText("lone \ud83d, \ude00 and whole 😀"), "lone ,  and whole 😀");
  for (const fine of ["שלום \u200fעולם", "👩‍⚕️", "می‌خواهم", "e\u0301", "1 < 2 & \"3\""]) {
    assert.ok(isCleanText(fine), fine);
  }
  assert.ok(!isCleanText("\u202e"));
});

test("length is counted in whole characters", () => {
  const long = "😀".repeat(MOST_TEXT + 5);
  assert.equal([...cleanText(long)].length, MOST_TEXT);
  assert.ok(isCleanText("😀".repeat(MOST_TEXT)));
  assert.ok(!isCleanText("a".repeat(MOST_TEXT + 1)));
});

test("an edit is the least change", () => {
  assert.equal(editBetween("same", "same"), null);
  assert.deepEqual(editBetween("", "Hi"), { at: 0, erase: 0, insert: "Hi" });
  assert.deepEqual(editBetween("Hi", "Hi!"), { at: 2, erase: 0, insert: "!" });
  assert.deepEqual(editBetween("Hallo", "Hello"), { at: 1, erase: 1, insert: "e" });
  assert.deepEqual(editBetween("aa", "a"), { at: 1, erase: 1, insert: "" });
  assert.deepEqual(editBetween("x👩y", "x👨y"), { at: 1, erase: 1, insert: "👨" });
});

test("any text becomes any other, and no character is cut in two", () => {
  const random = randomFrom(3);
  const letters = [..."ab 👩👨é\u0301ש"];
  const any = () => Array.from({ length: Math.floor(random() * 12) }, () => letters[Math.floor(random() * letters.length)]).join("");
  let text = "";
  for (let round = 0; round < 3000; round += 1) {
    const next = any();
    const edit = editBetween(text, next);
    if (edit !== null) {
      assert.ok(isCleanText(edit.insert));
      text = applyEdit(text, edit);
    }
    assert.equal(text, next);
  }
});

test("an edit at a place that does not exist, or beyond all bounds, is none", () => {
  assert.equal(applyEdit("ab", { at: 3, erase: 0, insert: "x" }), null);
  assert.equal(applyEdit("ab", { at: 1, erase: 2, insert: "" }), null);
  assert.equal(applyEdit("a".repeat(MOST_TEXT), { at: 0, erase: 0, insert: "x" }), null);
  assert.equal(applyEdit("ab", { at: 2, erase: 0, insert: "c" }), "abc");
});
