// Who has which key of whom, through comings, goings, reloads and losses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { GroupKeys, HAND_OUT } from "../../web/js/groupkeys.js";
import { randomFrom } from "./relay.mjs";

const name = (key) => key && key.join(".");

/** One page: its keys and all that came out of them. */
class Page {
  constructor(id, group) {
    this.id = id;
    this.outputs = [];
    /** What frames of others would be opened with: sender -> epoch -> key. */
    this.opens = new Map();
    this.everHeld = new Set();
    this.sealing = null;
    this.keys = new GroupKeys({
      random: () => {
        group.made += 1;
        return Uint8Array.of(group.made >> 8, group.made & 255);
      },
      output: (output) => {
        this.outputs.push(output);
        if (output.type === "tell") group.wire.push({ from: id, ...output });
        if (output.type === "seal") this.sealing = { epoch: output.epoch, key: name(output.key) };
        if (output.type === "forget") this.opens.delete(output.from);
        if (output.type === "open") {
          const keys = this.opens.get(output.from) ?? new Map();
          this.opens.set(output.from, keys.set(output.epoch, name(output.key)));
          this.everHeld.add(name(output.key));
        }
      },
    });
  }

  of(type) {
    return this.outputs.filter((output) => output.type === type);
  }

  hears(other) {
    return other.sealing !== null
      && this.opens.get(other.id)?.get(other.sealing.epoch) === other.sealing.key;
  }
}

class Group {
  made = 0;
  wire = [];
  pages = new Map();
  now = 0;

  join(id) {
    const page = new Page(id, this);
    for (const other of this.pages.values()) {
      other.keys.opened(id, this.now);
      page.keys.opened(other.id, this.now);
    }
    this.pages.set(id, page);
    return page;
  }

  leave(id) {
    const page = this.pages.get(id);
    this.pages.delete(id);
    this.wire = this.wire.filter(({ from, to }) => from !== id && to !== id);
    for (const other of this.pages.values()) other.keys.gone(id);
    return page;
  }

  reload(id) {
    this.pages.delete(id);
    this.wire = this.wire.filter(({ from, to }) => from !== id && to !== id);
    for (const other of this.pages.values()) other.keys.lost(id);
    return this.join(id);
  }

  carry(count = Infinity) {
    for (; count > 0 && this.wire.length > 0; count -= 1) {
      const { from, to, content } = this.wire.shift();
      this.pages.get(to)?.keys.received(from, content);
    }
  }

  allHear() {
    const all = [...this.pages.values()];
    return all.every((page) => all.every((other) => page === other || page.hears(other)));
  }
}

test("three come, and each can open what the others send", () => {
  const group = new Group();
  for (const id of ["a", "b", "c"]) {
    group.join(id);
    group.carry();
  }
  assert.ok(group.allHear());
  assert.equal(new Set([...group.pages.values()].map(({ sealing }) => sealing.key)).size, 3);
});

test("a newcomer gets no key that was ever used before", () => {
  const group = new Group();
  const [a, b] = [group.join("a"), group.join("b")];
  group.carry();
  const before = [a.sealing.key, b.sealing.key];
  const c = group.join("c");
  assert.deepEqual([a.sealing.key, b.sealing.key], before, "not used before all have it");
  group.carry();
  assert.ok(group.allHear());
  assert.ok(!before.some((key) => c.everHeld.has(key)));
});

test("who does not confirm delays a newcomer by a second and no more", () => {
  const group = new Group();
  const a = group.join("a");
  group.join("b");
  group.carry();
  const { epoch } = a.sealing;
  group.now = 5_000;
  group.join("c");
  assert.equal(a.keys.nextTimeout(), 5_000 + HAND_OUT);
  a.keys.handleTimer(5_000 + HAND_OUT - 1);
  assert.equal(a.sealing.epoch, epoch);
  a.keys.handleTimer(5_000 + HAND_OUT);
  assert.equal(a.sealing.epoch, epoch + 1);
  assert.equal(a.keys.nextTimeout(), null);
});

test("two newcomers at once share one new key", () => {
  const group = new Group();
  const a = group.join("a");
  group.join("b");
  group.carry();
  const { epoch } = a.sealing;
  group.join("c");
  group.join("d");
  group.carry();
  assert.equal(a.sealing.epoch, epoch + 1);
  assert.ok(group.allHear());
});

test("who leaves opens nothing from then on, even while a key is being handed out", () => {
  for (const carried of [0, 2, Infinity]) {
    const group = new Group();
    for (const id of ["a", "b", "c"]) {
      group.join(id);
      group.carry();
    }
    group.join("d");
    group.carry(carried);
    const c = group.leave("c");
    for (const page of group.pages.values()) {
      assert.ok(!c.everHeld.has(page.sealing.key), `${page.id}, after ${carried}`);
    }
    group.carry();
    for (const page of group.pages.values()) page.keys.handleTimer(HAND_OUT);
    assert.ok(group.allHear(), `after ${carried}`);
    for (const page of group.pages.values()) assert.ok(!c.everHeld.has(page.sealing.key));
  }
});

test("a key is told to those who stay before it is used", () => {
  const group = new Group();
  const a = group.join("a");
  for (const id of ["b", "c"]) {
    group.join(id);
    group.carry();
  }
  a.outputs.length = 0;
  group.leave("c");
  assert.deepEqual(a.outputs.map(({ type, to }) => [type, to]), [
    ["forget", undefined], ["tell", "b"], ["seal", undefined],
  ]);
});

test("who was never given a key goes without a change", () => {
  const group = new Group();
  const a = group.join("a");
  group.join("b");
  group.carry();
  const { epoch } = a.sealing;
  a.keys.gone("stranger");
  assert.equal(a.sealing.epoch, epoch);
});

test("after a reload the same person hears at once, and old keys of that page are void", () => {
  const group = new Group();
  const [a] = [group.join("a"), group.join("b"), group.join("c")];
  group.carry();
  const { epoch } = a.sealing;
  const b = group.reload("b");
  assert.equal(a.sealing.epoch, epoch, "nobody has to wait for a new key");
  group.carry();
  assert.ok(group.allHear());
  const made = b.of("tell").map(({ content }) => name(content.key));
  for (const key of a.opens.get("b").values()) assert.ok(made.includes(key), "none of the former page");
});

test("a key that comes again is confirmed again and changes nothing", () => {
  const group = new Group();
  const a = group.join("a");
  group.join("b");
  group.carry();
  const [told] = group.pages.get("b").of("tell");
  a.outputs.length = 0;
  a.keys.received("b", told.content);
  assert.deepEqual(a.outputs, [{ type: "tell", to: "b", content: { epoch: told.content.epoch } }]);
});

test("what somebody sends who is not in counts for nothing", () => {
  const group = new Group();
  const a = group.join("a");
  a.keys.received("x", { epoch: 0, key: Uint8Array.of(1) });
  assert.deepEqual(a.outputs, []);
});

test("when the epochs are used up nothing is sent any more", () => {
  const group = new Group();
  const a = group.join("a");
  for (let n = 0; n <= 65_535; n += 1) {
    a.keys.opened("b", 0);
    a.keys.gone("b");
    a.outputs.length = 0;
  }
  assert.equal(a.sealing.key, null);
});

test("through any sequence of events all who are in hear one another, and nobody else does", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomFrom(seed);
    const group = new Group();
    const gone = [];
    for (let step = 0; step < 60; step += 1) {
      const id = "abcdefg"[Math.floor(random() * 7)];
      const inside = group.pages.has(id);
      const dice = random();
      if (!inside) {
        const used = [...group.pages.values()].map(({ sealing }) => sealing?.key);
        const page = group.join(id);
        page.usedBefore = used;
      } else if (dice < 0.4) {
        gone.push(group.leave(id));
      } else if (dice < 0.6) {
        const kept = group.pages.get(id);
        group.reload(id).usedBefore = kept.usedBefore;
      }
      group.carry(Math.floor(random() * 12));
      group.now += Math.floor(random() * 700);
      for (const page of group.pages.values()) page.keys.handleTimer(group.now);
      for (const page of group.pages.values()) {
        for (const left of gone) {
          assert.ok(!left.everHeld.has(page.sealing?.key), `seed ${seed}, step ${step}`);
        }
      }
    }
    group.carry();
    group.now += HAND_OUT;
    for (const page of group.pages.values()) page.keys.handleTimer(group.now);
    group.carry();
    assert.ok(group.allHear(), `seed ${seed}`);
    for (const page of group.pages.values()) {
      for (const key of page.usedBefore) assert.ok(key === undefined || !page.everHeld.has(key), `seed ${seed}`);
    }
  }
});
