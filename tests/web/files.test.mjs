// Files between two pages: whole or not at all, in bounds, resumed, stopped at once.
import assert from "node:assert/strict";
import { test } from "node:test";

import { toBase64url } from "../../web/js/bytes.js";
import { encodeMessage } from "../../web/js/datacodec.js";
import { HIGH_WATER, WINDOW } from "../../web/js/fileoutgoing.js";
import { MOST_SHOWN } from "../../web/js/files.js";
import { Place, arrived, file, link, made, newId, page, pair, settled, turn } from "./filepages.mjs";
import { settle, wire } from "./wires.mjs";

test("what was received stays, however much is offered afterwards, by the same person or another", async () => {
  const { h, c, made: now } = await pair();
  h.files.offer([file(1000)], ["c"]);
  await settled(now);
  const [received] = c.offers;
  c.files.accept(received);
  await settled(now);
  assert.equal(received.state, "done");
  c.files.connected("evil", { send: () => {}, sendChunk: () => true, buffered: 0 }, { files: true, sending: [] });
  for (const person of ["evil", "h"]) {
    for (let n = 0; n < MOST_SHOWN + 20; n += 1) {
      c.clock.now += 1_000;
      const id = `${person}${n}`.padEnd(16, "x");
      c.files.receive(person, { type: "offer", file: id, name: "x", size: 1, kind: "" });
      c.files.receive(person, { type: "cancel", file: id, reason: "cancelled" });
    }
  }
  assert.ok(c.files.list.includes(received));
  assert.ok(made.has(received.url));
  assert.equal(c.files.list.length, 2 * MOST_SHOWN);
});

test("a file crosses whole, after it was accepted and not before", async () => {
  const { h, c, made: now } = await pair();
  const sent = file(3_000_000);
  h.files.offer([sent], ["c"]);
  await settled(now);
  assert.deepEqual(c.states(), ["offered"]);
  const [offer] = c.offers;
  assert.deepEqual([offer.name, offer.size, offer.kind], ["scan.pdf", 3_000_000, "application/pdf"]);
  assert.equal(c.places.length, 0);
  c.files.accept(offer);
  await settled(now);
  assert.deepEqual(h.states(), ["done"]);
  assert.deepEqual(c.states(), ["done"]);
  await arrived(sent, offer);
  assert.equal(made.get(offer.url).type, "application/octet-stream");
  assert.deepEqual([...h.refused, ...c.refused], []);
  const { url } = offer;
  c.files.dismiss(offer);
  assert.equal(made.has(url), false);
  assert.equal(c.places[0].discarded, 1);
});

test("an empty file is a file, too", async () => {
  const { h, c, made: now } = await pair();
  const sent = new File([], "empty.txt");
  h.files.offer([sent], ["c"]);
  await settled(now);
  c.files.accept(c.offers[0]);
  await settled(now);
  assert.deepEqual([...h.states(), ...c.states()], ["done", "done"]);
  await arrived(sent, c.offers[0]);
});

/** Has one page send the other a file, and notes what is said of how much of it is stored. */
async function noted(size, before = () => {}) {
  const both = await pair();
  const said = [];
  both.made.b.through = (what, data) => {
    if (what === "message" && JSON.parse(data).type === "got") said.push(JSON.parse(data).bytes);
    return [[what, data]];
  };
  both.made.a.through = (what, data) => {
    if (what === "chunk") before(both);
    return [[what, data]];
  };
  both.h.files.offer([file(size)], ["c"]);
  await settled(both.made);
  both.c.files.accept(both.c.offers[0]);
  await settled(both.made);
  assert.deepEqual([...both.h.states(), ...both.c.states()], ["done", "done"]);
  assert.equal(said.at(-1), size);
  return said;
}

test("on a fast line little is said of what is stored, and the sender never waits for it in vain", async () => {
  const size = 12_000_000;
  // No time passes, so that nothing that is counted is forgotten.
  const said = await noted(size);
  assert.ok(said.length <= size / 2 ** 20, `${said.length} messages`);
  const steps = said.map((bytes, n) => bytes - (said[n - 1] ?? 0));
  assert.ok(steps.every((step) => step < WINDOW), `${steps}`);
});

test("on a middling line it is said with every half MiB, on a slow one every second", async () => {
  const size = 6_000_000;
  const middling = await noted(size, ({ c }) => {
    c.clock.now += 20;
  });
  assert.ok(Math.abs(middling.length - size / 2 ** 19) <= 2, `${middling.length} messages`);
  const slow = await noted(1_200_000, ({ c }) => {
    c.clock.now += 500;
  });
  assert.ok(slow.length >= 9 && slow.length <= 12, `${slow}`);
});

test("cut again and again, it goes on from where it was", async () => {
  const { h, c, made: first } = await pair();
  const sent = file(20_000_000);
  h.files.offer([sent], ["c"]);
  await settled(first);
  c.files.accept(c.offers[0]);
  let now = first;
  let bytes = 0;
  for (let n = 0; n < 12; n += 1) {
    let budget = 40;
    now.a.through = (what, data) => {
      if (what !== "chunk") return [[what, data]];
      if (budget === 0) return [];
      budget -= 1;
      return [[what, data]];
    };
    // Chunks that are lost are lost with the connection: the rest of it does not come either.
    await settle(now);
    await turn();
    await settle(now);
    assert.ok(c.offers[0].bytes >= bytes);
    bytes = c.offers[0].bytes;
    now.a.cut();
    if (c.offers[0].state === "done") break;
    now = await link(h, c);
  }
  await settled(now);
  assert.deepEqual([...h.states(), ...c.states()], ["done", "done"]);
  await arrived(sent, c.offers[0]);
  assert.deepEqual([...h.refused, ...c.refused], []);
});

test("a slow disk holds the sender back, and memory stays bounded", async () => {
  const slow = new Place({ slow: true });
  const { h, c, made: now } = await pair({ c: { place: () => slow } });
  h.files.offer([file(30_000_000)], ["c"]);
  await settled(now);
  c.files.accept(c.offers[0]);
  let onTheWay = 0;
  now.a.through = (what, data) => {
    if (what === "chunk") onTheWay += data.byteLength;
    return [[what, data]];
  };
  await settled(now);
  assert.ok(onTheWay > WINDOW / 2 && onTheWay < WINDOW * 1.1, `${onTheWay}`);
  slow.flow();
  await settled(now);
  assert.deepEqual(c.states(), ["done"]);
});

test("a slow disk holds the sender back over cuts, too", async () => {
  const slow = new Place({ slow: true });
  const { h, c, made: first } = await pair({ c: { place: () => slow } });
  const sent = file(20_000_000);
  h.files.offer([sent], ["c"]);
  await settled(first);
  c.files.accept(c.offers[0]);
  await settled(first);
  let now = first;
  for (let cut = 0; cut < 3; cut += 1) {
    now.a.cut();
    now = await link(h, c);
    await settled(now);
  }
  assert.deepEqual([...c.states(), ...c.refused], ["moving"]);
  slow.flow();
  await settled(now);
  assert.deepEqual([...h.states(), ...c.states()], ["done", "done"]);
  await arrived(sent, c.offers[0]);
});

test("a full buffer of the browser holds the sender back", async () => {
  const { h, c, made: now } = await pair();
  now.a.buffered = HIGH_WATER;
  h.files.offer([file(5_000_000)], ["c"]);
  await settled(now);
  c.files.accept(c.offers[0]);
  await settled(now);
  assert.equal(c.offers[0].bytes, 0);
  now.a.buffered = 0;
  now.a.handlers.low();
  await settled(now);
  assert.deepEqual(c.states(), ["done"]);
});

test("cut and greeted in one breath, nothing is sent before the other has said from where", async () => {
  const { h, c, made: first } = await pair();
  const sent = file(1_000_000);
  const read = sent.slice.bind(sent);
  let reads;
  sent.slice = (...range) => ({
    arrayBuffer: () => new Promise((resolve) => {
      reads = () => resolve(read(...range).arrayBuffer());
    }),
  });
  h.files.offer([sent], ["c"]);
  await settled(first);
  c.files.accept(c.offers[0]);
  await settled(first);
  assert.deepEqual([h.states(), typeof reads], [["moving"], "function"]);
  // The other's greeting lies there already when this page takes the new channels.
  const next = wire();
  c.partner.connected(next.b);
  const [[, hello]] = next.b.sent.splice(0);
  next.a.early.push(hello);
  h.partner.connected(next.a);
  reads();
  await turn();
  assert.deepEqual(next.a.sent.filter(([what]) => what === "chunk"), []);
  sent.slice = read;
  await settled(next);
  assert.deepEqual([...h.states(), ...c.states(), ...h.refused, ...c.refused], ["done", "done"]);
  await arrived(sent, c.offers[0]);
});

test("several go one after another, in order", async () => {
  const { h, c, made: now } = await pair();
  const sent = [file(400_000, "1"), file(300_000, "2"), file(200_000, "3")];
  h.files.offer(sent, ["c"]);
  await settled(now);
  const order = [];
  now.a.through = (what, data) => {
    if (what === "chunk") order.push(toBase64url(new Uint8Array(data, 0, 12)));
    return [[what, data]];
  };
  for (const offer of [c.offers[2], c.offers[0], c.offers[1]]) c.files.accept(offer);
  await settled(now);
  assert.deepEqual(c.states(), ["done", "done", "done"]);
  const changes = order.filter((id, n) => id !== order[n - 1]);
  assert.equal(changes.length, 3, "they were mixed");
  for (const [n, offer] of c.offers.entries()) await arrived(sent[n], offer);
});

test("declined, cancelled by either, too large: both know, nothing is left", async () => {
  const { h, c, made: now } = await pair();
  h.files.offer([file(10), file(9_000_000), file(9_000_000)], ["c"]);
  await settled(now);
  c.offers[0].decline("declined");
  c.files.accept(c.offers[1]);
  now.a.through = (what, data) => (what === "chunk" ? [] : [[what, data]]);
  await settled(now);
  c.offers[1].cancel("cancelled");
  h.files.list[2].cancel("cancelled");
  await settled(now);
  assert.deepEqual(h.states(), ["declined declined", "cancelled cancelled", "cancelled cancelled"]);
  assert.deepEqual(c.states(), ["declined declined", "cancelled cancelled", "cancelled cancelled"]);
  assert.equal(c.places[0].discarded, 1);

  const small = await pair({ c: { canTake: async () => false } });
  small.h.files.offer([file(10)], ["c"]);
  await settled(small.made);
  assert.deepEqual(small.h.states(), ["declined too_large"]);
});

test("cancelled and taken off the list by either, what is still on its way closes nothing", async () => {
  for (const who of ["h", "c"]) {
    const { h, c, made: now } = await pair();
    h.files.offer([file(9_000_000)], ["c"]);
    await settled(now);
    c.files.accept(c.offers[0]);
    const gone = who === "h" ? h : c;
    let chunks = 0;
    now.a.through = (what, data) => {
      chunks += what === "chunk" ? 1 : 0;
      if (chunks === 20 && gone.files.list.length > 0) {
        const [transfer] = gone.files.list;
        transfer.cancel("cancelled");
        gone.files.dismiss(transfer);
      }
      return [[what, data]];
    };
    await settled(now);
    assert.ok(chunks > 30, `${chunks} were under way`);
    assert.deepEqual([h.refused, c.refused], [[], []], who);
    assert.ok(h.partner.ready && c.partner.ready);
  }
});

test("what was taken off the list while nobody could be told does not come back as a new offer", async () => {
  for (const done of [false, true]) {
    const { h, c, made: first } = await pair();
    h.files.offer([file(100_000)], ["c"]);
    await settled(first);
    first.a.through = (what, data) => (what === "chunk" && !done ? [] : [[what, data]]);
    // The last word does not arrive.
    first.b.through = (what, data) => (what === "message" && data.includes('"done"') ? [] : [[what, data]]);
    c.files.accept(c.offers[0]);
    await settled(first);
    first.a.cut();
    c.offers[0].cancel("cancelled");
    c.files.dismiss(c.offers[0]);
    await settled(await link(h, c));
    assert.equal(c.offers.length, 1);
    assert.deepEqual(h.states(), [done ? "done" : "cancelled cancelled"]);
  }
});

test("consent withdrawn stops everything at once, in both directions, until it is given again", async () => {
  const { h, c, made: now } = await pair();
  h.files.offer([file(9_000_000), file(10)], ["c"]);
  c.files.offer([file(9_000_000)], ["h"]);
  await settled(now);
  now.a.through = (what, data) => (what === "chunk" ? [] : [[what, data]]);
  c.files.accept(c.offers[0]);
  h.files.accept(h.offers[0]);
  await settle(now);
  c.files.withdraw();
  await settled(now);
  for (const side of [h, c]) {
    assert.ok(side.states().every((state) => ["cancelled withdrawn", "done"].includes(state)), side.states().join());
  }
  assert.deepEqual(c.told, ["given", "withdrawn"]);
  assert.ok(!h.files.willing("c"));
  h.files.offer([file(10)], ["c"]);
  assert.equal(h.states().at(-1), "cancelled withdrawn");
  now.a.cut();
  const next = await link(h, c);
  assert.ok(!h.files.willing("c"), "it holds over a reconnect");
  c.files.allow();
  await settled(next);
  assert.ok(h.files.willing("c"));
  h.files.offer([file(10)], ["c"]);
  await settled(next);
  c.files.accept(c.offers.at(-1));
  await settled(next);
  assert.equal(c.states().at(-1), "done");
});

test("an offer that crosses with a withdrawal is turned away", async () => {
  const { h, c, made: now } = await pair({ c: { consent: "withdrawn" } });
  assert.ok(!h.files.willing("c"));
  now.a.send(encodeMessage({ type: "offer", file: newId(), name: "x", size: 1, kind: "" }));
  await settled(now);
  assert.deepEqual(c.offers, []);
});

test("a page loaded anew: what it sent has failed for the other, what it received is offered again", async () => {
  const { h, c, made: now } = await pair();
  h.files.offer([file(9_000_000)], ["c"]);
  c.files.offer([file(9_000_000)], ["h"]);
  await settled(now);
  for (const end of [now.a, now.b]) end.through = (what, data) => (what === "chunk" ? [] : [[what, data]]);
  c.files.accept(c.offers[0]);
  h.files.accept(h.offers[0]);
  await settled(now);
  now.a.cut();
  const again = page("h", "c");
  const next = await link(again, c);
  assert.equal(c.offers[0].state, "failed");
  assert.equal(c.offers[0].reason, "lost");
  again.files.accept(again.offers[0]);
  await settled(next);
  assert.equal(again.states()[0], "done");
});

test("a file that arrives damaged is thrown away", async () => {
  const { h, c, made: now } = await pair();
  now.a.through = (what, data) => {
    if (what === "chunk") new Uint8Array(data)[data.byteLength - 1] ^= 1;
    return [[what, data]];
  };
  h.files.offer([file(100_000)], ["c"]);
  await settled(now);
  c.files.accept(c.offers[0]);
  await settled(now);
  assert.deepEqual([...h.states(), ...c.states()], ["failed damaged", "failed damaged"]);
  assert.equal(c.places[0].discarded, 1);
  assert.equal(c.offers[0].url, "");
});

test("no room, or a file that can no longer be read, is told to both", async () => {
  const full = await pair({ c: { place: () => new Place({ full: 50_000 }) } });
  full.h.files.offer([file(100_000)], ["c"]);
  await settled(full.made);
  full.c.files.accept(full.c.offers[0]);
  await settled(full.made);
  assert.deepEqual([...full.h.states(), ...full.c.states()], ["failed unwritable", "failed unwritable"]);

  const gone = await pair();
  const sent = file(100_000);
  gone.h.files.offer([sent], ["c"]);
  await settled(gone.made);
  sent.slice = () => ({ arrayBuffer: async () => { throw new DOMException("changed", "NotReadableError"); } });
  gone.c.files.accept(gone.c.offers[0]);
  await settled(gone.made);
  assert.deepEqual([...gone.h.states(), ...gone.c.states()], ["failed unreadable", "failed unreadable"]);
});
