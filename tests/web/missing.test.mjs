// What there is no call without, and does not come: asked for again, then the page anew, once; never while the
// server is away.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { seen } from "./paper.mjs";

let reloads = 0;
globalThis.location = { pathname: "/join", reload: () => (reloads += 1) };
const { createMissing, loadSurely, reachable, setMissing } = await import("../../web/js/missing.js");

/** Answers of the server, one for each time that it is asked whether it is there. */
let there = [];
globalThis.fetch = async (path) => {
  assert.equal(path, "/join", "what a reload would ask for");
  if (there.shift()) return new Response("");
  throw new TypeError("Failed to fetch");
};

/** A module that does not come so many times. */
function module(failures) {
  const tries = { count: 0 };
  return [tries, async () => {
    tries.count += 1;
    if (tries.count <= failures) throw new TypeError("Failed to fetch dynamically imported module");
    return "loaded";
  }];
}

function begin(...answers) {
  there = answers;
  reloads = 0;
  sessionStorage.removeItem("konsil.anew.group");
  setMissing("group", false);
}

const always = () => true;

test("what comes, comes, and nothing else happens", async () => {
  begin();
  const [tries, load] = module(0);
  assert.equal(await loadSurely("group", load, always), "loaded");
  assert.deepEqual([tries.count, reloads], [1, 0]);
});

test("after an outage it is asked for again, and the page not loaded anew", async () => {
  begin(false, true);
  mock.timers.enable({ apis: ["setTimeout"] });
  const [tries, load] = module(1);
  const loading = loadSurely("group", load, always);
  for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  assert.equal(tries.count, 1, "not while the server is away");
  mock.timers.tick(1_000);
  assert.equal(await loading, "loaded");
  assert.deepEqual([tries.count, reloads], [2, 0]);
  mock.timers.reset();
});

test("what a browser has kept as missing loads the page anew, once, and is then said", async () => {
  begin(true, true);
  const notice = createMissing();
  document.body.replaceChildren(notice.element);
  notice.update(null);
  assert.equal(await loadSurely("group", module(Infinity)[1], always), null);
  assert.equal(reloads, 1);
  assert.ok(notice.element.hidden);
  assert.equal(await loadSurely("group", module(Infinity)[1], always), null);
  assert.equal(reloads, 1, "not for ever");
  assert.ok(!notice.element.hidden);
  seen(notice.element, "page-anew").click();
  assert.equal(reloads, 2);
});

test("once it has come the page may be loaded anew another time", async () => {
  begin(true, true);
  await loadSurely("group", module(Infinity)[1], always);
  await loadSurely("group", module(0)[1], always);
  await loadSurely("group", module(Infinity)[1], always);
  assert.equal(reloads, 2);
});

test("what nobody wants any more is not asked for, and loads nothing anew", async () => {
  begin(true);
  let wanted = true;
  const [tries, load] = module(Infinity);
  const loading = loadSurely("group", load, () => wanted);
  wanted = false;
  assert.equal(await loading, null);
  assert.deepEqual([tries.count, reloads], [1, 0]);
});

test("a fault in what has come is not taken for one of the line", async () => {
  begin(true);
  await assert.rejects(loadSurely("group", async () => {
    throw new RangeError("a fault");
  }, always), RangeError);
});

test("a page that the server refuses cannot be loaded anew", async () => {
  const { fetch } = globalThis;
  globalThis.fetch = async () => new Response("", { status: 503 });
  assert.equal(await reachable(), false);
  globalThis.fetch = fetch;
});
