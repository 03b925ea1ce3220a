// Of what somebody says again and again only the newest counts, and once in a while.
import assert from "node:assert/strict";
import { test } from "node:test";

import { LineWatch } from "../../web/js/linewatch.js";
import { Newest } from "../../web/js/newest.js";

test("what is said rarely counts at once", () => {
  const newest = new Newest(1_000);
  for (let now = 0; now < 5_000; now += 1_000) {
    newest.put("a", now);
    assert.deepEqual(newest.take(now), [["a", now]]);
    assert.equal(newest.next, Number.POSITIVE_INFINITY);
  }
});

test("of what is said too often the newest counts, later, and for each person by itself", () => {
  const newest = new Newest(1_000);
  newest.put("a", 1);
  assert.deepEqual(newest.take(0), [["a", 1]]);
  newest.put("a", 2);
  newest.put("a", 3);
  newest.put("b", 4);
  assert.deepEqual(newest.take(30), [["b", 4]]);
  assert.equal(newest.next, 1_000);
  assert.deepEqual(newest.take(999), []);
  assert.deepEqual(newest.take(1_000), [["a", 3]]);
  assert.deepEqual(newest.take(2_000), []);
});

test("who has left says nothing more", () => {
  const newest = new Newest(1_000);
  newest.put("a", 1);
  newest.take(0);
  newest.put("a", 2);
  newest.gone("a");
  assert.equal(newest.next, Number.POSITIVE_INFINITY);
  assert.deepEqual(newest.take(5_000), []);
});

test("a page that wants our picture and does not, a hundred times a second, has it changed once a second", () => {
  const sent = [];
  const watch = new LineWatch({
    reports: async () => ({ forwarded: false, all: [] }),
    sendPicture: (now) => {
      if (sent.at(-1) !== now) sent.push(now);
    },
    changed: () => {},
  });
  watch.close();
  const remote = { id: "a", video: true, sound: "", connection: "connected" };
  watch.update({ call: [remote], devices: { camera: "on" } });
  const newest = new Newest(1_000);
  for (let now = 0; now <= 10_000; now += 10) {
    // An odd number of changes a second, so that the newest is another one each time.
    newest.put("a", Math.floor(now / 40) % 2 === 0);
    for (const [person, wanted] of newest.take(now)) watch.wanted(person, wanted);
  }
  assert.ok(sent.length >= 5 && sent.length <= 12, `${sent.length} changes`);
});
