// Still photos: none without this very consent, none after it is taken back, and nobody is nagged.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatPartner } from "../../web/js/chatpartner.js";
import { encodeMessage } from "../../web/js/datacodec.js";
import { Files } from "../../web/js/files.js";
import { MOST_REFUSALS, PAUSE, Photos } from "../../web/js/photos.js";
import { settle, wire } from "./wires.mjs";

/** One page with photos alone; `clock.now` is what it takes for the time. */
function page(name, other, clock) {
  const self = { name, captures: 0, held: new Set(), asked: [], refused: [], gate: null };
  let ids = 0;
  self.photos = new Photos({
    newId: () => `${name}${String((ids += 1)).padStart(15, "0")}`,
    now: () => clock.now,
    capture: async () => {
      self.captures += 1;
      const url = `blob:${name}${self.captures}`;
      if (self.dark) throw new Error("no picture");
      self.held.add(url);
      await self.gate;
      return { url, width: 1280, height: 720 };
    },
    discard: (url) => self.held.delete(url),
    asked: (photo) => self.asked.push(photo),
    changed: () => {},
  });
  const files = new Files({ consent: "unasked", changed: () => {}, told: () => {} });
  self.partner = new ChatPartner({
    person: other, files, photos: self.photos, prove: () => "A".repeat(22), now: () => clock.now,
    output: () => {}, greeted: () => {}, refused: (reason) => self.refused.push(reason),
  });
  self.states = () => self.photos.list.map(({ state }) => state);
  return self;
}

async function pair() {
  const clock = { now: 1_000 };
  const [a, b] = [page("a", "b", clock), page("b", "a", clock)];
  return { a, b, clock, made: await link(a, b) };
}

async function link(a, b) {
  const made = wire();
  a.partner.connected(made.a);
  b.partner.connected(made.b);
  await settle(made);
  return made;
}

async function asked({ a, b, made }) {
  assert.ok(a.photos.ask("b"));
  await settle(made);
  return b.photos.list.at(-1);
}

test("nothing is captured before the other side has agreed; both know that it was taken", async () => {
  const both = await pair();
  const { a, b, made } = both;
  const photo = await asked(both);
  assert.deepEqual([a.captures, a.states(), b.states()], [0, ["asked"], ["asked"]]);
  assert.equal(b.asked.length, 1);
  b.photos.answer(photo, true);
  await settle(made);
  assert.deepEqual([a.captures, a.states(), b.states()], [1, ["taken"], ["taken"]]);
  assert.equal(a.photos.list[0].url, "blob:a1");
  assert.deepEqual([photo.width, photo.height, photo.url], [1280, 720, ""]);
  assert.deepEqual([a.refused, b.refused], [[], []]);
});

test("one consent is for one photo", async () => {
  const both = await pair();
  const { a, b, made } = both;
  b.photos.answer(await asked(both), true);
  await settle(made);
  for (const type of ["photo_answer", "photo_answer"]) {
    made.b.send(encodeMessage({ type, photo: a.photos.list[0].id, agreed: true }));
  }
  await settle(made);
  assert.equal(a.captures, 1);
  assert.deepEqual(a.refused, ["unexpected", "unexpected"]);
});

test("a no is a no, is waited after, and after several there is no further question", async () => {
  const both = await pair();
  const { a, b, clock, made } = both;
  for (let time = 1; time <= MOST_REFUSALS; time += 1) {
    b.photos.answer(await asked(both), false);
    await settle(made);
    assert.deepEqual([a.states().at(-1), b.states().at(-1), a.captures], ["declined", "declined", 0]);
    assert.equal(a.photos.ask("b"), false, "at once again");
    clock.now += PAUSE;
  }
  assert.equal(a.photos.wait("b"), Number.POSITIVE_INFINITY);
  assert.equal(a.photos.ask("b"), false);
});

test("a page that does not wait is answered for the person, who sees nothing of it", async () => {
  const both = await pair();
  const { a, b, clock, made } = both;
  b.photos.answer(await asked(both), false);
  await settle(made);
  for (let time = 0; time < 5; time += 1) {
    made.a.send(encodeMessage({ type: "photo_ask", photo: `nagging${time}`.padEnd(16, "x") }));
    await settle(made);
    clock.now += 4_000;
  }
  assert.equal(b.asked.length, 1);
  assert.equal(b.photos.list.length, 1);
  assert.deepEqual(a.captures, 0);
});

test("consent taken back while the picture is made: it is thrown away", async () => {
  const both = await pair();
  const { a, b, made } = both;
  let go;
  a.gate = new Promise((resolve) => {
    go = resolve;
  });
  const photo = await asked(both);
  b.photos.answer(photo, true);
  await settle(made);
  assert.deepEqual(a.states(), ["taking"]);
  b.photos.withdraw(photo);
  await settle(made);
  go();
  await settle(made);
  assert.deepEqual([a.states(), b.states(), a.held.size], [["withdrawn"], ["withdrawn"], 0]);
});

test("taken back afterwards, also while nobody can be told: it goes from the asker's page", async () => {
  for (const cut of [false, true]) {
    const both = await pair();
    const { a, b } = both;
    let { made } = both;
    const photo = await asked(both);
    b.photos.answer(photo, true);
    await settle(made);
    assert.equal(a.held.size, 1);
    if (cut) made.a.cut();
    b.photos.withdraw(photo);
    if (cut) made = await link(a, b);
    await settle(made);
    assert.deepEqual([a.states(), b.states(), a.held.size], [["withdrawn"], ["withdrawn"], 0], `${cut}`);
    assert.deepEqual(a.refused, []);
  }
});

test("a question is taken back, or void when the connection breaks; messages may cross", async () => {
  const both = await pair();
  const { a, b, clock, made } = both;
  const first = await asked(both);
  b.photos.answer(first, true);
  a.photos.cancel(a.photos.list[0]);
  await settle(made);
  assert.deepEqual([a.states(), b.states(), a.captures], [["cancelled"], ["cancelled"], 0]);
  assert.equal(a.photos.ask("b"), false, "not in the same breath");
  clock.now += PAUSE + 10_000;
  await asked(both);
  made.a.cut();
  assert.deepEqual([a.states().at(-1), b.states().at(-1)], ["lost", "lost"]);
  await link(a, b);
  clock.now += 10_000;
  assert.equal(a.photos.ask("b"), false, "who has not answered is not pressed");
  clock.now += PAUSE;
  await asked(both);
  assert.deepEqual([a.refused, b.refused], [[], []]);
});

test("agreed, and the connection breaks before it is known whether there is a photo: it can be withdrawn", async () => {
  for (const left of [false, true]) {
    const both = await pair();
    const { a, b } = both;
    both.made.a.through = (what, data) => (data.includes("photo_taken") ? [] : [[what, data]]);
    const photo = await asked(both);
    b.photos.answer(photo, true);
    await settle(both.made);
    both.made.a.cut();
    if (left) b.photos.gone("a");
    assert.deepEqual([a.states(), a.held.size, b.states()], [["taken"], 1, ["perhaps"]]);
    b.photos.withdraw(photo);
    assert.deepEqual(b.states(), [left ? "untold" : "withdrawn"]);
    await settle(await link(a, b));
    assert.deepEqual([a.states(), a.held.size, b.states()], [["withdrawn"], 0, ["withdrawn"]]);
    assert.deepEqual([a.refused, b.refused], [[], []]);
  }
});

test("who has left for good is not said to be told", async () => {
  for (const before of [false, true]) {
    const both = await pair();
    const { b, made } = both;
    const photo = await asked(both);
    b.photos.answer(photo, true);
    await settle(made);
    made.a.cut();
    if (before) b.photos.withdraw(photo);
    b.photos.gone("a");
    if (!before) b.photos.withdraw(photo);
    assert.deepEqual(b.states(), ["untold"]);
  }
});

/** A page that asks as often as it can and takes each question back. */
async function nag(both, seconds, end) {
  const { b, clock } = both;
  for (let n = 0; n < seconds / 5; n += 1) {
    const photo = `nag${clock.now}`.padEnd(16, "x");
    both.made.a.send(encodeMessage({ type: "photo_ask", photo }));
    await settle(both.made);
    if (b.photos.list.at(-1)?.id === photo) await end(photo);
    clock.now += 5_001;
  }
}

test("questions that are taken back, or lost, do not go on and on", async () => {
  for (const cut of [false, true]) {
    const both = await pair();
    const end = async (photo) => {
      if (!cut) {
        both.made.a.send(encodeMessage({ type: "photo_end", photo, reason: "cancelled" }));
        return settle(both.made);
      }
      both.made.a.cut();
      both.made = await link(both.a, both.b);
    };
    await nag(both, 65, end);
    assert.equal(both.b.asked.length, 2, "one a minute");
    await nag(both, 1200, end);
    assert.equal(both.b.asked.length, 2 + MOST_REFUSALS, "and then none");
  }
});

test("the asking page waits as long, so that nothing is refused in somebody's name", async () => {
  const both = await pair();
  const { a, b, clock, made } = both;
  for (let time = 1; time <= 5; time += 1) {
    await asked(both);
    a.photos.cancel(a.photos.list.at(-1));
    await settle(made);
    assert.equal(a.photos.ask("b"), false);
    assert.ok(b.photos.list.every(({ state }) => state === "cancelled"));
    clock.now += a.photos.wait("b") === Number.POSITIVE_INFINITY ? 0 : a.photos.wait("b");
  }
  assert.equal(a.photos.wait("b"), Number.POSITIVE_INFINITY);
  assert.equal(b.asked.length, 5);
});

test("a photo that was taken of somebody stays on the list, whatever else is asked for", async () => {
  const both = await pair();
  const { b, clock } = both;
  const photo = await asked(both);
  b.photos.answer(photo, true);
  await settle(both.made);
  for (let n = 0; n < 60; n += 1) {
    const said = [];
    b.photos.connected(`p${n}`, (message) => said.push(message));
    b.photos.receive(`p${n}`, { type: "photo_ask", photo: `p${n}`.padEnd(16, "x") });
    b.photos.answer(b.photos.list.at(-1), false);
    clock.now += 1;
  }
  assert.ok(b.photos.list.includes(photo));
  assert.equal(b.photos.list.length, 50);
});

test("whose list is full of photos taken of them is not asked for more", async () => {
  const { b } = await pair();
  for (let n = 0; n < 60; n += 1) {
    const id = `p${n}`.padEnd(16, "x");
    b.photos.connected(`p${n}`, () => {});
    b.photos.receive(`p${n}`, { type: "photo_ask", photo: id });
    const photo = b.photos.list.find((one) => one.id === id);
    if (!photo) continue;
    b.photos.answer(photo, true);
    b.photos.receive(`p${n}`, { type: "photo_taken", photo: id, width: 1, height: 1 });
  }
  assert.deepEqual(b.states(), Array(50).fill("taken"));
  assert.equal(b.photos.list[0].person, "p0");
});

test("without a picture there is no photo, and both are told", async () => {
  const both = await pair();
  const { a, b, made } = both;
  a.dark = true;
  b.photos.answer(await asked(both), true);
  await settle(made);
  assert.deepEqual([a.states(), b.states()], [["failed"], ["failed"]]);
});

test("what was never in order is refused and has no effect", async () => {
  const id = "AbCdEfGhIjKlMnOp";
  for (const message of [
    { type: "photo_taken", width: 1, height: 1 },
    { type: "photo_end", reason: "withdrawn" },
  ]) {
    const both = await pair();
    await asked(both);
    both.made.a.send(encodeMessage({ ...message, photo: both.b.photos.list[0].id }));
    await settle(both.made);
    assert.deepEqual([both.b.states(), both.b.refused], [["asked"], ["unexpected"]], message.type);
  }
  const { a, b, made } = await pair();
  made.a.send(encodeMessage({ type: "photo_ask", photo: id }));
  made.a.send(encodeMessage({ type: "photo_ask", photo: id }));
  made.a.send(encodeMessage({ type: "photo_answer", photo: id, agreed: true }));
  await settle(made);
  assert.deepEqual([b.refused, b.captures, a.captures], [["unexpected"], 0, 0]);
});

test("at the end nothing is held", async () => {
  const both = await pair();
  const { a, b, made } = both;
  b.photos.answer(await asked(both), true);
  await settle(made);
  a.photos.clear();
  assert.deepEqual([a.held.size, a.photos.list.length], [0, 0]);
});
