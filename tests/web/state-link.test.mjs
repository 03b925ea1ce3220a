// The link's fragment, the name, initials: what people and mail programs do to them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { makeLink, parseFragment, roomOf } from "../../web/js/link.js";
import { cleanName } from "../../web/js/setupview.js";
import { initials } from "../../web/js/tileview.js";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const TOKEN = `${part({ alg: "EdDSA" })}.${part({ room: "r".repeat(22), role: "client" })}.c2lnbmF0dXJl`;
const SECRET = Buffer.alloc(16, 7).toString("base64url");

test("a whole link", () => {
  const parsed = parseFragment(`#${TOKEN}~${SECRET}`);
  assert.ok(parsed.ok);
  assert.equal(parsed.link.token, TOKEN);
  assert.equal(parsed.link.room, "r".repeat(22));
  assert.deepEqual([...parsed.link.secret], Array(16).fill(7));
});

test("a link made by a server has no secret", () => {
  const parsed = parseFragment(TOKEN);
  assert.ok(parsed.ok);
  assert.equal(parsed.link.secret, null);
});

test("what mail programs do is undone", () => {
  const whole = `${TOKEN}~${SECRET}`;
  for (const mangled of [
    `${whole}.`,
    `${whole}>`,
    `${whole})`,
    `${whole}\n`,
    whole.replace("~", "%7E"),
    `${whole.slice(0, 60)}\r\n  ${whole.slice(60)}`,
  ]) {
    const parsed = parseFragment(mangled);
    assert.ok(parsed.ok, mangled);
    assert.equal(parsed.link.token, TOKEN);
    assert.equal(parsed.link.secret?.length, 16);
  }
});

test("what has lost characters is called incomplete, and nothing missing", () => {
  for (const cut of [
    TOKEN.slice(0, 20),
    TOKEN.slice(0, TOKEN.lastIndexOf(".")),
    `${TOKEN}~`,
    `${TOKEN}~${SECRET.slice(1)}`,
    `${TOKEN}~${SECRET}~${SECRET}`,
    `~${SECRET}`,
    "%",
    "x",
    `${TOKEN}~${SECRET}AAAA`,
    "a.b.c",
    "\ud800",
  ]) {
    assert.deepEqual(parseFragment(cut), { ok: false, code: "link_incomplete" }, cut);
  }
  for (const none of ["", "#", "#  "]) {
    assert.deepEqual(parseFragment(none), { ok: false, code: "link_missing" });
  }
});

test("a payload that is no object has no room", () => {
  for (const payload of ["null", "1", '"x"', "[]", "{", '{"room":1}']) {
    assert.equal(roomOf(`e30.${Buffer.from(payload).toString("base64url")}.e30`), null, payload);
  }
});

test("a made link is read back", () => {
  const link = makeLink("https://praxis.example/join", TOKEN, SECRET);
  const parsed = parseFragment(new URL(link).hash);
  assert.ok(parsed.ok);
  assert.equal(Buffer.from(parsed.link.secret).toString("base64url"), SECRET);
});

test("a name is trimmed and composed; what cannot be shown is refused before it is sent", () => {
  assert.equal(cleanName("  Zoe\u0308   Ünal \t"), "Zoë Ünal");
  assert.equal(cleanName("🙂".repeat(60)), "🙂".repeat(60));
  for (const bad of ["", "   ", "x".repeat(61), "a\u202eb", "a\u0000b", "\ud800", "\u{e0fff}"]) {
    assert.equal(cleanName(bad), null, JSON.stringify(bad));
  }
});

test("initials leave titles out", () => {
  assert.equal(initials("Dr. Miriam Seidel"), "MS");
  assert.equal(initials("Prof. Dr. Öztürk"), "Ö");
  assert.equal(initials("Jean-Baptiste de La Rochefoucauld"), "JR");
  assert.equal(initials("🙂"), "🙂");
  assert.equal(initials(""), "");
});
