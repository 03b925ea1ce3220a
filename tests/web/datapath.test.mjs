// Which connection data takes to one other: the media's, or one of its own where a forwarder has the media.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { DataPath } from "../../web/js/datapath.js";
import { Emitter } from "../../web/js/emitter.js";

class Own extends Emitter {
  channels = null;
  closed = false;
  received = [];

  start(send) {
    this.send = send;
  }

  receive(content) {
    this.received.push(content);
  }

  open(name) {
    this.channels = name;
    this.emit("data", name);
  }

  close() {
    this.closed = true;
    this.channels = null;
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

function path(initiator) {
  const made = [];
  const sent = [];
  const used = [];
  const data = new DataPath({
    initiator,
    make: async () => {
      made.push(new Own());
      return made.at(-1);
    },
    send: (content) => sent.push(content),
  });
  data.on("data", (channels) => used.push(channels));
  return { data, made, sent, used };
}

const offer = { description: { type: "offer", sdp: "" } };

test("two alone need none of their own", async () => {
  const { data, made, used } = path(true);
  data.mediaHas("media");
  data.mediaHas(null);
  data.renew();
  await settle();
  assert.deepEqual(used, ["media"]);
  assert.equal(made.length, 0);
});

test("the initiator begins one, the responder when it is offered one", async () => {
  const a = path(true);
  const b = path(false);
  a.data.begin();
  a.data.begin();
  b.data.begin();
  await settle();
  assert.deepEqual([a.made.length, b.made.length], [1, 0]);
  a.made[0].send(offer);
  assert.deepEqual(a.sent, [offer]);
  b.data.receive({ candidate: null });
  b.data.receive(offer);
  b.data.receive({ candidate: null });
  await settle();
  assert.deepEqual(b.made[0].received, [offer.description, null]);
  a.data.receive(offer);
  await settle();
  assert.deepEqual(a.made[0].received, [], "nobody offers to the initiator");
});

test("to the forwarder: what there is goes on until it rests, and what comes in its place is ready", async () => {
  const { data, made, used } = path(true);
  data.mediaHas("media");
  data.begin();
  await settle();
  made[0].open("own");
  assert.deepEqual(used, ["media"]);
  data.mediaHas(null);
  data.mediaHas(null);
  assert.deepEqual(used, ["media", "own"]);
});

test("and back: the media's channels take over, and those of its own are closed", async () => {
  const { data, made, used } = path(true);
  data.begin();
  await settle();
  made[0].open("own");
  data.stop();
  data.mediaHas(null);
  assert.deepEqual(used, ["own"]);
  data.mediaHas("media");
  assert.deepEqual(used, ["own", "media"]);
  assert.equal(made[0].closed, true);
  data.mediaHas(null);
  await settle();
  assert.equal(made.length, 1);
});

test("to and fro before anything rests: one of its own again, and only then", async () => {
  const { data, made, used } = path(true);
  data.begin();
  await settle();
  made[0].open("own");
  data.mediaHas("media");
  assert.equal(made[0].closed, true);
  data.mediaHas(null);
  await settle();
  assert.equal(made.length, 2);
  made[1].open("own again");
  assert.deepEqual(used, ["own", "media", "own again"]);
});

test("a lost one is begun again by the initiator, later and later", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { data, made } = path(true);
    data.begin();
    for (const [round, pause] of [1000, 2000, 4000].entries()) {
      await settle();
      made[round].emit("lost");
      assert.equal(made[round].closed, true);
      mock.timers.tick(pause - 1);
      assert.equal(made.length, round + 1);
      mock.timers.tick(1);
      assert.equal(made.length, round + 2);
    }
    await settle();
    data.reset();
    assert.equal(made.at(-1).closed, true);
    mock.timers.tick(60_000);
    assert.equal(made.length, 4);
  } finally {
    mock.timers.reset();
  }
});

test("one that comes after everything was reset is closed at once", async () => {
  const { data, made, sent } = path(true);
  data.begin();
  data.reset();
  await settle();
  assert.equal(made[0].closed, true);
  assert.equal(made[0].send, undefined);
  assert.deepEqual(sent, []);
});
