import assert from "node:assert/strict";
import { test } from "node:test";

import { IceServers } from "../../web/js/iceservers.js";

/** A clock worked by hand, and a server that answers what it is told to. */
function world() {
  const timers = new Set();
  const asked = [];
  let time = 0;
  const ice = new IceServers({
    ask: () => new Promise((answer, fail) => asked.push({ answer, fail })),
    now: () => time,
    later(ms, task) {
      const timer = { at: time + ms, task };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  });
  const changes = [];
  ice.on("change", (change) => changes.push(change));
  const settled = async () => {
    for (let turn = 0; turn < 20; turn += 1) await null;
  };
  return {
    ice, asked, changes, settled,
    async pass(ms) {
      time += ms;
      for (const timer of [...timers]) {
        if (timer.at > time) continue;
        timers.delete(timer);
        timer.task();
      }
      await settled();
    },
    async answer(username, ttl) {
      asked.at(-1).answer({ ice_servers: [{ urls: ["turn:a"], username, credential: "x" }], ttl });
      await settled();
    },
    async fail() {
      asked.at(-1).fail(new Error("unreachable"));
      await settled();
    },
  };
}

test("nothing is asked before it is wanted, and then once", async () => {
  const { ice, asked, pass, answer, changes } = world();
  await pass(3_600_000);
  assert.equal(asked.length, 0);
  ice.want();
  ice.want();
  void ice.refresh();
  assert.equal(asked.length, 1);
  await answer("1:a", 100);
  assert.equal(ice.current[0].username, "1:a");
  assert.deepEqual(changes, [{ renewed: false }]);
  ice.want();
  assert.equal(asked.length, 1);
});

test("they are renewed before they expire, and a later expiry is told", async () => {
  const { ice, asked, pass, answer, changes } = world();
  ice.want();
  await answer("1:a", 1000);
  await pass(799_000);
  assert.equal(asked.length, 1);
  await pass(1_000);
  assert.equal(asked.length, 2);
  await answer("2:a", 1000);
  assert.deepEqual(changes.at(-1), { renewed: true });
});

test("the same credentials again, at the end of the window, are no change", async () => {
  const { ice, pass, answer, changes, asked } = world();
  ice.want();
  await answer("1:a", 1000);
  await pass(800_000);
  await answer("1:a", 200);
  assert.equal(changes.length, 1);
  await pass(160_000);
  assert.equal(asked.length, 3);
});

test("a try in vain is repeated, ever more slowly, until it may not be had", async () => {
  const { ice, asked, pass, fail } = world();
  ice.want();
  let pause = 1_000;
  for (let tries = 1; tries <= 8; tries += 1) {
    await fail();
    await pass(pause - 1);
    assert.equal(asked.length, tries);
    await pass(1);
    assert.equal(asked.length, tries + 1);
    pause = Math.min(pause * 2, 30_000);
  }
  ice.stop();
  await fail();
  await pass(3_600_000);
  assert.equal(asked.length, 9);
});

test("waiting ends with the first answer, or try, or with the time", async () => {
  const { ice, pass, fail, answer, settled } = world();
  const over = [];
  const wait = (name, success, within) => ice.ready({ success, within }).then(() => over.push(name));
  void wait("time", true, 500);
  void wait("tried", false, 5_000);
  void wait("known", true, 5_000);
  ice.want();
  await settled();
  assert.deepEqual(over, []);
  await pass(500);
  assert.deepEqual(over, ["time"]);
  await fail();
  assert.deepEqual(over, ["time", "tried"]);
  await pass(1_000);
  await answer("1:a", 100);
  assert.deepEqual(over, ["time", "tried", "known"]);
  void wait("later", true, 5_000);
  await settled();
  assert.equal(over.at(-1), "later");
});
