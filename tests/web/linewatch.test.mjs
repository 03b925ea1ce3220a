// What is done about a line: pictures sent, asked for and told of, for two and in a group.
import assert from "node:assert/strict";
import { test } from "node:test";

import { LineWatch } from "../../web/js/linewatch.js";

const remote = (id, more = {}) => ({ id, video: true, sound: "", connection: "connected", ...more });
const view = (camera, ...call) => ({ call, devices: { camera } });

/** A watch whose connection is as told, second by second. */
class Call {
  sent = [];
  told = [];
  #now = performance.now();
  #packets = 0;
  #frames = 0;

  constructor() {
    this.watch = new LineWatch({
      reports: async () => ({ forwarded: false, all: [] }),
      sendPicture: (sent) => {
        if (this.sent.at(-1) !== sent) this.sent.push(sent);
      },
      changed: () => this.told.push(this.watch.message),
    });
    this.watch.close();
  }

  pass(seconds, { room = 1_000_000, lost = 0, pictures = true, forwarded = false } = {}) {
    for (let second = 0; second < seconds; second += 1) {
      this.#now += 1000;
      this.#packets += 50;
      if (pictures) this.#frames += 20;
      const entries = [
        { id: "T", type: "transport", selectedCandidatePairId: "P" },
        { id: "P", type: "candidate-pair", availableOutgoingBitrate: room, currentRoundTripTime: 0.05 },
        { id: "R", type: "remote-inbound-rtp", kind: "audio", fractionLost: lost },
        { id: "A", type: "inbound-rtp", kind: "audio", packetsReceived: this.#packets, packetsLost: 0 },
        { id: "V", type: "inbound-rtp", kind: "video", packetsReceived: this.#frames, packetsLost: 0 },
      ];
      this.watch.take({ forwarded, all: [new Map(entries.map((entry) => [entry.id, entry]))] }, this.#now);
    }
  }
}

test("a line that loses sends no picture, says why, and sends it again", () => {
  const call = new Call();
  call.watch.update(view("on", remote("a")));
  call.pass(20);
  call.pass(10, { lost: 0.3 });
  assert.deepEqual(call.sent, [true, false]);
  assert.deepEqual(call.told.at(-1), { type: "picture", sent: "thin", wanted: true });
  call.pass(15, { room: 60_000 });
  assert.deepEqual(call.sent, [true, false, true]);
  assert.deepEqual(call.told.at(-1), { type: "picture", sent: "yes", wanted: true });
});

test("sound only is chosen for both directions", () => {
  const call = new Call();
  call.watch.update(view("on", remote("a")));
  call.watch.choose();
  assert.deepEqual(call.told, [{ type: "picture", sent: "chosen", wanted: false }]);
  assert.deepEqual([call.sent.at(-1), call.watch.receives], [false, false]);
  call.watch.again();
  assert.deepEqual([call.sent.at(-1), call.watch.receives], [true, true]);
});

test("a picture that the other does not want is not sent, and the line is not blamed for it", () => {
  const call = new Call();
  call.watch.update(view("on", remote("a")));
  call.pass(10);
  call.watch.wanted("a", false);
  assert.equal(call.sent.at(-1), false);
  call.pass(60, { room: 60_000 });
  assert.deepEqual(call.told, [], "sound alone leaves the browser's belief low");
  call.watch.wanted("a", true);
  assert.equal(call.sent.at(-1), true);
  call.pass(4, { room: 60_000 });
  call.pass(60);
  assert.deepEqual(call.told, [], "and it takes a while to rise");
});

test("who did not want one and has left keeps nobody from sending", () => {
  const call = new Call();
  call.watch.update(view("on", remote("a")));
  call.watch.wanted("a", false);
  call.watch.update(view("on"));
  call.watch.update(view("on", remote("b")));
  assert.equal(call.sent.at(-1), true);
});

test("through a forwarder one's own picture goes on for all who want it", () => {
  const call = new Call();
  call.watch.update(view("on", remote("a"), remote("b")));
  call.watch.wanted("a", false);
  call.pass(1, { forwarded: true });
  assert.equal(call.sent.at(-1), true);
});

test("in a group, pictures that are asked for and do not come are left away", () => {
  const call = new Call();
  call.watch.update(view("off", remote("a"), remote("b")));
  call.watch.ask(new Set(["a", "b"]));
  call.pass(20, { forwarded: true });
  assert.equal(call.watch.receives, true);
  call.pass(10, { forwarded: true, pictures: false });
  assert.equal(call.watch.receives, false);
  assert.deepEqual(call.told.at(-1), { type: "picture", sent: "yes", wanted: true });
});

test("pictures that nobody looks at, and cameras that are off, are no thin line", () => {
  const call = new Call();
  call.watch.update(view("off", remote("a"), remote("b")));
  call.watch.ask(new Set());
  call.pass(30, { forwarded: true, pictures: false });
  assert.equal(call.watch.receives, true);
  call.watch.ask(new Set(["a", "b"]));
  call.watch.update(view("off", remote("a"), remote("b", { video: false })));
  call.pass(30, { forwarded: true, pictures: false });
  assert.equal(call.watch.receives, true);
});
