// Series as connections have measured them: when pictures go, when they come back, and when nothing happens.
import assert from "node:assert/strict";
import { test } from "node:test";

import { gradeOf, Line } from "../../web/js/line.js";
import { LineReports } from "../../web/js/linereports.js";

const GOOD = { lost: 0, room: 1_500_000, roundTrip: 40, stalled: false };
const LOSSY = { ...GOOD, lost: 0.2 };
const NARROW = { lost: 0.01, room: 60_000, roundTrip: 300, stalled: false };
/** Sound alone over a line that is well again: the browser's belief stays where the sound has left it. */
const SOUND = { lost: 0, room: 70_000, roundTrip: 60, stalled: false };

/** Feeds one measurement a second; gives [second, state] of each change. */
function run(line, measurements, from = 0) {
  const changes = [];
  measurements.forEach((measured, at) => {
    if (line.take(measured, (from + at + 1) * 1000)) changes.push([from + at + 1, line.state]);
  });
  return changes;
}
const of = (measured, seconds) => Array(seconds).fill(measured);

test("a good line stays as it is", () => {
  assert.deepEqual(run(new Line(0), of(GOOD, 600)), []);
});

test("a bad line falls to sound after some seconds, and no picture comes back while it is bad", () => {
  const line = new Line(0);
  assert.deepEqual(run(line, [...of(GOOD, 20), ...of(LOSSY, 300)]), [[25, "thin"]]);
  assert.equal(line.open, false);
});

test("a moment is no reason, nor are several that lie apart", () => {
  assert.deepEqual(run(new Line(0), [...of(GOOD, 20), ...of(LOSSY, 4), ...of(GOOD, 20)]), []);
  const apart = Array.from({ length: 300 }, (_, at) => (at % 4 === 0 ? LOSSY : GOOD));
  assert.deepEqual(run(new Line(0), apart), []);
});

test("what lies between good and bad keeps what is: no picture goes, and none comes back", () => {
  const between = { ...GOOD, lost: 0.08 };
  assert.deepEqual(run(new Line(0), of(between, 200)), []);
  const line = new Line(0);
  run(line, [...of(GOOD, 10), ...of(LOSSY, 10)]);
  assert.equal(line.state, "thin");
  assert.deepEqual(run(line, of(between, 200), 20), []);
});

test("a narrow line is known by the browser's belief, but not while that still rises", () => {
  assert.deepEqual(run(new Line(0), [...of(NARROW, 7), ...of(GOOD, 60)]), []);
  assert.deepEqual(run(new Line(0), of(NARROW, 20)), [[12, "thin"]]);
  const line = new Line(0);
  line.settle(30_000);
  assert.deepEqual(run(line, of(NARROW, 6), 30), [], "another connection begins anew");
});

test("the picture comes back by a trial, although sound alone says little of the room there is", () => {
  const line = new Line(0);
  const series = [...of(GOOD, 10), ...of(LOSSY, 5), ...of(SOUND, 10), ...of(SOUND, 3), ...of(GOOD, 60)];
  assert.deepEqual(run(line, series), [[15, "thin"], [25, "trial"], [37, "picture"]]);
});

test("each trial that goes badly makes the next one later, up to a bound", () => {
  const line = new Line(0);
  const trials = [];
  let bad = 0;
  for (let second = 1; second < 3_000; second += 1) {
    if (line.take(line.open ? { ...LOSSY } : SOUND, second * 1000)) {
      if (line.state === "trial") trials.push(second - bad);
      else bad = second;
    }
  }
  assert.deepEqual(trials.slice(0, 7), [10, 20, 40, 80, 160, 160, 160]);
});

test("after a long time with a picture, trials begin early again", () => {
  const line = new Line(0);
  run(line, [...of(LOSSY, 5), ...of(SOUND, 10), ...of(LOSSY, 3), ...of(SOUND, 20)]);
  assert.equal(line.state, "trial");
  const later = [...of(GOOD, 140), ...of(LOSSY, 5), ...of(SOUND, 11)];
  assert.deepEqual(run(line, later, 38).map(([, state]) => state), ["picture", "thin", "trial"]);
});

test("who has chosen sound only is left in peace, until wanting otherwise", () => {
  const line = new Line(0);
  run(line, of(LOSSY, 5));
  line.choose(5_500);
  assert.deepEqual(run(line, of(GOOD, 500), 6), []);
  assert.equal(line.state, "chosen");
  line.again(507_000);
  assert.equal(line.state, "trial");
  assert.deepEqual(run(line, of(LOSSY, 4), 507), [[509, "thin"]], "and the line still decides");
});

test("a page that slept has measured nothing in that time", () => {
  const line = new Line(0);
  run(line, of(GOOD, 10));
  assert.equal(line.take(LOSSY, 3_600_000), false);
  assert.equal(line.state, "picture");
});

test("what is not known is neither good nor bad", () => {
  const nothing = { lost: null, room: null, roundTrip: null, stalled: false };
  assert.equal(gradeOf(nothing, true), "good");
  assert.equal(gradeOf({ ...nothing, lost: 0.3 }, true), "bad", "Firefox tells of losses only");
  assert.equal(gradeOf({ ...GOOD, room: 20_000 }, false), "good", "without a picture room says nothing");
  assert.equal(gradeOf({ ...GOOD, roundTrip: 3_000 }, true), "bad");
  assert.equal(gradeOf({ ...GOOD, stalled: true }, true), "bad");
});

const reports = (...entries) => new Map(entries.map((entry) => [entry.id, entry]));
const transport = { id: "T", type: "transport", selectedCandidatePairId: "P" };
const pair = (room, rtt) => ({
  id: "P", type: "candidate-pair", availableOutgoingBitrate: room, currentRoundTripTime: rtt,
});
const inbound = (id, kind, received, lost) => ({
  id, type: "inbound-rtp", kind, packetsReceived: received, packetsLost: lost,
});

test("statistics become what a second has brought, both ways", () => {
  const look = new LineReports();
  const other = { id: "Q", type: "candidate-pair", availableOutgoingBitrate: 9, currentRoundTripTime: 9 };
  const remote = { id: "R", type: "remote-inbound-rtp", kind: "audio", fractionLost: 0.25 };
  const first = look.look(
    [reports(transport, pair(300_000, 0.05), other, remote, inbound("A", "audio", 100, 0))], 1);
  assert.equal(first.fresh, true);
  assert.deepEqual(first.out, { lost: 0.25, room: 300_000, roundTrip: 50, stalled: false });
  assert.equal(first.in.lost, null, "of the first look nothing can be said");
  const second = look.look(
    [reports(transport, pair(200_000, 0.1), inbound("A", "audio", 140, 10))], 1);
  assert.equal(second.fresh, false);
  assert.deepEqual(second.in, { lost: 0.2, room: null, roundTrip: null, stalled: false });
  assert.equal(look.look([], 0).connected, false);
});

test("a reset counter, a few packets and missing numbers say nothing", () => {
  const look = new LineReports();
  look.look([reports(inbound("A", "audio", 500, 50))], 0);
  assert.equal(look.look([reports(inbound("A", "audio", 3, 0))], 0).in.lost, null);
  assert.equal(look.look([reports(inbound("A", "audio", 10, 9))], 0).in.lost, null);
  const bare = look.look([reports(transport, { id: "P", type: "candidate-pair" })], 0);
  assert.deepEqual(bare.out, { lost: null, room: null, roundTrip: null, stalled: false });
});

test("no picture of several that should come, while sound does, is a line too thin", () => {
  const look = new LineReports();
  const at = (sound, one, two) => [reports(
    inbound("A", "audio", sound, 0), inbound("V", "video", one, 0), inbound("W", "video", two, 0))];
  look.look(at(0, 0, 0), 2);
  assert.equal(look.look(at(50, 10, 0), 2).in.stalled, false);
  assert.equal(look.look(at(100, 10, 0), 2).in.stalled, true);
  assert.equal(look.look(at(150, 10, 0), 1).in.stalled, false, "it may be the one who sends");
  assert.equal(look.look(at(150, 10, 0), 2).in.stalled, false, "nothing at all comes: no matter of pictures");
});
