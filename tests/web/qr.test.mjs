// QR codes, module for module as another implementation makes them (python-qrcode; tests/vectors/qr.json).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { encodeQr } from "../../web/js/qr.js";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/qr.json", import.meta.url), "utf8"));
const digest = (matrix) =>
  createHash("sha256")
    .update(matrix.map((row) => row.map((dark) => (dark ? 1 : 0)).join("")).join("\n"))
    .digest("hex");

for (const { text, masks } of VECTORS) {
  test(`${text.length} characters, with every mask`, () => {
    masks.forEach((expected, mask) => assert.equal(digest(encodeQr(text, mask)), expected));
    assert.ok(masks.includes(digest(encodeQr(text))), "the mask it chooses is one of them");
  });
}

test("a text that does not fit gives none", () => {
  assert.equal(encodeQr("x".repeat(1274)), null);
  assert.equal(encodeQr("é".repeat(637)), null);
});
