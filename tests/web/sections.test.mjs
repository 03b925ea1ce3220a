// What is received of a group, and in which section.
import assert from "node:assert/strict";
import { test } from "node:test";

import { assign, MOST, sameSections, wantedOf } from "../../web/js/sections.js";

const view = (participant, source) => ({
  participant, source, kind: source === "microphone" || source === "screen_audio" ? "audio" : "video",
});
const person = (id) => [view(id, "microphone"), view(id, "camera")];
const names = (list) => list.map(({ participant, source }) => `${participant} ${source}`);
const slots = () => {
  let last = 0;
  return () => (last += 1);
};

test("sound of everybody, and pictures of those who are shown, a screen always", () => {
  const sources = [...person("a"), ...person("b"), view("b", "screen")];
  assert.deepEqual(names(wantedOf(sources, ["a", "b"], new Set(["b"]))), [
    "a microphone", "b microphone", "b screen", "a camera",
  ]);
});

test("where there are too many the most important come first", () => {
  const ids = Array.from({ length: 40 }, (_, n) => `p${n}`);
  const wanted = wantedOf(ids.flatMap(person), [...ids].reverse(), new Set());
  assert.equal(wanted.length, MOST.audio + MOST.video);
  assert.equal(wanted[0].participant, "p39");
  assert.ok(!names(wanted).includes("p0 microphone"));
  const unknown = wantedOf([...person("x"), ...person("a")], ["a"], new Set());
  assert.deepEqual(names(unknown), ["a microphone", "x microphone", "a camera", "x camera"]);
});

test("who stays keeps the section; what becomes free is used again for the same kind", () => {
  const slot = slots();
  const two = assign([], [...person("a"), ...person("b")], slot);
  assert.deepEqual(two.map(({ slot: n, kind, of }) => [n, kind, of.participant]), [
    [1, "audio", "a"], [2, "video", "a"], [3, "audio", "b"], [4, "video", "b"],
  ]);
  const one = assign(two, person("b"), slot);
  assert.deepEqual(one.map(({ of }) => of?.participant ?? null), [null, null, "b", "b"]);
  const again = assign(one, [...person("b"), view("b", "screen"), ...person("c")], slot);
  assert.deepEqual(again.map(({ slot: n, of }) => [n, of && `${of.participant} ${of.source}`]), [
    [1, "c microphone"], [2, "b screen"], [3, "b microphone"], [4, "b camera"], [5, "c camera"],
  ]);
  assert.ok(sameSections(again, assign(again, [...person("c"), ...person("b"), view("b", "screen")], slot)));
  assert.ok(!sameSections(two, one));
});

test("through any comings and goings every wanted source has one section, and none is moved", () => {
  const slot = slots();
  let state = 11;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  let sections = [];
  for (let step = 0; step < 300; step += 1) {
    const wanted = ["a", "b", "c", "d", "e"].flatMap(person).filter(() => random() < 0.5);
    const next = assign(sections, wanted, slot);
    const used = next.filter(({ of }) => of !== null);
    assert.deepEqual(names(used.map(({ of }) => of)).sort(), names(wanted).sort());
    next.forEach((section, at) => {
      if (!sections[at]) return;
      assert.deepEqual([section.slot, section.kind], [sections[at].slot, sections[at].kind]);
      const before = sections[at].of;
      const stays = before && names(wanted).includes(names([before])[0]);
      if (stays) assert.deepEqual(section.of, before);
    });
    sections = next;
  }
  assert.ok(sections.length <= 10, `${sections.length} sections`);
});
