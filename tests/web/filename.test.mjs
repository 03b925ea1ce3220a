// Names somebody else has chosen lead nowhere, hide nothing and can be written.
import assert from "node:assert/strict";
import { test } from "node:test";

import { isProgram, isSafeKind, isSafeName, safeKind, safeName, sizeWords, typeOf } from "../../web/js/filename.js";
import { randomFrom } from "./relay.mjs";

test("names are made harmless", () => {
  for (const [name, safe] of [
    ["report.pdf", "report.pdf"],
    ["Befund März 2026.pdf", "Befund März 2026.pdf"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["C:\\Windows\\system32", "C__Windows_system32"],
    [".bashrc", "bashrc"],
    ["invoice\u202efdp.exe", "invoicefdp.exe"],
    ["a\0b\nc\td.txt", "abcd.txt"],
    ["a\u200b\u2066b\u2069.txt", "ab.txt"],
    ["CON", "_CON"], ["nul.txt", "_nul.txt"], ["lpt1", "_lpt1"], ["console.txt", "console.txt"],
    ["trailing. . .", "trailing"], ["   ", "file"], ["...", "file"], ["", "file"],
    ["a\u00a0\u3000 b.txt", "a b.txt"],
    ["e\u0301.txt", "\u00e9.txt"],
    ["<a>|b?*\".txt", "_a__b___.txt"],
    ["תוצאות.pdf", "תוצאות.pdf"],
  ]) assert.equal(safeName(name), safe);
});

test("long names keep their ending", () => {
  assert.match(safeName(`${"x".repeat(500)}.pdf`), /^x{116}\.pdf$/);
  const wide = safeName(`${"語".repeat(200)}.docx`);
  assert.ok(new TextEncoder().encode(wide).length <= 200);
  assert.ok(wide.endsWith(".docx"));
  assert.ok([...safeName(`a.${"y".repeat(500)}`)].length <= 120);
});

test("what is harmless stays as it is", () => {
  const random = randomFrom(5);
  const parts = ["con", ".", " ", "/", "\u202e", "x", "é", "e\u0301", "😀", "\ud83d", "_", "語".repeat(40), "nul", "\u00a0", "~", "pdf", "\u1100\u1161"];
  for (let round = 0; round < 5000; round += 1) {
    const name = Array.from({ length: Math.floor(random() * 9) }, () => parts[Math.floor(random() * parts.length)]).join("");
    const safe = safeName(name);
    assert.ok(isSafeName(safe), JSON.stringify([name, safe, safeName(safe)]));
  }
});

test("types and sizes in words", () => {
  assert.equal(typeOf("a.PDF", "text/plain"), "PDF");
  assert.equal(typeOf("noending", "image/png"), "PNG");
  assert.equal(typeOf("noending", ""), "");
  assert.equal(typeOf("a.b c", "application/x-tar"), "TAR");
  assert.ok(isProgram("letter.pdf.exe"));
  assert.ok(isProgram("page.HTML"));
  assert.ok(!isProgram("picture.jpeg"));
  assert.equal(safeKind("text/plain; charset=utf-8"), "text/plain");
  assert.equal(safeKind("no type"), "");
  assert.ok(!isSafeKind("text/html\nx"));
  assert.equal(sizeWords("en", 0), "0 bytes");
  assert.equal(sizeWords("en", 999), "999 bytes");
  assert.equal(sizeWords("en", 1400), "1.4 kB");
  assert.equal(sizeWords("de", 209_715_200), "210 MB");
  assert.equal(sizeWords("fr", 1_073_741_824).replace(/\s/u, " "), "1,1 Go");
});
