// Words to those who wait, from the host's panel and from the reception: sent once, and told on only when they
// were told at all.
import assert from "node:assert/strict";
import { test } from "node:test";

import { seen, until } from "./paper.mjs";

const { createTellBox } = await import("../../web/js/tellbox.js");
const { createEntry } = await import("../../web/js/receptionentry.js");
const { HOST_START } = await import("../../web/js/hoststate.js");
const { RECEPTION_START } = await import("../../web/js/receptionstate.js");

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A host's panel; what it sends is answered when the test says so. */
function panel() {
  const sent = [];
  const part = createTellBox((words) => new Promise((resolve) => sent.push({ words, answer: resolve })));
  const waiting = (...ids) => {
    const participants = ids.map((id) => ({
      id, name: id, instance: "i", role: "client", status: "waiting", connected: true, since: 0,
    }));
    part.update({ ...HOST_START, phase: "desk", room: { participants } });
  };
  document.body.replaceChildren(part.element);
  return {
    part, sent, waiting,
    button: () => seen(part.element, "tell-send"),
    tell: (text) => {
      seen(part.element, "tell-text").value = text;
      part.element.querySelector("form").dispatchEvent(new Event("submit", { cancelable: true }));
    },
    answer: async (n, code) => {
      sent[n].answer(code);
      await settle();
    },
    told: () => sent.map(({ words }) => [words.text, words.participant ?? "all"]),
  };
}

test("what was not told is not told to those who come later either", async () => {
  const { waiting, tell, answer, told } = panel();
  waiting("dora");
  tell("Ten minutes more");
  await answer(0, "slow_down");
  waiting("dora", "emil");
  assert.deepEqual(told(), [["Ten minutes more", "all"]]);
});

test("what was told is told on, to those as well who came while it was on its way", async () => {
  const { waiting, tell, answer, told } = panel();
  waiting("dora");
  tell("Ten minutes more");
  waiting("dora", "emil");
  await answer(0, "");
  waiting("dora", "emil", "fritz");
  assert.deepEqual(told(), [["Ten minutes more", "all"], ["Ten minutes more", "emil"], ["Ten minutes more", "fritz"]]);
});

test("what stood before stands where the next was not told", async () => {
  const { waiting, tell, answer, told } = panel();
  waiting();
  tell("Soon");
  await answer(0, "");
  tell("Later");
  await answer(1, "slow_down");
  waiting("emil");
  assert.deepEqual(told().at(-1), ["Soon", "emil"]);
});

test("a host's double press tells once", async () => {
  const { waiting, tell, answer, told, button } = panel();
  waiting("dora");
  tell("Soon");
  assert.ok(button().disabled);
  tell("Soon");
  await answer(0, "");
  assert.deepEqual(told(), [["Soon", "all"]]);
  assert.ok(!button().disabled);
});

/** A reception's entry of one who waits. */
function entry() {
  const sent = [];
  const item = createEntry("dora", {
    tell: (...words) => new Promise((resolve) => sent.push({ words, answer: resolve })),
    passOn: async () => {},
  });
  const room = { room: "r", opened_at: 0, closes_at: 0, locked: false, waiting: [] };
  const person = { participant: "dora", name: "Dora", since: 0, connected: true, onward: null, devices: null };
  const desk = { token: "t", name: "Dr. Seidel", rooms: [room] };
  item.update(person, [room, desk, RECEPTION_START]);
  document.body.replaceChildren(item.element);
  return {
    sent,
    text: seen(item.element, "greet-text"),
    button: seen(item.element, "greet-send"),
    press: () => item.element.querySelector("form").dispatchEvent(new Event("submit", { cancelable: true })),
  };
}

test("a reception's double press sends once, and the button comes back whatever the answer", async () => {
  const { sent, text, button, press } = entry();
  for (const [answer, left] of [[true, ""], [false, "Good morning"]]) {
    text.value = "Good morning";
    button.focus();
    press();
    assert.ok(button.disabled);
    // A browser takes the focus from what is disabled.
    document.activeElement = document.body;
    press();
    assert.equal(sent.length, 1);
    sent.pop().answer(answer);
    await until(() => !button.disabled, "it can be pressed again");
    assert.equal(text.value, left);
    assert.equal(document.activeElement, button, "the keyboard's place is where it was");
  }
});
