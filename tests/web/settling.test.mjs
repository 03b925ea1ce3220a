// The second half of a double press, or a key that is held down, decides about nobody else than the first.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { seen } from "./paper.mjs";

globalThis.Audio ??= EventTarget;
const { createPanel } = await import("../../web/js/waitinglist.js");
const { createTile } = await import("../../web/js/tileview.js");
const { HOST_START } = await import("../../web/js/hoststate.js");
const { Settling } = await import("../../web/js/settling.js");

let clock = 0;
const now = () => clock;

beforeEach(() => {
  clock = 10_000;
});

const remote = (id, more = {}) => ({
  id, name: id, role: "client", present: true, audio: true, video: true, sound: "", hand: 0, refused: null,
  security: null, path: null, quality: "good", speaking: false, pinned: false, compared: false,
  connection: "connected", ...more,
});

/** A host's panel, which does at once what is pressed. */
function panel(...waiting) {
  const done = [];
  let queue = waiting;
  let inside = [];
  const part = createPanel({
    act: (verb, id) => {
      done.push(`${verb} ${id}`);
      queue = queue.filter((one) => one !== id);
      inside = verb === "admit" ? [...inside, id] : inside.filter((one) => one !== id);
      show();
    },
    lock: () => {}, invite: async () => "", tools: () => [], now,
  });
  const show = () => {
    const participants = queue.map((id) => ({
      id, name: id, instance: "i", role: "client", status: "waiting", connected: true, since: 0,
    }));
    part.update({
      ...HOST_START, phase: "desk", call: inside.map((id) => remote(id)),
      room: { participants, locked: false, media: { mode: "p2p" } },
    });
  };
  show();
  const rows = (testid) => seen(part.element, testid)?.children ?? [];
  const first = (list, button) => {
    const row = rows(list)[0];
    return row === undefined ? null : seen(row, button);
  };
  return {
    done,
    come: (...ids) => {
      queue = ids;
      show();
    },
    press: (button, list = "waiting-list") => first(list, button)?.click(),
    first,
  };
}

test("a double press admits one, and the next when what moved has come to rest", () => {
  const { done, press } = panel("dora", "emil", "fritz");
  press("admit-button");
  clock += 250;
  press("admit-button");
  press("decline-button");
  assert.deepEqual(done, ["admit dora"]);
  clock += 250;
  press("admit-button");
  clock += 600;
  press("decline-button");
  assert.deepEqual(done, ["admit dora", "admit emil", "decline fritz"]);
});

test("who has just slid to the first place is not admitted instead of who was there", () => {
  const { done, press, come } = panel("dora", "emil");
  come("emil");
  press("admit-button");
  assert.deepEqual(done, [], "the first has left in the same moment");
  clock += 500;
  come("passed-on", "emil");
  press("admit-button");
  assert.deepEqual(done, [], "somebody was put before");
});

test("who comes after the others moves nobody", () => {
  const { done, press, come } = panel();
  come("dora");
  come("dora", "emil");
  press("admit-button");
  assert.deepEqual(done, ["admit dora"]);
});

test("who has just come in is not sent out by the second half of a press", () => {
  const { done, press } = panel("dora");
  press("admit-button");
  press("back-button", "call-list");
  press("remove-button", "call-list");
  assert.deepEqual(done, ["admit dora"]);
  clock += 500;
  press("remove-button", "call-list");
  assert.deepEqual(done, ["admit dora", "remove dora"]);
});

test("a key that is held down decides once; Tab goes on", () => {
  const { first } = panel("dora");
  for (const [key, repeat, kept] of [["Enter", true, true], ["Enter", false, false], ["Tab", true, false]]) {
    const press = Object.assign(new Event("keydown", { cancelable: true }), { key, repeat });
    first("waiting-list", "admit-button").dispatchEvent(press);
    assert.equal(press.defaultPrevented, kept, `${key} ${repeat}`);
  }
});

test("the code of the next one is confirmed by no press that began at the one before", () => {
  const code = (id) => remote(id, { security: { code: "123456", verified: "code" } });
  let call = [code("dora"), code("emil")];
  const compared = [];
  const options = {
    streams: new Map(), retry: () => {}, differ: (id) => compared.push(`not ${id}`), pin: () => {}, now,
    compared: (id) => {
      compared.push(id);
      call = call.map((one) => (one.id === id ? { ...one, compared: true } : one));
      show();
    },
  };
  const tiles = new Map(["dora", "emil"].map((id) => [id, createTile(id, options)]));
  const show = () => call.forEach((one) => tiles.get(one.id).update(one, { ...HOST_START, call }));
  const press = (id, button = "code-same") => seen(tiles.get(id).element, button).click();
  show();
  press("dora");
  assert.deepEqual(compared, [], "nobody has heard it yet");
  clock += 700;
  press("dora");
  clock += 600;
  press("emil");
  press("emil", "code-differs");
  assert.deepEqual(compared, ["dora"]);
  clock += 100;
  press("emil");
  assert.deepEqual(compared, ["dora", "emil"]);
});

test("what stays in its place is at rest, whatever goes after it", () => {
  const pressed = [];
  const settling = new Settling(500, now);
  const { onclick } = settling.guard(() => pressed.push(clock));
  settling.see(["a", "b"]);
  settling.see(["a", "b", "c"]);
  settling.see(["a", "b", "c"]);
  onclick.handle();
  assert.equal(pressed.length, 1);
  settling.see(["a", "b"]);
  onclick.handle();
  assert.equal(pressed.length, 1, "the last one has gone, and what is below it has moved");
});
