// Receipts of consent at the host's page: believed only as the server says, and not asked about without end.
import assert from "node:assert/strict";
import { test } from "node:test";

import { answers, until } from "./paper.mjs";

const asked = [];
const pauses = [];
answers(async (path) => {
  asked.push(path);
  return Response.json({ verified: true });
});
const { Receipts } = await import("../../web/js/consentreceipts.js");
const receipt = (participant, more = {}) =>
  JSON.stringify({ konsil_receipt: "consent", session: "room", participant, ...more });

test("a page that hands over one receipt after another has one of them asked about", async () => {
  let changed = 0;
  // A browser's is no method of anything else.
  globalThis.setTimeout = function later(what, ms) {
    if (this !== undefined && this !== globalThis) throw new TypeError("Illegal invocation");
    if (ms === 3000) pauses.push(what);
  };
  const receipts = new Receipts("room", () => {
    changed += 1;
  });
  for (let n = 0; n < 40; n += 1) receipts.take("mallory", "M", receipt("mallory", { n }));
  await until(() => changed === 1, "the first is kept");
  assert.equal(asked.length, 1);
  receipts.take("dora", "D", receipt("dora"));
  receipts.take("dora", "D", receipt("somebody else"));
  await until(() => changed === 2, "nobody else waits for that");
  assert.deepEqual(receipts.held.map(({ name }) => name), ["M", "D"]);
  assert.equal(asked.length, 2);
  await until(() => pauses.length === 2, "both have a pause");
  for (const over of pauses.splice(0)) over();
  await until(() => changed === 3, "the latest of what came meanwhile");
  assert.equal(asked.length, 3);
  assert.equal(JSON.parse(receipts.held.find(({ name }) => name === "M").file).n, 39);
});
