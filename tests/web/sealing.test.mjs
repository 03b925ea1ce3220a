import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { concat, fromBase64url, toBase64url, utf8 } from "../../web/js/bytes.js";
import {
  Refusal, checkCommitment, commitmentTo, decodeShare, deriveKeys, encodeShare, makeShare,
  participantOf, seal, supportedSuites, transcriptOf, unseal,
} from "../../web/js/sealing.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/sealing.json", import.meta.url), "utf8"));
const bytes = (text) => {
  const value = fromBase64url(text);
  assert.ok(value, `${text} is base64url`);
  return value;
};
const refusedAs = (reason) => (error) => error instanceof Refusal && error.reason === reason;

/** Imports a side's fixed private keys, by suite. */
async function privateKeys(side) {
  const algorithm = { 1: { name: "X25519" }, 2: { name: "ECDH", namedCurve: "P-256" } };
  return new Map(await Promise.all(
    Object.entries(side.private_keys).map(async ([suite, jwk]) => [
      Number(suite),
      await crypto.subtle.importKey("jwk", jwk, algorithm[suite], false, ["deriveBits"]),
    ]),
  ));
}

function publicKeys(side) {
  return new Map(Object.entries(side.private_keys).map(([suite, jwk]) => [
    Number(suite),
    jwk.y ? concat(Uint8Array.of(4), bytes(jwk.x), bytes(jwk.y)) : bytes(jwk.x),
  ]));
}

const ownShare = (side) => encodeShare({
  hasSecret: side.has_secret,
  publicKeys: publicKeys(side),
  nonce: bytes(side.nonce),
  fingerprint: bytes(side.fingerprint),
});

const contextOf = (vector) => ({
  room: vector.room,
  initiator: vector.a.participant,
  responder: vector.b.participant,
  exchange: vector.exchange,
});

test("participants are named as section 2 says", async () => {
  for (const { room, secret, participant } of vectors.participants) {
    assert.equal(await participantOf(room, secret), participant);
  }
});

for (const vector of vectors.exchanges) {
  test(`known answers: ${vector.title}`, async () => {
    const { expected } = vector;
    const [shareA, shareB] = [ownShare(vector.a), ownShare(vector.b)];
    assert.equal(toBase64url(shareA), expected.share_a);
    assert.equal(toBase64url(shareB), expected.share_b);
    assert.equal(toBase64url(await commitmentTo(shareA)), expected.commitment);
    const transcript = await transcriptOf(contextOf(vector), shareA, shareB);
    assert.equal(toBase64url(transcript), expected.transcript);
    const both = vector.a.has_secret && vector.b.has_secret;
    const linkSecret = both ? bytes(vector.link_secret) : null;

    for (const [own, share] of [[vector.a, shareB], [vector.b, shareA]]) {
      const keys = await deriveKeys({
        privateKeys: await privateKeys(own),
        publicKeys: decodeShare(share).publicKeys,
        transcript,
        linkSecret,
      });
      assert.equal(keys.code, expected.code);
      for (const message of vector.sealed) {
        const [sender, recipient] = message.sender === "a"
          ? [vector.a.participant, vector.b.participant]
          : [vector.b.participant, vector.a.participant];
        const key = message.sender === "a" ? keys.fromInitiator : keys.fromResponder;
        const as = { room: vector.room, sender, recipient, exchange: vector.exchange,
          seq: message.seq };
        // AES-GCM is deterministic for a nonce: equal ciphertexts mean equal keys, nonces and AAD.
        const ciphertext = await seal(key, as, utf8(message.plaintext));
        assert.equal(toBase64url(ciphertext), message.ciphertext);
        assert.deepEqual(await unseal(key, as, ciphertext), utf8(message.plaintext));
        for (const other of [
          { ...as, seq: as.seq + 1 },
          { ...as, sender: recipient, recipient: sender },
          { ...as, room: `${as.room.slice(1)}A` },
          { ...as, exchange: `${as.exchange.slice(1)}A` },
        ]) {
          await assert.rejects(unseal(key, other, ciphertext), refusedAs("unsealing_failed"));
        }
      }
    }
  });
}

test("a share says what was put into it, and nothing else parses", async () => {
  const fingerprint = crypto.getRandomValues(new Uint8Array(32));
  const nonce = crypto.getRandomValues(new Uint8Array(16));
  for (const suites of [[1, 2], [2]]) {
    const own = await makeShare({ hasSecret: true, fingerprint, nonce, suites });
    const share = decodeShare(own.share);
    assert.equal(share.hasSecret, true);
    assert.deepEqual([...share.publicKeys.keys()], suites);
    assert.deepEqual(share.fingerprint, fingerprint);
    await checkCommitment(own.commitment, own.share);
    for (let length = 0; length < own.share.length; length += 1) {
      assert.throws(() => decodeShare(own.share.slice(0, length)), refusedAs("malformed"));
    }
    assert.throws(() => decodeShare(concat(own.share, Uint8Array.of(0))), refusedAs("malformed"));
    for (let at = 0; at < own.share.length; at += 1) {
      const flipped = own.share.slice();
      flipped[at] ^= 1 << (at % 8);
      await assert.rejects(checkCommitment(own.commitment, flipped), refusedAs("commit_mismatch"));
    }
  }
});

test("suites must rise, unknown ones are passed over, reserved flags are refused", () => {
  const tail = new Uint8Array(48);
  const key = (suite, length) => concat(Uint8Array.of(suite, length), new Uint8Array(length));
  const share = (flags, ...keys) => concat(Uint8Array.of(flags, keys.length), ...keys, tail);
  assert.deepEqual([...decodeShare(share(0, key(1, 32), key(9, 5))).publicKeys.keys()], [1]);
  assert.equal(decodeShare(share(0)).publicKeys.size, 0);
  for (const bad of [
    share(0, key(2, 65), key(1, 32)), share(0, key(1, 32), key(1, 32)), share(0, key(1, 31)),
    share(0, key(0, 3)), share(2, key(1, 32)), share(0x81, key(1, 32)),
  ]) {
    assert.throws(() => decodeShare(bad), refusedAs("malformed"));
  }
});

test("no common suite, and points that are none, are refused", async () => {
  const side = { fingerprint: new Uint8Array(32), nonce: new Uint8Array(16), hasSecret: false };
  const own = await makeShare({ ...side, suites: [1, 2] });
  const derive = (publicKeys, privateKeys = own.privateKeys) =>
    deriveKeys({ privateKeys, publicKeys, transcript: new Uint8Array(32), linkSecret: null });
  await assert.rejects(derive(new Map()), refusedAs("no_common_suite"));
  const p256 = await makeShare({ ...side, suites: [2] });
  const x25519 = await makeShare({ ...side, suites: [1] });
  await assert.rejects(
    derive(decodeShare(x25519.share).publicKeys, p256.privateKeys), refusedAs("no_common_suite"));
  for (const [suite, point] of [
    [1, new Uint8Array(32)], [1, Uint8Array.of(1, ...new Uint8Array(31))],
    [2, new Uint8Array(65)], [2, Uint8Array.of(4, ...new Uint8Array(63), 9)],
  ]) {
    await assert.rejects(derive(new Map([[suite, point]])), refusedAs("malformed"));
  }
});

test("this runtime does both suites", async () => {
  assert.deepEqual(await supportedSuites(), [1, 2]);
});

test("base64url has one text for one value", () => {
  for (let length = 0; length < 300; length += 1) {
    const value = crypto.getRandomValues(new Uint8Array(length));
    assert.deepEqual(fromBase64url(toBase64url(value)), value);
  }
  for (const bad of ["=", "AA==", "A", "AB", "AAB", "A+/A", "AA A", "AAAAé", "AAAA\n"]) {
    assert.equal(fromBase64url(bad), null, bad);
  }
});
