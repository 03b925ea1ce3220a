// Against published answers and another implementation, however the bytes are cut up.
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";

import { hmacSha256, Sha256, sha256 } from "../../web/js/sha256.js";
import { randomFrom } from "./relay.mjs";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const ascii = (text) => new TextEncoder().encode(text);

test("the answers of FIPS 180-4's examples", () => {
  for (const [text, digest] of [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"],
    ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
  ]) assert.equal(hex(sha256(ascii(text))), digest);
});

test("every length around the edges of a block", () => {
  for (let length = 0; length <= 200; length += 1) {
    const bytes = randomBytes(length);
    assert.equal(hex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"), `${length}`);
  }
});

test("any pieces give the digest of the whole", () => {
  const random = randomFrom(1);
  for (let round = 0; round < 200; round += 1) {
    const whole = randomBytes(Math.floor(random() * 5000));
    const hash = new Sha256();
    for (let at = 0; at < whole.length;) {
      const end = Math.min(whole.length, at + Math.floor(random() * 300));
      hash.update(whole.subarray(at, end));
      at = end;
    }
    assert.equal(hex(hash.digest()), createHash("sha256").update(whole).digest("hex"));
  }
});

const soak = { skip: process.env.KONSIL_SOAK ? false : "takes ten seconds: KONSIL_SOAK=1" };

test("a length beyond 32 bits of bits is written right", soak, () => {
  // 600 MiB, more than 2^32 bits.
  const piece = new Uint8Array(50 * 1024 * 1024).fill(7);
  const [ours, theirs] = [new Sha256(), createHash("sha256")];
  for (let n = 0; n < 12; n += 1) {
    ours.update(piece);
    theirs.update(piece);
  }
  assert.equal(hex(ours.digest()), theirs.digest("hex"));
});

test("HMAC: RFC 4231's cases and others", () => {
  assert.equal(
    hex(hmacSha256(new Uint8Array(20).fill(0x0b), ascii("Hi There"))),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  );
  for (const length of [0, 1, 63, 64, 65, 131]) {
    const key = randomBytes(length);
    const message = randomBytes(100);
    assert.equal(hex(hmacSha256(key, message)), createHmac("sha256", key).update(message).digest("hex"));
  }
});
