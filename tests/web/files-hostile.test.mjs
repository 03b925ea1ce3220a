// Files with a page that does not keep to the protocol: refused without effect, in bounds, at last unheard.
import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeChunk, encodeMessage } from "../../web/js/datacodec.js";
import { Incoming } from "../../web/js/fileincoming.js";
import { MOST_SHOWN } from "../../web/js/files.js";
import { Place, hostile, newId, page, settled } from "./filepages.mjs";
import { settle, wire } from "./wires.mjs";

test("what went off a full list by itself may still be spoken of", async () => {
  const { c, now, say } = await hostile();
  const first = newId();
  say({ type: "offer", file: first, name: "x", size: 1, kind: "" });
  say({ type: "cancel", file: first, reason: "cancelled" });
  for (let n = 0; n < MOST_SHOWN; n += 1) {
    const id = newId();
    say({ type: "offer", file: id, name: "x", size: 1, kind: "" });
    say({ type: "cancel", file: id, reason: "cancelled" });
    await settle(now);
    c.clock.now += 1_000;
  }
  assert.ok(!c.files.list.some(({ id }) => id === first));
  say({ type: "cancel", file: first, reason: "cancelled" });
  now.a.sendChunk(encodeChunk(first, 0, new Uint8Array(1)));
  await settle(now);
  assert.deepEqual(c.refused, []);
});

for (const [what, act, reason] of [
  ["a chunk of nothing", ({ now }) => now.a.sendChunk(encodeChunk(newId(), 0, new Uint8Array(5))), "unknown_file"],
  ["a chunk before it was accepted", ({ now, id }) => now.a.sendChunk(encodeChunk(id, 0, new Uint8Array(5))), "out_of_range"],
  ["a chunk that leaves bytes out", ({ now, id, accept }) => accept(() => now.a.sendChunk(encodeChunk(id, 7, new Uint8Array(5)))), "out_of_range"],
  ["more bytes than were said", ({ now, id, accept }) => accept(() => now.a.sendChunk(encodeChunk(id, 0, new Uint8Array(101)))), "out_of_range"],
  ["another file by the same id", ({ say, id }) => say({ type: "offer", file: id, name: "other", size: 100, kind: "" }), "unexpected"],
  ["an answer to nothing", ({ say }) => say({ type: "accept", file: newId(), from: 0 }), "unknown_file"],
  ["an acceptance of one's own offer", ({ say, id }) => say({ type: "accept", file: id, from: 0 }), "unexpected"],
  ["a second greeting", ({ say }) => say({ type: "hello", version: 1, lines: { own: 0, other: 0 }, files: true, sending: [] }), "unexpected"],
  ["an acknowledgement of nothing", ({ say }) => say({ type: "ack", n: 5 }), "out_of_range"],
  ["an edit of nothing", ({ say, id }) => say({ type: "draft", id, start: false, edits: [] }), "unexpected"],
  ["an edit beyond the end", ({ say, id }) => say({ type: "draft", id, start: true, edits: [{ at: 1, erase: 0, insert: "x" }] }), "out_of_range"],
  ["a chunk too large", ({ now }) => now.a.sendChunk(new Uint8Array(70_000)), "too_large"],
  ["nonsense", ({ say }) => say("{"), "malformed"],
]) {
  test(`refused and without effect: ${what}`, async () => {
    const { c, now, say } = await hostile();
    const id = newId();
    say({ type: "offer", file: id, name: "x", size: 100, kind: "" });
    await settled(now);
    await act({
      now, say, id,
      accept: async (then) => {
        c.files.accept(c.offers[0]);
        await settled(now);
        then();
      },
    });
    await settled(now);
    assert.deepEqual(c.refused, [reason]);
    assert.equal(c.partner.ready, true);
    assert.ok(c.files.list.every((transfer) => transfer instanceof Incoming && transfer.state !== "done"));
  });
}

test("before a greeting nothing else is taken; after sixteen refusals nobody listens any more", async () => {
  const c = page("c", "h");
  const now = wire();
  c.partner.connected(now.b);
  for (let n = 0; n < 40; n += 1) now.a.send(encodeMessage({ type: "ack", n: 1 }));
  await settle(now);
  assert.equal(c.refused.length, 16);
  assert.ok(c.refused.every((reason) => reason === "unexpected"));
  assert.equal(now.b.open, false);
});

test("offers without end are turned away, and messages without end are not taken", async () => {
  const { c, now, say } = await hostile();
  for (let n = 0; n < 40; n += 1) say({ type: "offer", file: newId(), name: "x", size: 1, kind: "" });
  await settle(now);
  assert.equal(c.offers.length, 32);
  assert.deepEqual(c.refused, []);
  for (let n = 0; n < 48; n += 1) {
    c.clock.now += 125;
    const { id } = c.offers.at(-1);
    say({ type: "cancel", file: id, reason: "cancelled" });
    say({ type: "offer", file: newId(), name: "x", size: 1, kind: "" });
    await settle(now);
  }
  assert.equal(c.offers.length, 32 + 6, "one a second");
  assert.deepEqual(c.refused, []);
  for (let n = 0; n < 2000; n += 1) say({ type: "consent", files: true });
  await settle(now);
  assert.ok(c.refused.includes("too_fast"));
  assert.equal(now.b.open, false);
});

test("a sender that does not wait for the disk is cut off", async () => {
  const slow = new Place({ slow: true });
  const id = newId();
  const held = page("c", "h", { place: () => slow });
  const next = wire();
  held.partner.connected(next.b);
  next.a.send(encodeMessage({ type: "hello", version: 1, lines: { own: 0, other: 0 }, files: true, sending: [] }));
  next.a.send(encodeMessage({ type: "offer", file: id, name: "x", size: 2 ** 30, kind: "" }));
  await settled(next);
  held.files.accept(held.offers[0]);
  await settled(next);
  for (let n = 0; n < 200; n += 1) next.a.sendChunk(encodeChunk(id, n * 60_000, new Uint8Array(60_000)));
  await settled(next);
  assert.deepEqual(held.states(), ["failed damaged"]);
  assert.deepEqual(held.refused, ["out_of_range"]);
});
