// What a page says of its call: the numbers of steps, and only what the browser can tell.
import assert from "node:assert/strict";
import { test } from "node:test";

import { countsOf, reportOf, STEPS, stepOf } from "../../web/js/callquality.js";

const CALL = { path: "direct", lost: 1, received: 999, frozen: 0, watched: 100, firstFrame: 0.4 };

test("a value is in the first step that it does not exceed", () => {
  assert.equal(stepOf(STEPS.loss, 0), 0);
  assert.equal(stepOf(STEPS.loss, 0.005), 0);
  assert.equal(stepOf(STEPS.loss, 0.0051), 1);
  assert.equal(stepOf(STEPS.loss, 1), STEPS.loss.length);
  assert.equal(stepOf(STEPS.frozen, 0), 0);
  assert.equal(stepOf(STEPS.frozen, 0.001), 1);
});

test("a call becomes numbers of steps", () => {
  assert.deepEqual(reportOf(CALL), { path: "direct", loss: 0, first_frame: 0, frozen: 0 });
  assert.deepEqual(reportOf({ ...CALL, path: "sfu", lost: 333, frozen: 30, firstFrame: 60 }),
    { path: "sfu", loss: 4, first_frame: 5, frozen: 4 });
});

test("what is not known is left out, and a call that never came about is not told", () => {
  assert.deepEqual(reportOf({ ...CALL, frozen: null }), { path: "direct", loss: 0, first_frame: 0 });
  assert.deepEqual(reportOf({ ...CALL, firstFrame: null }), { path: "direct", loss: 0 });
  assert.equal(reportOf({ ...CALL, path: null }), null);
  assert.equal(reportOf({ ...CALL, lost: 0, received: 0 }), null);
});

test("reports of a connection are added up", () => {
  const video = { type: "inbound-rtp", packetsLost: 3, packetsReceived: 10, framesDecoded: 1, totalFreezesDuration: 2 };
  const audio = { type: "inbound-rtp", packetsLost: -1, packetsReceived: 20 };
  assert.deepEqual(countsOf([video, audio, { type: "transport" }]), { lost: 3, received: 30, frozen: 2, shown: true });
  assert.deepEqual(countsOf([audio]), { lost: 0, received: 20, frozen: null, shown: false });
});

test("the steps are the server's", async () => {
  const { readFileSync } = await import("node:fs");
  const python = readFileSync(new URL("../../signaling/quality.py", import.meta.url), "utf8");
  const ends = (name) => JSON.parse(`[${new RegExp(`${name}: Final = \\(([^)]*)\\)`).exec(python)[1]}]`);
  assert.deepEqual(ends("FIRST_FRAME_S"), STEPS.firstFrame);
  assert.deepEqual(ends("LOSS"), STEPS.loss);
  assert.deepEqual(ends("FROZEN"), STEPS.frozen);
});
