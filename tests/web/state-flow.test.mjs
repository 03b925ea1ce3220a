// The tables of phases: every row names known phases, and the stories that matter come out right.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  HOST,
  HOST_START,
  knocksBetween,
  reduceHost,
  talking,
  waitingOf,
} from "../../web/js/hoststate.js";
import { JOIN, JOIN_START, reduceJoin } from "../../web/js/joinstate.js";
import { newcomers, PROVIDER, PROVIDER_START, reduceProvider, refusalOf } from "../../web/js/providerstate.js";
import { signInWords } from "../../web/js/signinview.js";
import { createStore } from "../../web/js/store.js";

const LINK = {
  type: "link",
  skew: 40,
  appointment: { provider: "Dr. Seidel", opensAt: 1000, closesAt: 2000 },
};
const WELCOME = {
  type: "welcome",
  skew: 50,
  welcome: { participant: "me", provider: "Dr. Seidel", opens_at: 1000, closes_at: 2000 },
};

const person = (id, status, more = {}) => ({
  id,
  status,
  instance: "i1",
  name: id,
  role: "client",
  connected: true,
  since: 5,
  ...more,
});
const room = (you, participants = [], more = {}) => ({
  type: "room",
  room: { version: 1, you, host_present: true, locked: false, place: null, participants, ...more },
});
const run = (reduce, start, ...events) => events.reduce(reduce, start);
const joined = (...events) =>
  run(reduceJoin, JOIN_START, LINK, { type: "enter" }, WELCOME, ...events);
const hosting = (...events) =>
  run(reduceHost, HOST_START, LINK, WELCOME, room("admitted"), ...events);

for (const [name, table] of Object.entries({ JOIN, HOST, PROVIDER })) {
  test(`${name}: every transition leads to a phase of the table`, () => {
    for (const [phase, row] of Object.entries(table)) {
      for (const [event, next] of Object.entries(row)) {
        assert.ok(Object.hasOwn(table, next), `${phase} --${event}--> ${next}`);
      }
    }
  });
  test(`${name}: every phase can be reached`, () => {
    const reached = new Set([Object.keys(table)[0]]);
    for (const phase of reached) Object.values(table[phase]).forEach((next) => reached.add(next));
    assert.deepEqual([...reached].sort(), Object.keys(table).sort());
  });
}

test("a client waits, is admitted, talks, and the host ends it", () => {
  let state = joined(room("waiting", [], { place: 2 }));
  assert.equal(state.phase, "waiting");
  assert.equal(state.room.place, 2);
  state = run(reduceJoin, state, room("admitted", [person("doc", "in_call", { role: "host" })]));
  assert.equal(state.phase, "call");
  assert.deepEqual(
    state.call.map((remote) => remote.id),
    ["doc"],
  );
  state = run(reduceJoin, state, { type: "bye", reason: "ended" });
  assert.equal(state.phase, "over");
  assert.equal(state.over, "ended");
  assert.deepEqual([state.call, state.room], [[], null], "nothing of the others stays");
});

test("a reload in the middle goes from entering straight into the call", () => {
  assert.equal(joined(room("in_call")).phase, "call");
});

test("back to waiting is told, until the next admission", () => {
  let state = joined(room("in_call"), room("waiting", [], { place: 1, version: 2 }));
  assert.equal(state.phase, "waiting");
  assert.equal(state.movedBack, true);
  state = run(reduceJoin, state, room("waiting", [], { place: 1 }));
  assert.equal(state.movedBack, true, "another view of the room does not hide it");
  state = run(reduceJoin, state, room("admitted"));
  assert.equal(state.movedBack, false);
});

test("a server that has lost its memory is not taken for a host who sends somebody back", () => {
  const state = joined(
    room("in_call", [], { version: 7 }),
    room("waiting", [], { place: 1, version: 2 }),
  );
  assert.deepEqual([state.phase, state.movedBack], ["waiting", false]);
});

test("too early opens by itself; trouble while it counts down does not lose the countdown", () => {
  let state = run(reduceJoin, JOIN_START, { type: "early", opensAt: 9000, skew: 1 });
  assert.equal(state.phase, "early");
  state = run(reduceJoin, state, { type: "trouble", retryAt: 5 });
  assert.deepEqual([state.phase, state.opensAt], ["early", 9000]);
  state = run(reduceJoin, state, LINK);
  assert.equal(state.phase, "ready");
});

test("a refused name leads back to the form, and the next try clears the complaint", () => {
  let state = joined({ type: "bad_name" });
  assert.deepEqual([state.phase, state.badName], ["ready", true]);
  state = run(reduceJoin, state, { type: "enter" });
  assert.deepEqual([state.phase, state.badName], ["entering", false]);
});

test("what comes after the end changes nothing", () => {
  const over = joined(room("in_call"), { type: "leave", over: "left" });
  assert.equal(over.phase, "over");
  assert.equal(run(reduceJoin, over, room("waiting")), over);
  assert.equal(run(reduceJoin, over, { type: "bye", reason: "ended" }), over);
});

test("devices and the socket's state are taken in every phase and change none", () => {
  for (const phase of Object.keys(JOIN)) {
    const state = run(
      reduceJoin,
      { ...JOIN_START, phase },
      { type: "channel", channel: "reconnecting" },
    );
    assert.deepEqual([state.phase, state.channel], [phase, "reconnecting"]);
  }
});

test("a server in trouble is told until the socket is open again", () => {
  let state = joined(room("waiting"), { type: "stalled" });
  assert.equal(state.stalled, true);
  state = run(reduceJoin, state, { type: "channel", channel: "reconnecting" });
  assert.equal(state.stalled, true);
  state = run(reduceJoin, state, { type: "channel", channel: "open" });
  assert.equal(state.stalled, false);
});

test("a host goes in by the link alone and sees who waits, in order", () => {
  const state = hosting(
    room("admitted", [
      person("me", "admitted", { role: "host" }),
      person("b", "waiting"),
      person("a", "waiting"),
      person("c", "declined"),
    ]),
  );
  assert.equal(state.phase, "desk");
  assert.deepEqual(
    waitingOf(state).map((p) => p.id),
    ["b", "a"],
  );
  assert.equal(talking(state), false);
});

test("a knock is heard once, not for those put back, not for those who are gone", () => {
  const empty = hosting();
  const one = run(reduceHost, empty, room("admitted", [person("a", "waiting")]));
  assert.deepEqual(
    knocksBetween(empty, one).map((p) => p.id),
    ["a"],
  );
  assert.deepEqual(knocksBetween(one, one), []);
  const inside = run(reduceHost, one, room("admitted", [person("a", "in_call")]));
  assert.deepEqual(knocksBetween(one, inside), []);
  assert.deepEqual(knocksBetween(inside, one), [], "the host has put them back");
  const away = run(
    reduceHost,
    empty,
    room("admitted", [person("b", "waiting", { connected: false })]),
  );
  assert.deepEqual(knocksBetween(empty, away), []);
});

test("an ended room can be opened again by its host", () => {
  const over = hosting({ type: "bye", reason: "ended" });
  assert.equal(over.phase, "over");
  assert.equal(run(reduceHost, over, { type: "enter" }, WELCOME, room("admitted")).phase, "desk");
  const refused = run(reduceHost, HOST_START, { type: "refused", code: "room_ended" });
  assert.deepEqual([refused.phase, refused.problem], ["problem", "room_ended"]);
  assert.equal(run(reduceHost, refused, { type: "enter" }).phase, "entering");
});

test("making a consultation", () => {
  const made = { room: "r", note: "", clientLinks: ["c"], hostLink: "h", startsAt: 1, opensAt: 0, closesAt: 2 };
  const provider = { id: "p", name: "Dr. Seidel" };
  const home = run(reduceProvider, PROVIDER_START, { type: "signed_in", provider });
  assert.deepEqual([home.phase, home.provider], ["form", provider]);
  let state = run(reduceProvider, home, { type: "create" });
  assert.equal(state.phase, "busy");
  assert.equal(
    run(reduceProvider, state, { type: "create" }),
    state,
    "one click, one consultation",
  );
  assert.equal(run(reduceProvider, state, refusalOf("store_unavailable")).phase, "form");
  assert.equal(run(reduceProvider, state, refusalOf("token_revoked")).phase, "problem");
  state = run(reduceProvider, state, { type: "made", made });
  assert.deepEqual([state.phase, state.made], ["made", made]);
  assert.equal(
    run(reduceProvider, state, { type: "refused", code: "not_signed_in" }),
    state,
    "links that nobody has copied yet stay",
  );
  state = run(reduceProvider, state, { type: "another" });
  assert.deepEqual([state.phase, state.made], ["form", null]);
  // From the list.
  assert.deepEqual(run(reduceProvider, home, { type: "made", made }).made, made);
});

test("at the desk nobody knocks again after a moment in which a queue could not be seen", () => {
  const queue = (...names) => ({ waiting: names.map((name) => ({ name, since: 5, connected: true })) });
  let state = PROVIDER_START;
  const knocks = (queues) => {
    const before = state;
    state = run(reduceProvider, state, { type: "queues", queues });
    return newcomers(before, state).map(({ name }) => name);
  };
  assert.deepEqual(knocks({ r: queue("Dora"), s: null }), ["Dora"]);
  assert.deepEqual(knocks({ r: null, s: queue("Emil") }), ["Emil"]);
  assert.equal(state.queues.r, null, "it is shown that it cannot be seen");
  assert.deepEqual(knocks({ r: null, s: null }), []);
  assert.deepEqual(knocks({ r: queue("Dora", "Fritz"), s: queue("Emil") }), ["Fritz"]);
  assert.deepEqual(knocks({ r: queue("Fritz"), s: queue() }), []);
  assert.deepEqual(knocks({ r: queue("Dora", "Fritz") }), ["Dora"], "who went and came is new");
  assert.deepEqual(knocks({}), []);
  assert.deepEqual(state.seen, {}, "of a room that is no longer asked about nothing stays");
});

test("what belongs to a sign-in goes with it", () => {
  const list = [{ room: "r" }];
  const state = run(
    reduceProvider, PROVIDER_START,
    { type: "signed_in", provider: { id: "p", name: "Dr. Seidel" } },
    { type: "list", list, kept: true },
    { type: "next_link", link: "x" },
    { type: "ways", ways: { passkey: true, openid: "Clinic" } },
    { type: "passkeys", passkeys: [{ id: "0123abcd", added: "2026-11-22" }] },
    { type: "refused", code: "signed_out" },
  );
  assert.deepEqual(state.passkeys, []);
  assert.deepEqual(state.ways, { passkey: true, openid: "Clinic" }, "how one gets in again stays");
  assert.deepEqual(
    [state.phase, state.problem, state.provider, state.list, state.nextLink],
    ["problem", "signed_out", null, [], ""],
  );
  assert.equal(run(reduceProvider, state, { type: "retry" }).phase, "opening");
});

test("every refusal of the desk has words", () => {
  for (const code of [
    "link_missing", "link_incomplete", "token_invalid", "token_wrong_role", "token_closed",
    "token_revoked", "already_used", "not_signed_in", "signed_out", "unreachable", "constructor", "",
    "passkey_refused", "passkey_unused", "openid_refused", "openid_unknown", "openid_unavailable",
  ]) {
    assert.equal(signInWords(code).length, 3, code);
  }
  assert.notEqual(signInWords("already_used")[1], signInWords("token_invalid")[1]);
});

test("events dispatched by a listener come after the present one", () => {
  const seen = [];
  const store = createStore((state, event) => [...state, event], []);
  store.subscribe((state) => {
    seen.push(state.length);
    if (state.length === 1) store.dispatch("second");
  });
  store.subscribe((state) => seen.push(-state.length));
  store.dispatch("first");
  assert.deepEqual(seen, [1, -1, 2, -2]);
});
