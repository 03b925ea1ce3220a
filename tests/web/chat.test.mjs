// Lines and drafts between pages: once, in order, through cuts and reloads, and nothing put into mouths.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Chat } from "../../web/js/chat.js";
import { encodeMessage } from "../../web/js/datacodec.js";
import { randomFrom } from "./relay.mjs";
import { settle, wire } from "./wires.mjs";

const ID = { a: "a".repeat(22), b: "b".repeat(22), c: "c".repeat(22) };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function page(name, { memory = { files: "unasked", live: true } } = {}) {
  const kept = { memory };
  const chat = new Chat({
    secret: `secret of ${name}`, memory,
    remember: (now) => {
      kept.memory = now;
    },
  });
  const said = [];
  const refused = [];
  chat.on("said", (author, text) => said.push(text));
  chat.on("refused", (person, reason) => refused.push(reason));
  return { name, id: ID[name], chat, said, refused, kept };
}

/** Connects two pages anew. */
async function connect(one, two) {
  one.chat.setPeople([two.id]);
  two.chat.setPeople([one.id]);
  return link(one, two);
}

async function link(one, two) {
  const made = wire();
  one.chat.connected(two.id, made.a);
  two.chat.connected(one.id, made.b);
  await settle(made);
  return made;
}

const texts = ({ chat }) => chat.state.log.map(({ author, text }) => `${author === "" ? "I" : author[0]}: ${text}`);
const pending = ({ chat }) => chat.state.log.filter(({ missing }) => missing.size > 0).length;
const finish = (...pages) => pages.forEach(({ chat }) => chat.close());

test("lines go both ways, in order, and are known to have arrived", async () => {
  const [a, b] = [page("a"), page("b")];
  const made = await connect(a, b);
  a.chat.say("one");
  a.chat.say("  two\n ");
  await pause(100);
  b.chat.say("three");
  a.chat.say("   \n\t ");
  await settle(made);
  assert.deepEqual(texts(a), ["I: one", "I: two", "b: three"]);
  assert.deepEqual(texts(b).toSorted(), ["I: three", "a: one", "a: two"]);
  assert.deepEqual(b.said, ["one", "two"]);
  assert.equal(pending(a) + pending(b), 0);
  assert.deepEqual([...a.refused, ...b.refused], []);
  finish(a, b);
});

test("what is said before, between and during connections arrives once and in order", async () => {
  const random = randomFrom(7);
  for (let round = 0; round < 30; round += 1) {
    const [a, b] = [page("a"), page("b")];
    let made = await connect(a, b);
    const expected = { a: [], b: [] };
    let n = 0;
    for (let step = 0; step < 40; step += 1) {
      const who = random() < 0.5 ? a : b;
      n += 1;
      who.chat.say(`line ${n}`);
      expected[who.name].push(`line ${n}`);
      if (random() < 0.3) {
        // Some of what is on its way is lost with the connection.
        if (random() < 0.5) await settle(made);
        made.a.cut();
      }
      if (random() < 0.4) made = await link(a, b);
    }
    await link(a, b);
    for (const [here, there] of [[a, b], [b, a]]) {
      assert.deepEqual(here.chat.state.log.filter(({ author }) => author === "").map(({ text }) => text), expected[here.name]);
      assert.deepEqual(here.chat.state.log.filter(({ author }) => author !== "").map(({ text }) => text), expected[there.name]);
      assert.deepEqual(here.said, expected[there.name]);
      assert.equal(pending(here), 0);
    }
    assert.deepEqual([...a.refused, ...b.refused], []);
    finish(a, b);
  }
});

test("a page loaded anew gets everything back from the other, its own lines, too, and counts on", async () => {
  const [a, b] = [page("a"), page("b")];
  const first = await connect(a, b);
  a.chat.say("mine 1");
  b.chat.say("yours 1");
  await pause(100);
  a.chat.say("mine 2");
  await settle(first);
  first.a.cut();
  // Ages are told in whole milliseconds.
  await pause(100);
  b.chat.say("while you were away");
  const again = page("a", { memory: a.kept.memory });
  again.chat.setPeople([b.id]);
  again.chat.say("before the greeting");
  const second = await link(again, b);
  assert.deepEqual(texts(again).filter((line) => line.startsWith("I")), ["I: mine 1", "I: mine 2", "I: before the greeting"]);
  assert.deepEqual(texts(again).filter((line) => line.startsWith("b")), ["b: yours 1", "b: while you were away"]);
  again.chat.say("mine 3");
  await settle(second);
  assert.deepEqual(b.said, ["mine 1", "mine 2", "before the greeting", "mine 3"]);
  // And once more, so that what came back comes back again.
  second.a.cut();
  const third = page("a", { memory: a.kept.memory });
  await connect(third, b);
  assert.equal(texts(third).length, 6);
  assert.deepEqual([...again.refused, ...third.refused, ...b.refused], []);
  finish(again, third, b);
});

test("nobody can put words into another's mouth", async () => {
  const a = page("a");
  a.chat.setPeople([ID.b]);
  const made = wire();
  a.chat.connected(ID.b, made.a);
  const greeting = { type: "hello", version: 1, lines: { own: 0, other: 3 }, files: true, sending: [] };
  made.b.send(encodeMessage(greeting));
  const forged = { n: 2, id: "i".repeat(16), text: "I agree", ago: 0, proof: "A".repeat(22) };
  made.b.send(encodeMessage({ type: "returned", ...forged }));
  await settle(made);
  assert.deepEqual(texts(a), []);
  assert.deepEqual(a.refused, ["out_of_range"]);
  finish(a);
});

test("another conversation begins with nothing, the same person's goes on", async () => {
  const [a, b, c] = [page("a"), page("b"), page("c")];
  let cleared = 0;
  a.chat.on("cleared", () => {
    cleared += 1;
  });
  const drafts = [];
  for (const one of [b, c]) one.chat.on("change", () => drafts.push([one.name, ...one.chat.state.drafts.values()].join()));
  const seen = async (made, draft) => {
    while (!drafts.includes(draft)) await settle(made);
  };
  const first = await connect(a, b);
  a.chat.typed("half a sen");
  await seen(first, "b,half a sen");
  a.chat.setPeople([]);
  await connect(a, b);
  assert.equal(cleared, 0);
  a.chat.setPeople([]);
  const next = await connect(a, c);
  assert.equal(cleared, 1);
  a.chat.setPeople([c.id]);
  a.chat.typed("anew");
  await seen(next, "c,anew");
  assert.deepEqual(drafts.filter((draft) => draft.startsWith("c,")), ["c,anew"]);
  assert.equal(cleared, 1);
  finish(a, b, c);
});

test("in a group every pair has its own numbers, and a line is shown once", async (t) => {
  // Ages are told in whole milliseconds, and a slow machine would be taken for a later line.
  let time = performance.now();
  t.mock.method(performance, "now", () => time);
  const [a, b, c] = [page("a"), page("b"), page("c")];
  const all = [a, b, c];
  for (const one of all) one.chat.setPeople(all.filter((p) => p !== one).map(({ id }) => id));
  const ab = await link(a, b);
  a.chat.say("to b, and c later");
  time += 100;
  const [ac, bc] = [await link(a, c), await link(b, c)];
  c.chat.say("hello");
  await settle(ab, ac, bc);
  assert.deepEqual(texts(c), ["a: to b, and c later", "I: hello"]);
  assert.deepEqual(texts(b), ["a: to b, and c later", "c: hello"]);
  assert.equal(pending(a) + pending(c), 0);
  // A page loaded anew hears of its own lines from both others.
  for (const made of [ab, ac]) made.a.cut();
  const again = page("a");
  again.chat.setPeople([b.id, c.id]);
  await Promise.all([link(again, b), link(again, c)]);
  assert.deepEqual(texts(again), ["I: to b, and c later", "c: hello"]);
  finish(again, b, c);
});

test("letters appear as they are typed, go with the line, and not at all when switched off", async () => {
  const [a, b] = [page("a"), page("b")];
  const made = await connect(a, b);
  const draft = async () => {
    await pause(320);
    await settle(made);
    return b.chat.state.drafts.get(a.id) ?? "";
  };
  a.chat.typed("Hal");
  assert.equal(await draft(), "Hal");
  a.chat.typed("Hallo 👩‍⚕️");
  assert.equal(await draft(), "Hallo 👩‍⚕️");
  a.chat.typed("Hello 👩‍⚕️");
  assert.equal(await draft(), "Hello 👩‍⚕️");
  a.chat.typed("Hello 👩‍⚕️!");
  a.chat.say("Hello 👩‍⚕️!");
  await settle(made);
  assert.equal(await draft(), "");
  assert.deepEqual(b.said, ["Hello 👩‍⚕️!"]);

  a.chat.typed("secret?");
  assert.equal(await draft(), "secret?");
  a.chat.setLive(false);
  assert.equal(await draft(), "");
  a.chat.typed("secret!");
  assert.equal(await draft(), "");
  assert.deepEqual(a.kept.memory, { files: "unasked", live: false });
  a.chat.setLive(true);
  assert.equal(await draft(), "secret!");
  made.a.cut();
  assert.equal(b.chat.state.drafts.size, 0);
  const second = await link(a, b);
  await settle(second);
  assert.equal(b.chat.state.drafts.get(a.id), "secret!");
  assert.deepEqual([...a.refused, ...b.refused], []);
  finish(a, b);
});

test("the next conversation knows nothing of the one before; who comes back finds it", async () => {
  const [a, b] = [page("a"), page("b")];
  const made = await connect(a, b);
  b.chat.say("of b");
  await settle(made);
  a.chat.setPeople([]);
  a.chat.setPeople([ID.b]);
  assert.deepEqual(texts(a), ["b: of b"]);
  a.chat.setPeople([]);
  a.chat.setPeople([ID.c]);
  assert.deepEqual(texts(a), []);
  a.chat.close();
  assert.deepEqual(texts(a), []);
  finish(b);
});

test("the log is bounded, per author", async () => {
  const [a, b] = [page("a"), page("b")];
  const made = await connect(a, b);
  b.chat.say("kept");
  await settle(made);
  for (let n = 0; n < 700; n += 1) a.chat.say(`line ${n}`);
  await settle(made);
  assert.equal(b.chat.state.log.length, 501);
  assert.equal(a.chat.state.log.length, 501);
  assert.equal(texts(b)[0], "I: kept");
  assert.equal(b.said.length, 700);
  finish(a, b);
});
