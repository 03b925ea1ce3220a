import assert from "node:assert/strict";
import { test } from "node:test";

import { isStuck, pathOf, watchPath } from "../../web/js/path.js";

const reports = (...list) => new Map(list.map((report) => [report.id, report]));

const transport = { id: "t", type: "transport", selectedCandidatePairId: "p" };
const pair = (more = {}) => ({
  id: "p", type: "candidate-pair", localCandidateId: "l", remoteCandidateId: "r",
  bytesSent: 10, bytesReceived: 10, ...more,
});
const ends = (local, remote) => [
  { id: "l", type: "local-candidate", candidateType: local },
  { id: "r", type: "remote-candidate", candidateType: remote },
];
const other = { id: "q", type: "candidate-pair", localCandidateId: "l2", bytesSent: 0, bytesReceived: 5 };
const outgoing = { id: "o", type: "outbound-rtp", bytesSent: 1000 };

test("a path is direct unless either end of it is relayed", () => {
  assert.equal(pathOf(reports(other, pair(), transport, ...ends("host", "prflx"))), "direct");
  assert.equal(pathOf(reports(other, pair(), transport, ...ends("relay", "srflx"))), "relay");
  assert.equal(pathOf(reports(other, pair(), transport, ...ends("host", "relay"))), "relay");
});

test("the pair in use is found without a report on the transport", () => {
  assert.equal(pathOf(reports(other, pair({ selected: true }), ...ends("relay", "host"))), "relay");
});

test("while no pair is in use there is no path", () => {
  const none = { id: "t", type: "transport" };
  assert.equal(pathOf(reports(none, other)), null);
  assert.equal(pathOf(reports()), null);
});

test("a connection is stuck when there is something to send and none of it leaves", () => {
  const silent = pair({ bytesSent: 0, bytesReceived: 0 });
  const [fresh, used] = [{ ...outgoing, bytesSent: 0 }, outgoing];
  assert.equal(isStuck(reports(transport, silent, used)), true);
  assert.equal(isStuck(reports(transport, pair({ bytesSent: 0 }))), true, "nothing of its own");
  assert.equal(isStuck(reports(transport, silent, fresh)), false, "nothing to send");
  assert.equal(isStuck(reports(transport, pair(), used, other)), false, "it leaves");
  assert.equal(isStuck(reports(transport, used)), false, "no pair");
  assert.equal(isStuck(reports(transport, pair({ bytesSent: undefined }), used)), false, "not counted");
});

test("another path is told of, though the browser does not tell of another pair", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  let stats = reports();
  const pc = Object.assign(new EventTarget(), {
    connectionState: "connected", getSenders: () => [], getStats: async () => stats,
  });
  const told = [];
  watchPath(pc, (path) => told.push(path));
  const pass = async (ms) => {
    t.mock.timers.tick(ms);
    await settle();
  };

  pc.dispatchEvent(new Event("connectionstatechange"));
  await settle();
  assert.deepEqual(told, [], "statistics lag");
  stats = reports(transport, pair(), ...ends("host", "host"));
  await pass(250);
  assert.deepEqual(told, ["direct"]);
  stats = reports(transport, pair(), ...ends("relay", "host"));
  await pass(3000);
  assert.deepEqual(told, ["direct", "relay"]);
  await pass(3000);
  assert.deepEqual(told, ["direct", "relay"], "once");

  pc.connectionState = "closed";
  stats = reports(transport, pair(), ...ends("host", "host"));
  await pass(3000);
  await pass(3000);
  assert.deepEqual(told, ["direct", "relay"]);
});
