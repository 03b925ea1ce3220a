import assert from "node:assert/strict";
import { test } from "node:test";

import { Dialogue } from "../../web/js/dialogue.js";
import { MAX_KEPT } from "../../web/js/outbox.js";
import { parseClientMessage } from "../../web/js/protocol.js";
import { randomFrom } from "./relay.mjs";

const HELLO = { token: "token", secret: "s".repeat(22), instance: "instance" };
const BOB = "b".repeat(22);
const EVE = "e".repeat(22);
const AGAIN = "again.AAAAAAAAAAAAAAAA.0.";

const person = (id, fields = {}) => ({
  id, instance: "page-one", name: "", role: "client", status: "admitted", connected: true, since: 0,
  groups: true, ...fields,
});
const view = (...participants) => ({
  version: 1, you: "admitted", host_present: true, locked: false, place: null, participants,
  media: { mode: "p2p", generation: 0 },
});
const welcome = (fields = {}) => ({
  type: "welcome", participant: "a".repeat(22), role: "host", resumed: false, seq: 0, server_time: 1,
  opens_at: 1, closes_at: 2, provider: "", ice_transport_policy: "all", media_topology: "auto",
  room: view(person(BOB), person(EVE)), ...fields,
});

/** A dialogue with a clock, a socket and listeners that the test works by hand. */
class Driver {
  now = 0;
  sent = [];
  events = [];
  settled = new Map();
  answers = new Map();
  connects = 0;
  connected = false;

  constructor({ hello = HELLO, random = () => 0.5 } = {}) {
    this.dialogue = new Dialogue({ hello, again: AGAIN, random }, this.now);
    this.pump();
  }

  pump() {
    for (const output of this.dialogue.poll()) {
      if (output.type === "connect") this.connects += 1;
      if (output.type === "disconnect") this.connected = false;
      if (output.type === "send") {
        assert.ok(this.connected, `sent without a connection: ${output.text}`);
        this.sent.push(parseClientMessage(output.text));
      }
      if (output.type === "settled") this.settled.set(output.id, output.error);
      if (output.type === "settled") this.answers.set(output.id, output.answer);
      if (output.type === "event") this.events.push([output.name, ...output.args]);
    }
  }

  /** @returns the messages sent since the last call */
  take() {
    return this.sent.splice(0);
  }

  of(name) {
    return this.events.filter(([one]) => one === name).map(([, value]) => value);
  }

  open() {
    this.connected = true;
    this.dialogue.opened(this.now);
    this.pump();
    return this;
  }

  receive(message) {
    this.dialogue.received(JSON.stringify(message), this.now);
    this.pump();
    return this;
  }

  lose(code = 1006) {
    this.connected = false;
    this.dialogue.closed(code, this.now);
    this.pump();
    return this;
  }

  welcomed(fields) {
    return this.open().receive(welcome(fields));
  }

  /** Comes back after a loss, with all pauses. */
  back(fields) {
    this.pass(10_000, () => this.state === "reconnecting" && this.connects > this.#before);
    return this.welcomed(fields);
  }

  #before = 0;

  /** Lets time pass, timer by timer, until `done` or the end. */
  pass(ms, done = () => false) {
    const end = this.now + ms;
    this.#before = this.connects;
    for (;;) {
      const due = this.dialogue.nextTimeout(this.now);
      if (due === null || due > end) break;
      this.now = Math.max(this.now, due);
      this.dialogue.handleTimer(this.now);
      this.pump();
      if (done()) return this;
    }
    this.now = end;
    return this;
  }

  signal(data, to = BOB) {
    this.dialogue.signal(to, data, this.now);
    this.pump();
    return this;
  }

  command(type, fields = {}) {
    const id = this.dialogue.command(type, fields, this.now);
    this.pump();
    return id;
  }

  get state() {
    return this.dialogue.state;
  }
}

const signals = (messages) => messages.filter(({ type }) => type === "signal").map(({ data }) => data);

test("hello comes first, and says where to go on", () => {
  const driver = new Driver({ hello: { ...HELLO, name: "Zoë", reopen: true } });
  assert.equal(driver.connects, 1);
  driver.open();
  assert.deepEqual(driver.take(), [{ type: "hello", ...HELLO, name: "Zoë", reopen: true }]);
  driver.receive(welcome({ seq: 40 }));
  assert.deepEqual(driver.events.map(([name]) => name), ["state", "welcome", "room"]);
  driver.receive({ type: "signal", seq: 41, from: BOB, data: "x" }).lose().back({ resumed: true });
  // `reopen` was a wish for the first time.
  assert.deepEqual(driver.take().at(0), { type: "hello", ...HELLO, name: "Zoë", last_seq: 41 });
  driver.lose().back({ resumed: false, seq: 7 });
  driver.take();
  driver.lose().back();
  assert.equal(driver.take()[0].last_seq, 7);
  assert.deepEqual(driver.of("state"), ["open", "reconnecting", "open", "reconnecting", "open",
    "reconnecting", "open"]);
});

test("it comes back for ever, after pauses from a quarter to eight seconds", () => {
  for (const [random, factor] of [[() => 0, 0.5], [() => 0.999999, 1]]) {
    const driver = new Driver({ random });
    const pauses = [];
    for (let attempt = 0; attempt < 40; attempt += 1) {
      driver.lose();
      const lost = driver.now;
      driver.pass(60_000, () => driver.connects === attempt + 2);
      pauses.push(driver.now - lost);
    }
    const expected = [500, 1000, 2000, 4000, 8000, 8000].map((pause) => pause * factor);
    pauses.slice(0, 6).forEach((pause, index) => assert.ok(Math.abs(pause - expected[index]) < 1));
    assert.ok(pauses.every((pause) => pause >= 250 && pause <= 8000));
    assert.ok(Math.abs(pauses.at(-1) - 8000 * factor) < 1);
  }
});

test("a connection that held begins again with the short pause; one that did not does not", () => {
  const pauseAfter = (openFor) => {
    const driver = new Driver();
    for (let attempt = 0; attempt < 6; attempt += 1) driver.lose().pass(10_000, () => driver.connects > attempt + 1);
    driver.welcomed().pass(openFor).lose();
    const lost = driver.now;
    const before = driver.connects;
    driver.pass(60_000, () => driver.connects > before);
    return driver.now - lost;
  };
  assert.equal(pauseAfter(6_000), 375);
  assert.equal(pauseAfter(100), 6000);
});

test("the network's return ends the pause, and a try on the old network", () => {
  const driver = new Driver();
  driver.lose();
  driver.dialogue.wake(driver.now);
  driver.pump();
  assert.equal(driver.connects, 2);
  driver.dialogue.wake(driver.now);
  driver.pass(3_000 + 1_000);
  assert.equal(driver.connects, 3, "the hanging try was given up after 3 s, then a pause");
});

test("a connection that hangs is given up after ten seconds", () => {
  const driver = new Driver();
  driver.pass(9_999);
  assert.equal(driver.state, "connecting");
  driver.pass(2_000);
  assert.equal(driver.connects, 2);
  driver.open().pass(12_000);
  assert.equal(driver.connects, 3, "so is a server that does not answer hello");
});

test("silence is answered by a ping, and more silence by a new connection", () => {
  const driver = new Driver().welcomed();
  driver.take();
  driver.pass(9_999);
  assert.deepEqual(driver.take(), []);
  driver.pass(1);
  assert.deepEqual(driver.take(), [{ type: "ping" }]);
  driver.receive({ type: "pong" }).pass(10_000);
  assert.deepEqual(driver.take(), [{ type: "ping" }]);
  driver.pass(9_999);
  assert.equal(driver.state, "open");
  driver.pass(1);
  assert.equal(driver.state, "reconnecting");
  driver.back();
  driver.take();
  driver.dialogue.wake(driver.now);
  driver.pump();
  assert.deepEqual(driver.take(), [{ type: "ping" }], "a changed network is probed at once");
  driver.pass(3_000);
  assert.equal(driver.state, "reconnecting");
});

test("acknowledged after thirty-two signals or a second", () => {
  const driver = new Driver().welcomed();
  driver.take();
  const from = (seq) => driver.receive({ type: "signal", seq, from: BOB, data: `${seq}` });
  from(1);
  driver.pass(999);
  assert.deepEqual(driver.take(), []);
  driver.pass(1);
  assert.deepEqual(driver.take(), [{ type: "ack", seq: 1 }]);
  for (let seq = 2; seq <= 34; seq += 1) from(seq);
  assert.deepEqual(driver.take(), [{ type: "ack", seq: 33 }]);
  driver.pass(1_000);
  assert.deepEqual(driver.take(), [{ type: "ack", seq: 34 }]);
  from(34);
  from(3);
  driver.pass(1_000);
  assert.deepEqual(driver.take(), [], "what it has already is not taken twice");
  assert.equal(driver.of("signal").length, 34);
});

test("signals are kept until delivered and announced when they are repeated", () => {
  const driver = new Driver().welcomed();
  driver.signal("1").signal("2").signal("to eve", EVE).signal("3");
  const ids = new Map(driver.take().filter((m) => m.type === "signal").map((m) => [m.data, m.id]));
  driver.receive({ type: "ok", id: ids.get("2") });
  driver.receive({ type: "delivered", to: BOB, id: ids.get("1") });
  driver.lose().signal("4").back();
  const sent = driver.take().slice(1);
  assert.deepEqual(sent.map(({ id, to, data }) => [id, to, data]), [
    [0, BOB, AGAIN], [ids.get("2"), BOB, "2"], [0, EVE, AGAIN], [ids.get("to eve"), EVE, "to eve"],
    [ids.get("3"), BOB, "3"], [ids.get("3") + 1, BOB, "4"],
  ]);
  driver.receive({ type: "delivered", to: BOB, id: ids.get("3") + 1 });
  driver.receive({ type: "delivered", to: EVE, id: ids.get("to eve") });
  driver.lose().back();
  assert.equal(driver.take().length, 1, "hello alone");
});

test("what was never sent needs no announcement", () => {
  const driver = new Driver().welcomed();
  driver.take();
  driver.lose().signal("1").back();
  assert.deepEqual(signals(driver.take()), ["1"]);
});

test("a recipient that comes back is sent again what it may have missed", () => {
  const driver = new Driver().welcomed();
  driver.signal("1").take();
  driver.receive({ type: "room", ...view(person(BOB, { connected: false })) });
  assert.deepEqual(driver.take(), []);
  driver.receive({ type: "room", ...view(person(BOB)) });
  assert.deepEqual(signals(driver.take()), [AGAIN, "1"]);
  // Another page of it has nothing of what these belonged to; nor has one who is gone.
  driver.receive({ type: "room", ...view(person(BOB, { instance: "page-two" })) });
  driver.signal("for eve", EVE).receive({ type: "room", ...view(person(BOB)) });
  driver.take();
  driver.lose().back();
  assert.deepEqual(signals(driver.take()), []);
});

test("commands survive the connection, and the end settles them", () => {
  const driver = new Driver();
  const admit = driver.command("admit", { participant: BOB });
  assert.deepEqual(driver.take(), []);
  driver.welcomed();
  assert.deepEqual(driver.take().at(1), { type: "admit", id: admit, participant: BOB });
  driver.lose().back();
  assert.deepEqual(driver.take().at(1), { type: "admit", id: admit, participant: BOB });
  driver.receive({ type: "ok", id: admit });
  assert.equal(driver.settled.get(admit), null);
  const lock = driver.command("lock", { locked: true });
  driver.receive({ type: "error", id: lock, code: "not_allowed", detail: "no" });
  assert.deepEqual(driver.settled.get(lock), { code: "not_allowed", detail: "no", fatal: false });
  assert.deepEqual(driver.of("error"), [], "an answer is no event");
  const [again, leave] = [driver.command("lock", { locked: true }), driver.command("leave")];
  driver.receive({ type: "bye", reason: "left" });
  assert.equal(driver.settled.get(leave), null);
  assert.equal(driver.settled.get(again).code, "closed");
  assert.equal(driver.settled.get(driver.command("end")).code, "closed");
  assert.equal(driver.state, "closed");
  assert.equal(driver.dialogue.nextTimeout(driver.now), null);
});

test("a command, or a signal, that comes too early is tried again by itself, in order", () => {
  const driver = new Driver().welcomed();
  const admit = driver.command("admit", { participant: BOB });
  driver.signal("1").signal("2").signal("3");
  const [, , , second] = driver.take();
  assert.equal(second.data, "2");
  driver.receive({ type: "error", id: admit, code: "store_unavailable", detail: "", retry_after: 2 });
  driver.receive({ type: "error", id: second.id, code: "slow_down", detail: "" });
  driver.signal("4");
  assert.deepEqual(driver.take(), []);
  driver.pass(1_100);
  assert.deepEqual(signals(driver.take()), [AGAIN, "2", "3", "4"]);
  driver.pass(1_000);
  assert.equal(driver.take()[0].id, admit);
});

test("a signal to one who may not have it is forgotten", () => {
  const driver = new Driver().welcomed();
  driver.signal("1");
  const { id } = driver.take().at(-1);
  driver.receive({ type: "error", id, code: "not_allowed", detail: "" }).lose().back();
  assert.deepEqual(signals(driver.take()), []);
  assert.deepEqual(driver.of("error"), []);
});

for (const [code, close] of [
  ["token_invalid", 4401], ["token_closed", 4401], ["token_revoked", 4401], ["token_wrong_role", 4403],
  ["token_not_open_yet", 4403], ["room_ended", 4410], ["room_locked", 4423], ["room_full", 4429],
  ["not_allowed", 4403], ["bad_name", 0], ["already_used", 4409],
]) {
  test(`refused at hello for good: ${code}`, () => {
    const driver = new Driver().open();
    driver.receive({ type: "error", code, detail: "why", opens_at: 5 });
    assert.deepEqual(driver.of("error"), [{ code, detail: "why", opens_at: 5, fatal: true }]);
    assert.equal(driver.state, "closed");
    if (close) driver.lose(close);
    driver.pass(60_000);
    assert.equal(driver.connects, 1);
  });
}

for (const close of [4400, 4401, 4403, 4409, 4410, 4423]) {
  test(`closed for good with ${close}, without a word`, () => {
    const driver = new Driver().welcomed().lose(close);
    assert.equal(driver.state, "closed");
    assert.equal(driver.of("error").at(-1).fatal, true);
    driver.pass(60_000);
    assert.equal(driver.connects, 1);
  });
}

for (const close of [1000, 1001, 1006, 1009, 1011, 4408, 4429, 4503]) {
  test(`closed with ${close}: comes back`, () => {
    const driver = new Driver().welcomed().lose(close);
    assert.equal(driver.state, "reconnecting");
    driver.pass(10_000);
    assert.equal(driver.connects, 2);
  });
}

test("an error is held against the close that follows it at once, not against a later loss", () => {
  const driver = new Driver().welcomed();
  driver.receive({ type: "error", code: "bad_message", detail: "", field: "x" });
  assert.equal(driver.of("error")[0].fatal, false);
  driver.receive({ type: "pong" }).lose(1011);
  assert.equal(driver.state, "reconnecting");
  driver.back().receive({ type: "error", code: "bad_message", detail: "" }).lose(1006);
  assert.equal(driver.state, "reconnecting", "a path that broke is nobody's verdict");
  driver.back().receive({ type: "error", code: "bad_message", detail: "" }).lose(4400);
  assert.equal(driver.state, "closed");
});

test("a store that is not there is tried again when it said", () => {
  const driver = new Driver().open();
  driver.receive({ type: "error", code: "store_unavailable", detail: "", retry_after: 5 });
  assert.deepEqual(driver.of("error").map(({ fatal }) => fatal), [false]);
  driver.lose(4503).pass(4_999);
  assert.equal(driver.connects, 1);
  driver.pass(1);
  assert.equal(driver.connects, 2);
});

test("a node that stops is left at once", () => {
  const driver = new Driver().welcomed();
  driver.receive({ type: "bye", reason: "going_away" }).lose(1001).pass(250);
  assert.equal(driver.connects, 2);
});

for (const reason of ["ended", "declined", "removed", "left", "taken_over"]) {
  test(`bye for good: ${reason}`, () => {
    const driver = new Driver().welcomed().receive({ type: "bye", reason });
    assert.deepEqual(driver.of("bye"), [{ reason }]);
    driver.lose(4409).pass(60_000);
    assert.equal(driver.connects, 1);
  });
}

test("what no server of ours would say ends the connection, not the page", () => {
  const driver = new Driver().welcomed();
  driver.dialogue.received("{", driver.now);
  driver.pump();
  assert.equal(driver.state, "reconnecting");
});

test("a flood is paced below the server's limit, and keeps its order", () => {
  const driver = new Driver().welcomed();
  driver.take();
  for (let number = 0; number < 300; number += 1) driver.signal(`${number}`, number % 2 ? BOB : EVE);
  const atOnce = driver.sent.length;
  assert.ok(atOnce <= 150 && atOnce > 100, `${atOnce} at once`);
  const times = [];
  while (driver.sent.length < 256) {
    const before = driver.sent.length;
    driver.pass(100);
    times.push(driver.sent.length - before);
    assert.ok(times.length < 100);
  }
  assert.ok(Math.max(...times) <= 5);
  for (const to of [BOB, EVE]) {
    const data = driver.sent.filter((message) => message.to === to).map((message) => Number(message.data));
    assert.equal(data.length, 128, "a window to each");
    assert.deepEqual(data, [...data].sort((a, b) => a - b));
  }
  const last = driver.sent.filter(({ to }) => to === BOB).at(-1).id;
  driver.receive({ type: "delivered", to: BOB, id: last }).pass(3_000);
  assert.equal(driver.sent.filter(({ to }) => to === BOB).length, 150);
});

test("at the bound what is kept for that recipient is dropped, and said so", () => {
  const driver = new Driver();
  for (let number = 0; number < MAX_KEPT; number += 1) driver.signal("x", number % 2 ? BOB : EVE);
  assert.deepEqual(driver.of("overflow"), []);
  driver.signal("x");
  assert.deepEqual(driver.of("overflow"), [BOB]);
});

test("closing is final", () => {
  const driver = new Driver().welcomed();
  driver.dialogue.close();
  driver.pump();
  assert.equal(driver.state, "closed");
  driver.signal("x").lose().pass(60_000);
  assert.equal(driver.connects, 1);
});

test("whatever is lost on the way: all arrives, in order, and repeats only after an announcement", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = randomFrom(seed);
    const driver = new Driver({ random }).welcomed();
    driver.take();
    let said = 0;
    const got = [];
    const reads = { again: false, reconnected: false };
    // An honest server: takes messages in order, and may lose the socket, or the answer, at any point.
    const serve = () => {
      for (const message of driver.take()) {
        if (message.type !== "signal" || random() < 0.1) {
          if (message.type === "signal") return void (driver.take(), driver.lose());
          continue;
        }
        if (message.data === AGAIN) {
          reads.again = true;
          continue;
        }
        const number = Number(message.data);
        if (number <= (got.at(-1) ?? -1)) assert.ok(reads.again, `seed ${seed}: an unannounced repeat`);
        else assert.equal(number, got.length, `seed ${seed}: a gap`);
        if (number === got.length) got.push(number);
        if (random() < 0.7) driver.receive({ type: "delivered", to: BOB, id: message.id });
      }
    };
    for (let step = 0; step < 60; step += 1) {
      if (random() < 0.6) driver.signal(`${said++}`);
      if (driver.state === "open") serve();
      if (driver.state === "open" && random() < 0.15) driver.lose();
      if (driver.state === "reconnecting" && random() < 0.5) {
        reads.again = false;
        driver.back({ resumed: random() < 0.5 });
      }
    }
    for (let attempt = 0; got.length < said; attempt += 1) {
      if (driver.state === "reconnecting") driver.back();
      serve();
      assert.ok(attempt < 200, `seed ${seed}: ${got.length} of ${said}`);
    }
  }
});

// --- groups ---

test("a page says whether it can take part in a group", () => {
  const driver = new Driver({ hello: { ...HELLO, groups: false } }).open();
  assert.equal(driver.take()[0].groups, false);
});

test("an offer is answered with a description, and made again where the answer was lost", () => {
  const driver = new Driver().open().receive(welcome());
  driver.take();
  const offer = { generation: 1, sdp: "v=0", tracks: [{ mid: "0", send: "microphone" }] };
  const id = driver.dialogue.command("group_offer", offer, driver.now);
  driver.pump();
  assert.deepEqual(driver.take(), [{ type: "group_offer", id, ...offer }]);
  driver.lose();
  driver.now += 60_000;
  driver.dialogue.handleTimer(driver.now);
  driver.pump();
  driver.open().receive(welcome());
  assert.deepEqual(driver.take().filter(({ type }) => type === "group_offer").map((one) => one.id), [id]);
  driver.receive({ type: "group_answer", id, sdp: "v=0 answer" });
  assert.equal(driver.settled.get(id), null);
  assert.equal(driver.answers.get(id).sdp, "v=0 answer");
  driver.receive({ type: "group_answer", id, sdp: "late" });
  assert.equal(driver.answers.get(id).sdp, "v=0 answer");
});

test("what comes of a group is told on", () => {
  const driver = new Driver().open().receive(welcome());
  const sources = [{ participant: BOB, source: "camera", kind: "video", layers: 3 }];
  driver.receive({ type: "group_sources", generation: 1, sources });
  driver.receive({ type: "group_speakers", generation: 1, speaking: [BOB] });
  driver.receive({ type: "group_gone", generation: 1, reason: "silent" });
  driver.receive({ type: "mute_asked", from: BOB });
  assert.deepEqual(driver.of("sources")[0].sources, sources);
  assert.deepEqual(driver.of("speakers")[0].speaking, [BOB]);
  assert.equal(driver.of("gone")[0].generation, 1);
  assert.equal(driver.of("mute")[0].from, BOB);
});
