// What is made of what was found and measured about somebody's line.
import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST_BYTES, PLAN, Tally } from "../../web/js/linetally.js";
import {
  browserOf,
  FULL,
  NO_WAYS,
  reportOf,
  SOUND,
  troublesOf,
  verdictOf,
} from "../../web/js/lineverdict.js";

const LINE = { way: "udp", kbit: 1190, wanted: 1200, loss: 0, trip: 24, busy: 31 };
const OPEN = { udp: "open", tcp: "open", tls: "absent" };
const found = (change = {}, line = {}) => ({
  socket: true, relay: "own", ways: OPEN, line: line === null ? null : { ...LINE, ...line }, ...change,
});

/** Sends by the plan over a line that keeps so much, takes so long, and loses every n-th. */
function measured({ trip = 20, kbit = Infinity, lose = 0, step = 5, queue = 32_000 } = {}) {
  const tally = new Tally(1000);
  const way = [];
  let free = 0;
  let bytes = 0;
  let count = 0;
  let now = 1000;
  for (; !tally.done(now); now += step) {
    while (way.length > 0 && way[0].at <= now) tally.take(way.shift().message, now);
    const waiting = Math.max(0, ((free - now) * kbit) / 8);
    for (const message of tally.due(now, !(waiting > queue))) {
      bytes += message.byteLength;
      count += 1;
      free = Math.max(free, now) + (message.byteLength * 8) / kbit;
      if (lose > 0 && count % lose === 0) continue;
      way.push({ at: (Number.isFinite(kbit) ? free : now) + trip, message });
    }
  }
  return { sum: tally.sum(), bytes, time: now - 1000 };
}

test("a good line: all of it comes, as fast as it goes", () => {
  const { sum, bytes, time } = measured();
  assert.ok(sum.kbit > 1150 && sum.kbit <= 1205, sum.kbit);
  assert.equal(sum.loss, 0);
  assert.equal(sum.trip, 20);
  assert.ok(bytes <= MOST_BYTES && bytes > MOST_BYTES * 0.95, bytes);
  assert.ok(time <= 5000, time);
  assert.ok(MOST_BYTES < 512 * 1024, "four times this has room in what the relay gives a check");
});

test("a slow line: no more than it carries, and its queue is not taken for distance", () => {
  const { sum } = measured({ kbit: 300, trip: 40 });
  assert.ok(sum.kbit > 220 && sum.kbit < 320, sum.kbit);
  assert.ok(sum.trip < 60, sum.trip);
  assert.ok(sum.busy > 500, sum.busy);
  assert.equal(verdictOf(found({}, { ...sum })), "sound");
});

test("loss is what was sent and did not come", () => {
  const { sum } = measured({ lose: 10 });
  assert.ok(Math.abs(sum.loss - 0.1) < 0.01, sum.loss);
});

test("timers that come late are no slow line, and no flood", () => {
  const { sum } = measured({ step: 40 });
  assert.ok(sum.kbit > 1100, sum.kbit);
  const sleepy = measured({ step: 1000 });
  assert.ok(sleepy.bytes <= 5 * PLAN.burst);
});

test("nothing came: nothing is said", () => {
  const { sum, time } = measured({ lose: 1 });
  assert.equal(sum, null);
  assert.ok(time <= 5000);
});

test("a message twice, of nobody or cut off counts for nothing", () => {
  const tally = new Tally(0);
  const [message] = tally.due(100, true);
  tally.take(message, 110);
  tally.take(message, 120);
  tally.take(new ArrayBuffer(3), 120);
  tally.take(new Uint8Array(100).fill(255).buffer, 120);
  assert.equal(tally.sum().trip, 10);
  assert.ok(tally.sum().loss > 0.5, "the others of this time have not come");
});

test("what a line is good for", () => {
  assert.equal(verdictOf(found()), "full");
  assert.equal(verdictOf(found({}, FULL)), "full");
  for (const less of [{ kbit: FULL.kbit - 1 }, { loss: FULL.loss + 0.01 }, { trip: FULL.trip + 1 }]) {
    assert.equal(verdictOf(found({}, less)), "sound");
  }
  assert.equal(verdictOf(found({}, SOUND)), "sound");
  for (const less of [{ kbit: SOUND.kbit - 1 }, { loss: SOUND.loss + 0.01 }, { trip: SOUND.trip + 1 }]) {
    assert.equal(verdictOf(found({}, less)), "poor");
  }
  assert.equal(verdictOf(found({ socket: false })), "cut");
  assert.equal(verdictOf(found({}, null)), "unsure");
});

test("what stands in the way", () => {
  const shut = { udp: "shut", tcp: "shut", tls: "absent" };
  assert.deepEqual(troublesOf(found()), []);
  assert.deepEqual(troublesOf(found({ ways: { ...OPEN, udp: "shut" } })), ["no_udp"]);
  assert.deepEqual(troublesOf(found({ ways: shut }, null)), ["no_relay"]);
  assert.deepEqual(troublesOf(found({ socket: false, ways: shut }, null)), ["no_socket", "no_relay"]);
  assert.deepEqual(troublesOf(found({}, { kbit: 90, loss: 0.2, trip: 900 })), ["slow", "lossy", "far"]);
  // One that gives nothing has answered all the same.
  const answers = { udp: "answers", tcp: "answers", tls: "absent" };
  assert.deepEqual(troublesOf(found({ relay: "other", ways: answers }, null)), ["no_measure"]);
  assert.deepEqual(troublesOf(found({ ways: answers }, null)), ["no_measure"]);
  assert.deepEqual(troublesOf(found({ relay: "none", ways: NO_WAYS }, null)), ["no_measure"]);
  const unknown = { udp: "unknown", tcp: "unknown", tls: "absent" };
  assert.deepEqual(troublesOf(found({ relay: "other", ways: unknown }, null)), ["no_measure"]);
  assert.deepEqual(troublesOf(found({ socket: false, relay: "unasked", ways: NO_WAYS }, null)), ["no_socket"]);
});

test("the report says all that was found, and nothing of whom", () => {
  const at = new Date(Date.UTC(2026, 10, 22, 6, 10, 59));
  assert.equal(
    reportOf(found({ ways: { ...OPEN, udp: "shut" } }, { way: "tcp", loss: 0.012 }), "Firefox 140, Linux", at),
    [
      "Konsil connection check, 2026-11-22 06:10 UTC",
      "browser: Firefox 140, Linux",
      "server: open",
      "relay: own, udp shut, tcp open, tls absent",
      "line: over tcp, 1190 of 1200 kbit/s each way",
      "loss: 1.2 %",
      "round trip: 24 ms, under load 31 ms",
      "result: full, no_udp",
    ].join("\n"),
  );
  assert.match(reportOf(found({}, null), "another", at), /line: not measured/);
});

test("of what a browser says of itself only its kind", () => {
  const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
  for (const [agent, said] of [
    [`Mozilla/5.0 (Linux; Android 10; SM-G960F) ${webkit} Chrome/132.0.6834.80 Mobile Safari/537.36`, "Chrome 132, Android"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86`, "Edge 131, Windows"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140, Linux"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", "Safari 17, iOS"],
    ["lynx", "another"],
  ]) assert.equal(browserOf(agent), said);
});
