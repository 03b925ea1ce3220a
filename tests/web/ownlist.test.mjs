// The list of consultations planned in a browser, in several tabs of one desk.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { OwnList, parseOwn, pruned } from "../../web/js/ownlist.js";

/** What a browser gives of storage; `most` characters in all. */
class Shelf {
  #kept = new Map();
  most = Infinity;

  getItem(key) {
    return this.#kept.get(key) ?? null;
  }

  setItem(key, text) {
    if (text.length > this.most) throw new DOMException("full", "QuotaExceededError");
    this.#kept.set(key, text);
  }

  removeItem(key) {
    this.#kept.delete(key);
  }

  get size() {
    return this.#kept.size;
  }
}

/** A tab: its own session storage, the browser's local storage. */
class Tab {
  #session = new Shelf();

  constructor() {
    this.reload();
  }

  reload() {
    this.in(() => {
      this.own = new OwnList("p1");
    });
  }

  in(what) {
    globalThis.sessionStorage = this.#session;
    return what();
  }

  plan(...rooms) {
    this.in(() => this.own.change((list) => [...list, ...rooms.map(planned)]));
  }

  forget(room) {
    this.in(() => this.own.change((list) => list.filter((one) => one.room !== room)));
  }

  keep(kept) {
    this.in(() => this.own.setKept(kept));
  }

  /** The browser tells that the list was changed in another tab. */
  hears() {
    return this.in(() => this.own.follow("konsil.own.p1"));
  }

  get rooms() {
    return this.own.list.map(({ room }) => room);
  }
}

const planned = (room) => {
  const at = Date.now() + 60_000 + room.charCodeAt(0) * 1000;
  return {
    room, note: "", hostLink: "https://k.example/host#h", clientLinks: ["https://k.example/join#c"],
    startsAt: at, opensAt: at, closesAt: at + 60_000,
  };
};

let device;
beforeEach(() => {
  device = globalThis.localStorage = new Shelf();
});

test("what two tabs plan on a kept list is all on it", () => {
  const [one, other] = [new Tab(), new Tab()];
  one.plan("a");
  one.keep(true);
  assert.equal(other.hears(), "changed");
  assert.ok(other.own.kept);
  other.plan("b");
  // Before the browser has told the first of it.
  one.plan("c");
  assert.deepEqual(one.rooms, ["a", "b", "c"]);
  assert.equal(other.hears(), "changed");
  assert.deepEqual(other.rooms, ["a", "b", "c"]);
  assert.equal(other.hears(), "same");
  assert.deepEqual(new Tab().rooms, ["a", "b", "c"]);
});

test("what is taken off the list in one tab does not come back from the other", () => {
  const one = new Tab();
  one.plan("a", "b");
  one.keep(true);
  const other = new Tab();
  one.forget("a");
  other.plan("c");
  assert.deepEqual(other.rooms, ["b", "c"]);
  other.keep(true);
  one.hears();
  assert.deepEqual(one.rooms, ["b", "c"]);
});

test("a list that is kept no longer is whole in that tab, and shown as gone in the other", () => {
  const one = new Tab();
  one.plan("a");
  one.keep(true);
  const other = new Tab();
  other.plan("b");
  one.keep(false);
  assert.deepEqual(one.rooms, ["a", "b"]);
  assert.equal(device.size, 0);
  assert.equal(other.hears(), "gone");
  assert.deepEqual([other.rooms, other.own.kept], [[], false]);
  // Nor does it come back by anything done there.
  other.plan("c");
  assert.equal(device.size, 0);
  one.reload();
  other.reload();
  assert.deepEqual([one.rooms, other.rooms], [["a", "b"], ["c"]]);
});

test("a change that comes before the word of another tab is no way back to what was kept", () => {
  const one = new Tab();
  one.plan("a");
  one.keep(true);
  const other = new Tab();
  one.keep(false);
  other.plan("b");
  assert.equal(device.size, 0);
  assert.deepEqual(other.rooms, ["b"]);
});

test("who keeps the list takes in what other tabs have of their own", () => {
  const [one, other] = [new Tab(), new Tab()];
  one.plan("a");
  other.plan("b");
  one.keep(true);
  assert.equal(other.hears(), "changed");
  assert.deepEqual(other.rooms, ["a", "b"]);
  assert.equal(one.hears(), "changed");
  assert.deepEqual([one.rooms, one.own.kept], [["a", "b"], true]);
  other.reload();
  assert.deepEqual(other.rooms, ["a", "b"]);
});

test("a tab that sleeps while another keeps the list loses nothing by a reload", () => {
  const [one, other] = [new Tab(), new Tab()];
  one.plan("a");
  other.plan("b");
  one.keep(true);
  other.reload();
  assert.deepEqual(other.rooms, ["a", "b"]);
  one.hears();
  assert.deepEqual(one.rooms, ["a", "b"]);
});

test("where the browser keeps nothing more the list stays in the tab, whole and in one place", () => {
  const one = new Tab();
  one.plan("a");
  one.keep(true);
  device.most = 0;
  one.plan("b");
  assert.deepEqual([one.rooms, one.own.kept, device.size], [["a", "b"], false, 0]);
  one.forget("a");
  one.reload();
  assert.deepEqual(one.rooms, ["b"]);
});

test("another provider's list, and what is not ours, is left alone", () => {
  const one = new Tab();
  one.plan("a");
  one.keep(true);
  assert.equal(one.in(() => one.own.follow("konsil.own.p2")), "same");
  assert.deepEqual(parseOwn("[{}]"), []);
  assert.deepEqual(parseOwn("no"), []);
  assert.deepEqual(parseOwn(JSON.stringify([{ ...planned("a"), hostLink: "javascript:1" }])), []);
  assert.deepEqual(pruned([planned("b"), planned("a")], Date.now()).map(({ room }) => room), ["a", "b"]);
  assert.deepEqual(pruned([planned("a")], Date.now() + 864e5), []);
});
