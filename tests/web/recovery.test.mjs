import assert from "node:assert/strict";
import { test } from "node:test";

import { Dialogue } from "../../web/js/dialogue.js";
import { RECOVERY } from "../../web/js/recovery.js";

const HOST = "h".repeat(22);
const BOB = "b".repeat(22);
const EVE = "e".repeat(22);

const person = (id, status, fields = {}) => ({
  id, instance: "page-one", name: "", role: id === HOST ? "host" : "client", status, connected: true,
  since: 0, groups: true, ...fields,
});
const view = (version, you, ...participants) => ({
  version, you, host_present: true, locked: false, place: you === "waiting" ? 1 : null, participants,
  media: { mode: "p2p", generation: 0 },
});

/** One page with a socket that the test plays. */
class Page {
  now = 0;
  sent = [];
  rooms = [];

  constructor(self, role) {
    this.self = self;
    this.role = role;
    const hello = { token: "token", secret: "s".repeat(22), instance: "instance" };
    this.dialogue = new Dialogue({ hello, again: "again", random: () => 0.5 }, 0);
    this.pump();
  }

  pump() {
    for (const output of this.dialogue.poll()) {
      if (output.type === "send") this.sent.push(JSON.parse(output.text));
      if (output.type === "event" && output.name === "room") this.rooms.push(output.args[0]);
    }
    return this;
  }

  welcome(room, fields = {}) {
    this.dialogue.opened(this.now);
    return this.receive({
      type: "welcome", participant: this.self, role: this.role, resumed: false, seq: 0, server_time: 1,
      opens_at: 1, closes_at: 2, provider: "", ice_transport_policy: "all", media_topology: "auto",
      room, ...fields,
    });
  }

  receive(message) {
    this.dialogue.received(JSON.stringify(message), this.now);
    return this.pump();
  }

  room(room) {
    return this.receive({ type: "room", ...room });
  }

  /** The socket breaks, and the page opens the next one. */
  lose() {
    this.dialogue.closed(1006, this.now);
    this.pass(1000);
    this.sent = [];
    return this;
  }

  pass(ms) {
    this.now += ms;
    this.dialogue.handleTimer(this.now);
    return this.pump();
  }

  signal(to, data) {
    this.dialogue.signal(to, data, this.now);
    return this.pump();
  }

  of(type) {
    return this.sent.filter((message) => message.type === type);
  }

  get inside() {
    return this.rooms.at(-1).participants
      .filter(({ status }) => status === "admitted" || status === "in_call")
      .map(({ id, connected }) => [id, connected]);
  }
}

function host() {
  return new Page(HOST, "host")
    .welcome(view(7, "in_call", person(HOST, "in_call"), person(BOB, "in_call"), person(EVE, "waiting")));
}

function client() {
  return new Page(BOB, "client").welcome(view(7, "in_call", person(BOB, "in_call"), person(HOST, "in_call")));
}

test("a server that has lost everything: the host's page lets its people in again, and no others", () => {
  const page = host().lose();
  page.welcome(view(1, "admitted", person(HOST, "admitted")));
  assert.deepEqual(page.inside, [[HOST, true], [BOB, false]], "the call goes on meanwhile");
  assert.deepEqual(page.of("admit"), []);
  page.room(view(2, "admitted", person(HOST, "admitted"), person(EVE, "waiting")));
  page.room(view(3, "admitted", person(HOST, "admitted"), person(EVE, "waiting"), person(BOB, "waiting")));
  page.room(view(4, "admitted", person(HOST, "admitted"), person(EVE, "waiting"), person(BOB, "waiting")));
  assert.deepEqual(page.of("admit").map(({ participant }) => participant), [BOB]);
  assert.deepEqual(page.inside, [[HOST, true], [BOB, true]]);
  page.room(view(5, "admitted", person(HOST, "admitted"), person(BOB, "admitted"), person(EVE, "waiting")));
  page.room(view(6, "admitted", person(HOST, "admitted"), person(BOB, "waiting"), person(EVE, "waiting")));
  assert.deepEqual(page.inside, [[HOST, true]], "sent back on purpose, by another host");
  assert.equal(page.of("admit").length, 1);
});

test("the client's page stays in the call while it waits to be let in again", () => {
  const page = client().lose();
  page.welcome(view(1, "waiting"));
  assert.equal(page.rooms.at(-1).you, "in_call");
  assert.deepEqual(page.inside, [[HOST, false]]);
  page.room(view(4, "admitted", person(BOB, "admitted"), person(HOST, "admitted")));
  assert.equal(page.rooms.at(-1).you, "admitted");
  page.room(view(5, "waiting"));
  assert.equal(page.rooms.at(-1).you, "waiting", "the host's word counts again");
});

test("signals wait until they can arrive, and none is lost or overtaken", () => {
  const page = client().signal(HOST, "one").lose();
  page.signal(HOST, "two");
  page.welcome(view(1, "waiting")).signal(HOST, "three").pass(2000);
  assert.deepEqual(page.of("signal"), []);
  page.room(view(3, "admitted", person(BOB, "admitted"), person(HOST, "admitted")));
  assert.deepEqual(page.of("signal").map(({ data }) => data), ["again", "one", "two", "three"]);
});

test("who does not come back in time is gone, and a waiting room is one again", () => {
  const page = host().lose();
  page.welcome(view(1, "admitted", person(HOST, "admitted")));
  assert.equal(page.inside.length, 2);
  page.pass(RECOVERY);
  assert.deepEqual(page.inside, [[HOST, true]]);
  page.room(view(2, "admitted", person(HOST, "admitted"), person(BOB, "waiting")));
  assert.deepEqual(page.of("admit"), []);

  const waiting = client().lose().welcome(view(1, "waiting")).pass(RECOVERY);
  assert.equal(waiting.rooms.at(-1).you, "waiting");
});

test("the same session, or a resumed one, is believed at once", () => {
  const sentBack = client().lose().welcome(view(9, "waiting"));
  assert.equal(sentBack.rooms.at(-1).you, "waiting");
  const resumed = client().lose().welcome(view(1, "waiting"), { resumed: true });
  assert.equal(resumed.rooms.at(-1).you, "waiting");
});

test("who was waiting waits", () => {
  const page = new Page(BOB, "client").welcome(view(4, "waiting")).lose().welcome(view(1, "waiting"));
  assert.equal(page.rooms.at(-1).place, 1);
  assert.equal(page.rooms.at(-1).you, "waiting");
});

test("another loss meanwhile begins nothing anew", () => {
  const page = client().lose().welcome(view(2, "waiting")).lose().welcome(view(1, "waiting"));
  assert.equal(page.rooms.at(-1).you, "in_call");
  page.pass(RECOVERY);
  assert.equal(page.rooms.at(-1).you, "waiting");
});
