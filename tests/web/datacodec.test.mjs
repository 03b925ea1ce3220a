// Known answers for what goes over data channels, and nothing else taken.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decodeChunk, decodeMessage, encodeChunk, encodeMessage } from "../../web/js/datacodec.js";
import { randomFrom } from "./relay.mjs";

const vectors = JSON.parse(readFileSync(new URL("../vectors/data.json", import.meta.url), "utf8"));
const text = (made) =>
  typeof made === "string" ? made : made.map(([piece, times]) => piece.repeat(times)).join("");
const refusal = (read) => {
  try {
    read();
  } catch (error) {
    assert.equal(error.name, "DataRefusal", error.stack);
    return [error.reason, error.field];
  }
  return null;
};

test("names of vectors are unique", () => {
  const names = [...vectors.messages, ...vectors.chunks].map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

for (const { name, json, reason, field = "" } of vectors.messages) {
  test(reason ? `refused with ${reason} ${field}: ${name}` : `taken: ${name}`, () => {
    const data = text(json);
    if (reason) assert.deepEqual(refusal(() => decodeMessage(data)), [reason, field]);
    else assert.deepEqual(JSON.parse(encodeMessage(decodeMessage(data))), JSON.parse(data));
  });
}

for (const { name, hex, reason, ...expected } of vectors.chunks) {
  test(`chunk: ${name}`, () => {
    const data = Uint8Array.from(Buffer.from(text(hex), "hex")).buffer;
    if (reason) {
      assert.deepEqual(refusal(() => decodeChunk(data)), [reason, ""]);
      return;
    }
    const { file, offset, bytes } = decodeChunk(data);
    assert.deepEqual([file, offset], [expected.file, expected.offset]);
    if (expected.bytes) assert.equal(Buffer.from(bytes).toString("hex"), expected.bytes);
    assert.deepEqual(encodeChunk(file, offset, bytes).buffer, data);
  });
}

test("every message with one member changed is taken or refused, and nothing else happens", () => {
  const random = randomFrom(11);
  const any = [null, true, 0, -1, 1e21, "", "x", "\u202e", [], {}, [[]], { length: 1 }, "x".repeat(30_000)];
  const good = vectors.messages.filter(({ reason }) => !reason).map(({ json }) => JSON.parse(text(json)));
  for (let round = 0; round < 5000; round += 1) {
    const message = structuredClone(good[Math.floor(random() * good.length)]);
    const keys = Object.keys(message);
    message[keys[Math.floor(random() * keys.length)]] = any[Math.floor(random() * any.length)];
    refusal(() => decodeMessage(JSON.stringify(message)));
  }
});

test("whatever text comes is taken or refused", () => {
  const random = randomFrom(12);
  const start = vectors.messages.filter(({ json }) => typeof json === "string").map(({ json }) => json);
  for (let round = 0; round < 5000; round += 1) {
    const letters = [...start[Math.floor(random() * start.length)]];
    letters.splice(Math.floor(random() * letters.length), Math.floor(random() * 4), '"{}[],:0\\\ud800'[Math.floor(random() * 11)]);
    refusal(() => decodeMessage(letters.join("")));
  }
});
