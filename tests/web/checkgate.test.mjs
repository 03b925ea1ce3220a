// The way to the check of the line: it never begins when the line is in use for something better.
import assert from "node:assert/strict";
import { test } from "node:test";

import { answers, seen, until } from "./paper.mjs";

globalThis.location = new URL("https://k.example/join");
globalThis.WebSocket = class extends EventTarget {
  close() {}
};
let asked = 0;
answers(async () => {
  asked += 1;
  return Response.json({ code: "internal" }, { status: 500 });
});

const { CheckGate } = await import("../../web/js/checkgate.js");

const settle = async () => {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A gate whose button has just been pressed; nothing of what it needs is there before `arrive`. */
function pressed() {
  asked = 0;
  const gate = new CheckGate("token");
  const part = gate.part((s) => s.call);
  document.body.replaceChildren(part.element);
  part.update({ call: false });
  const button = seen(part.element, "check-button");
  button.click();
  assert.ok(button.disabled, "it is on its way");
  const arrive = async () => {
    await until(() => !button.disabled, "it has come");
    await settle();
  };
  return { gate, part, arrive };
}

// First: what has once come is not asked for again.
test("what did not come is said, unless the server is away: then a page loaded anew would be lost", async () => {
  const { fetch } = globalThis;
  let there = false;
  globalThis.fetch = async (path) => {
    if (path === "/join" && there) return new Response("");
    throw new TypeError("Failed to fetch");
  };
  try {
    for (there of [false, true]) {
      const { part, arrive } = pressed();
      const notice = seen(part.element, "page-part-missing");
      assert.ok(notice.hidden);
      await arrive();
      assert.equal(notice.hidden, !there);
      part.remove();
    }
  } finally {
    globalThis.fetch = fetch;
  }
});

test("the call begins while it is loading", async () => {
  const { part, arrive } = pressed();
  part.update({ call: true });
  await arrive();
  assert.equal(asked, 0);
});

test("its screen goes while it is loading, as from the way in to the waiting room", async () => {
  const { part, arrive } = pressed();
  part.remove();
  part.element.remove();
  await arrive();
  assert.equal(asked, 0);
});

test("it is stopped while it is loading, whatever is on the screen", async () => {
  const { gate, arrive } = pressed();
  gate.stop();
  await arrive();
  assert.equal(asked, 0);
});

test("else it begins when it has come", async () => {
  const { part, arrive } = pressed();
  await arrive();
  await until(() => asked > 0, "it has begun");
  part.remove();
});
