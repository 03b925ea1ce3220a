// Everybody is to be seen, nobody lies over anybody else, on every screen.
import assert from "node:assert/strict";
import { test } from "node:test";

import { EQUALS, layoutOf, stageOf, tilesOf } from "../../web/js/gridlayout.js";

const remote = (id, more = {}) => ({ id, pinned: false, screen: false, speaking: false, spoke: 0, ...more });
const people = (count, more = {}) => Array.from({ length: count }, (_, n) => remote(`p${n}`, more[n] ?? {}));
const SCREENS = {
  "a phone": { width: 360, height: 640 },
  "a phone on its side": { width: 740, height: 290 },
  "a tablet": { width: 820, height: 1080 },
  "a desk": { width: 930, height: 720 },
  "a wide screen": { width: 1920, height: 980 },
};
const lay = (call, screen, page = 0) => layoutOf(stageOf(tilesOf(call)), { ...screen, page });
const meet = (a, b) =>
  a.x < b.x + b.width - 0.01 && b.x < a.x + a.width - 0.01
  && a.y < b.y + b.height - 0.01 && b.y < a.y + a.height - 0.01;

for (const [name, screen] of Object.entries(SCREENS)) {
  test(`on ${name} up to nine are all shown, within the stage, and none over another`, () => {
    for (let count = 1; count <= EQUALS; count += 1) {
      for (const more of [{}, { 0: { pinned: true } }, { 0: { screen: true } }]) {
        const layout = lay(people(count, more), screen);
        const boxes = [...layout.boxes.values(), layout.self, layout.more].filter((box) => box);
        const what = `${count} with ${JSON.stringify(more)}`;
        if (layout.pages === 1) {
          assert.equal(layout.boxes.size, count + (more[0]?.screen ? 1 : 0), what);
        }
        boxes.forEach((box, at) => {
          assert.ok(box.x >= -0.01 && box.x + box.width <= screen.width + 0.01, what);
          assert.ok(box.y >= -0.01 && box.y + box.height <= screen.height + 0.01, what);
          for (const other of boxes.slice(at + 1)) assert.ok(!meet(box, other), what);
        });
      }
    }
  });

  test(`on ${name} a face is never too small to be read`, () => {
    for (let count = 1; count <= EQUALS; count += 1) {
      for (const { width, height } of lay(people(count), screen).boxes.values()) {
        assert.ok(Math.min(width, height) >= 80, `${count}: ${width} x ${height}`);
      }
    }
  });
}

test("one person fills the stage, and one's own picture lies in the corner", () => {
  const { boxes, self, form } = lay(people(1), SCREENS["a desk"]);
  assert.deepEqual(boxes.get("p0"), { x: 0, y: 0, ...SCREENS["a desk"] });
  assert.deepEqual([self, form], [null, "grid"]);
});

test("on a small screen one's own picture gets a place instead of covering somebody", () => {
  assert.ok(lay(people(9), SCREENS["a phone"]).self);
  assert.equal(lay(people(2), SCREENS["a wide screen"]).self, null);
});

test("equals have the same size", () => {
  for (const screen of Object.values(SCREENS)) {
    const sizes = new Set([...lay(people(7), screen).boxes.values()].map(({ width, height }) => `${width} ${height}`));
    assert.equal(sizes.size, 1);
  }
});

test("who is pinned is larger than all others, and so is a screen", () => {
  for (const screen of Object.values(SCREENS)) {
    for (const [more, key] of [[{ pinned: true }, "p2"], [{ screen: true }, "p2 screen"]]) {
      const { boxes, form } = lay(people(6, { 2: more }), screen);
      const area = ({ width, height }) => width * height;
      for (const [other, box] of boxes) {
        if (other !== key) assert.ok(area(boxes.get(key)) > 2 * area(box), `${key} in ${screen.width}`);
      }
      assert.equal(form, "strip");
    }
  }
});

test("an interpreter who is pinned stays large beside a screen", () => {
  const { large } = stageOf(tilesOf(people(4, { 1: { pinned: true }, 3: { screen: true } })));
  assert.deepEqual(large.map(({ key }) => key), ["p1", "p3 screen"]);
});

test("when all are pinned nobody is", () => {
  const { large, small } = stageOf(tilesOf(people(2, { 0: { pinned: true }, 1: { pinned: true } })));
  assert.deepEqual([large.length, small.length], [0, 2]);
});

test("beyond nine the one who spoke last is large", () => {
  const call = people(12, { 3: { spoke: 1 }, 7: { spoke: 2 } });
  assert.deepEqual(stageOf(tilesOf(call)).large.map(({ key }) => key), ["p7"]);
  assert.deepEqual(stageOf(tilesOf(people(9))).large, []);
  assert.equal(stageOf(tilesOf(people(12))).large.length, 1, "somebody, before anybody has spoken");
});

test("beyond nine, with somebody pinned, who speaks is large as well while speaking", () => {
  const call = (speaking) => people(12, { 0: { pinned: true }, 5: { spoke: 1, speaking } });
  assert.deepEqual(stageOf(tilesOf(call(true))).large.map(({ key }) => key), ["p0", "p5"]);
  assert.deepEqual(stageOf(tilesOf(call(false))).large.map(({ key }) => key), ["p0"]);
});

test("the pages of the strip show everybody once, those who spoke last first", () => {
  const call = people(20, { 19: { spoke: 9 }, 18: { spoke: 8 } });
  const screen = SCREENS["a phone"];
  const { pages, boxes } = lay(call, screen);
  assert.ok(pages > 1);
  assert.ok(boxes.has("p18") && boxes.has("p19"));
  const seen = Array.from({ length: pages }, (_, page) =>
    [...lay(call, screen, page).boxes.keys()].filter((key) => key !== "p19")).flat();
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.length, 19);
  assert.deepEqual([...lay(call, screen, 99).boxes.keys()], [...lay(call, screen, pages - 1).boxes.keys()]);
});
