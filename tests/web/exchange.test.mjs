import assert from "node:assert/strict";
import { test } from "node:test";

import { fromBase64url, toBase64url } from "../../web/js/bytes.js";
import { checkFingerprints, decodeContent, encodeContent } from "../../web/js/content.js";
import { decodeSignal } from "../../web/js/exchange.js";
import { isInitiator } from "../../web/js/partner.js";
import { Refusal, commitmentTo, makeShare } from "../../web/js/sealing.js";
import { CLIENT, HOST, carry, open, pair, randomBytes, randomFrom, resend, sdp } from "./relay.mjs";

const secret = () => randomBytes(16);
const media = (number) => ({ media: { audio: number % 2 === 0, video: number % 3 === 0 } });

/** Says something from each side and lets it travel. */
async function talk(pages, relay) {
  pages.a.partner.send({ description: { type: "offer", sdp: sdp(pages.a.fingerprint) } });
  pages.a.partner.send({ candidate: null });
  pages.b.partner.send({ description: { type: "answer", sdp: sdp(pages.b.fingerprint) } });
  await carry(pages, relay);
}

function assertNothingGotThrough({ a, b }) {
  assert.deepEqual(a.of("verified"), []);
  assert.deepEqual(b.of("verified"), []);
  assert.deepEqual(a.contents, []);
  assert.deepEqual(b.contents, []);
}

for (const [title, options, verified] of [
  ["both hold the link's secret", { linkSecret: secret() }, "link"],
  ["nobody holds one", {}, "code"],
  ["only the host holds one", { a: { linkSecret: secret() } }, "code"],
  ["P-256 on one side", { linkSecret: secret(), a: { suites: [2] } }, "link"],
]) {
  test(`an exchange opens: ${title}`, async () => {
    const pages = await open(pair(options));
    assert.equal(pages.a.of("ready").length, 1);
    assert.equal(pages.b.of("ready").length, 1);
    assertNothingGotThrough(pages);
    await talk(pages);
    const [toA] = pages.a.of("verified");
    const [toB] = pages.b.of("verified");
    assert.equal(toA.verified, verified);
    assert.match(toA.code, /^\d{6}$/);
    assert.deepEqual(toA, toB);
    assert.deepEqual(pages.b.contents, [
      { description: { type: "offer", sdp: sdp(pages.a.fingerprint) } }, { candidate: null },
    ]);
    assert.equal(pages.a.contents.length, 1);
    assert.deepEqual([...pages.a.refusals, ...pages.b.refusals], []);
  });
}

test("a client with the link's secret refuses a partner without it", async () => {
  const pages = await open(pair({ b: { linkSecret: secret() } }));
  await talk(pages);
  assertNothingGotThrough(pages);
  assert.deepEqual(pages.b.refusals, ["secret_missing"]);
});

test("another link's secret opens nothing", async () => {
  const pages = await open(pair({ a: { linkSecret: secret() }, b: { linkSecret: secret() } }));
  await talk(pages);
  assertNothingGotThrough(pages);
  assert.deepEqual(pages.b.refusals, ["unsealing_failed"]);
  assert.deepEqual(pages.a.refusals, ["unsealing_failed"]);
});

test("no common suite", async () => {
  const pages = await open(pair({ a: { suites: [1] }, b: { suites: [2] } }));
  assert.deepEqual(pages.a.refusals, ["no_common_suite"]);
});

// --- a hostile server ---

/** Puts another share in the place of every share, and a commitment to match. */
async function swapping(change) {
  const others = new Map();
  return async (data) => {
    const signal = decodeSignal(data);
    const replace = async (share) => {
      const key = toBase64url(share);
      if (!others.has(key)) others.set(key, await change(share));
      return others.get(key);
    };
    if (signal.kind === "key" || signal.kind === "reveal") {
      return [`${signal.kind}.${signal.exchange}.${signal.seq}.${
        toBase64url(await replace(signal.payload))}`];
    }
    return [data];
  };
}

test("swapping a key for the server's own", async () => {
  for (const linkSecret of [secret(), null]) {
    const relay = await swapping(async () => (await makeShare({
      hasSecret: linkSecret !== null, fingerprint: randomBytes(32), nonce: randomBytes(16),
    })).share);
    const pages = await open(pair({ linkSecret }), relay);
    await talk(pages, relay);
    assertNothingGotThrough(pages);
    assert.deepEqual(pages.b.refusals, ["commit_mismatch"]);
  }
});

test("swapping the fingerprint in a share", async () => {
  const relay = await swapping((share) => {
    const other = share.slice();
    other.set(randomBytes(32), other.length - 32);
    return other;
  });
  const pages = await open(pair({ linkSecret: secret() }), relay);
  await talk(pages, relay);
  assertNothingGotThrough(pages);
  assert.deepEqual(pages.b.refusals, ["commit_mismatch"]);
});

test("swapping only the responder's share: the seals do not open", async () => {
  const relay = (change) => async (data) => {
    const signal = decodeSignal(data);
    if (signal.kind !== "key") return [data];
    return [`key.${signal.exchange}.0.${toBase64url(await change(signal.payload))}`];
  };
  for (const change of [
    async () => (await makeShare({
      hasSecret: true, fingerprint: randomBytes(32), nonce: randomBytes(16) })).share,
    (share) => { const other = share.slice(); other[other.length - 1] ^= 1; return other; },
    (share) => { const other = share.slice(); other[0] ^= 1; return other; },
  ]) {
    const pages = await open(pair({ linkSecret: secret() }), relay(change));
    await talk(pages);
    assertNothingGotThrough(pages);
    assert.ok(pages.b.refusals.includes("unsealing_failed"));
  }
});

test("a full man in the middle cannot pass without the link's secret", async () => {
  // The server plays host towards the client and client towards the host, with commitments of its
  // own that match: only the secret, or people comparing the code, can find it out.
  const run = async (linkSecret) => {
    const { a, b } = pair({ linkSecret });
    const [fakeClient, fakeHost] = (() => {
      const fakes = pair({ linkSecret: linkSecret && secret() });
      return [fakes.b, fakes.a];
    })();
    const [left, right] = [{ a, b: fakeClient }, { a: fakeHost, b }];
    await open(left);
    await open(right);
    await talk(left);
    await talk(right);
    return { a, b };
  };
  const withSecret = await run(secret());
  assertNothingGotThrough(withSecret);
  assert.deepEqual(withSecret.a.refusals, ["unsealing_failed"]);
  assert.deepEqual(withSecret.b.refusals, ["unsealing_failed"]);
  const withoutSecret = await run(null);
  assert.notEqual(withoutSecret.a.of("verified")[0].code, withoutSecret.b.of("verified")[0].code);
});

test("swapping the commitment", async () => {
  const other = await commitmentTo(randomBytes(100));
  const pages = await open(pair(), (data) => {
    const signal = decodeSignal(data);
    return [signal.kind === "commit" ? `commit.${signal.exchange}.0.${toBase64url(other)}` : data];
  });
  assert.deepEqual(pages.b.refusals, ["commit_mismatch"]);
  assertNothingGotThrough(pages);
});

test("a description with another fingerprint than the share's", async () => {
  const pages = await open(pair({ linkSecret: secret() }));
  pages.a.partner.send({ description: { type: "offer", sdp: sdp(randomBytes(32)) } });
  await carry(pages);
  assert.deepEqual(pages.b.refusals, ["fingerprint_mismatch"]);
  assertNothingGotThrough(pages);
  pages.a.partner.send({ description: { type: "offer", sdp: sdp(pages.a.fingerprint) } });
  await carry(pages);
  assertNothingGotThrough(pages);
});

test("so, too, one of a connection for data alone", async () => {
  const pages = await open(pair({ linkSecret: secret() }));
  const candidate = { data: { candidate: null } };
  const right = { data: { description: { type: "offer", sdp: sdp(pages.a.fingerprint) } } };
  pages.a.partner.send(right);
  pages.a.partner.send(candidate);
  await carry(pages);
  assert.deepEqual(pages.b.contents, [right, candidate]);
  pages.a.partner.send({ data: { description: { type: "offer", sdp: sdp(randomBytes(32)) } } });
  await carry(pages);
  assert.deepEqual(pages.b.refusals, ["fingerprint_mismatch"]);
  for (const wrong of [{}, [], { media: { audio: true, video: true } }, { candidate: 1 }, { candidate: null, more: 1 }]) {
    assert.throws(() => decodeContent(encodeContent({ data: wrong })), Refusal);
  }
});

test("replaying without a reconnect", async () => {
  const pages = await open(pair());
  await talk(pages);
  const before = pages.b.contents.length;
  pages.b.partner.receive(pages.a.sent.at(-1));
  await carry(pages);
  assert.deepEqual(pages.b.refusals, ["replayed"]);
  assert.equal(pages.b.contents.length, before);
});

test("replaying twice after one reconnect", async () => {
  const pages = await open(pair());
  await talk(pages);
  await resend(pages.a, pages.b, pages.a.sent);
  assert.deepEqual(pages.b.refusals, []);
  const before = pages.b.contents.length;
  pages.b.partner.receive(pages.a.sent.at(-1));
  await carry(pages);
  assert.deepEqual(pages.b.refusals, ["replayed"]);
  assert.equal(pages.b.contents.length, before);
});

test("a refusal is final until a person starts again", async () => {
  const pages = await open(pair());
  pages.b.partner.receive("nonsense");
  await carry(pages);
  assert.deepEqual(pages.b.refusals, ["malformed"]);
  pages.a.partner.retry();
  await carry(pages);
  assert.equal(pages.b.of("ready").length, 1, "the other side's wish is not enough");
  pages.b.partner.retry();
  await carry(pages);
  await talk(pages);
  assert.deepEqual(pages.a.of("verified").at(-1), pages.b.of("verified").at(-1));
  assert.equal(pages.b.contents.length, 2);
});

test("who refuses says so, and the other side's person is told why", async () => {
  const other = await commitmentTo(randomBytes(100));
  const pages = await open(pair(), (data) => {
    const signal = decodeSignal(data);
    return [signal.kind === "commit" ? `commit.${signal.exchange}.0.${toBase64url(other)}` : data];
  });
  assert.deepEqual(pages.b.refusals, ["commit_mismatch"]);
  assert.deepEqual(pages.a.refusals, ["commit_mismatch"]);
  assert.equal(pages.a.sent.filter((data) => data.startsWith("refused")).length, 0, "no echo");
});

test("a refusal on the other's word alone does not stand against the other's person", async () => {
  for (const [refusing, told] of [["a", "b"], ["b", "a"]]) {
    const pages = await open(pair());
    pages[refusing].partner.receive("nonsense");
    await carry(pages);
    assert.deepEqual(pages[told].refusals, ["malformed"]);
    pages[refusing].partner.retry();
    await carry(pages);
    await talk(pages);
    assert.deepEqual(pages.a.of("verified").at(-1), pages.b.of("verified").at(-1));
    assert.equal(pages[told].of("ready").length, 2);
  }
});

test("made-up refusals: of another exchange ignored, of the present one final, garbled or not", async () => {
  for (const payload of ["", toBase64url(randomBytes(8)), toBase64url(new Uint8Array([0xff]))]) {
    const pages = await open(pair());
    pages.a.partner.receive(`refused.${"B".repeat(16)}.0.${payload}`);
    await carry(pages);
    assert.deepEqual(pages.a.refusals, []);
    const { exchange } = decodeSignal(pages.a.sent[0]);
    pages.a.partner.receive(`refused.${exchange}.0.${payload}`);
    pages.a.partner.receive(`refused.${exchange}.0.${payload}`);
    await carry(pages);
    assert.deepEqual(pages.a.refusals, ["malformed"]);
  }
});

/** One hostile act on one signal of a run, chosen at random; gives what then arrives. */
function sabotage(random, history) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const flip = (text) => {
    const [kind, exchange, seq, payload] = text.split(".");
    const bytes = fromBase64url(payload);
    bytes[Math.floor(random() * bytes.length)] ^= 1 << Math.floor(random() * 8);
    return [kind, exchange, seq, toBase64url(bytes)].join(".");
  };
  return pick([
    ["drop", () => []],
    ["twice", (data) => [data, data]],
    ["flip", (data) => [flip(data)]],
    ["truncate", (data) => [data.slice(0, -1 - Math.floor(random() * 20))]],
    ["renumber", (data) => [data.replace(/\.(\d+)\./, (_, seq) => `.${Number(seq) + 1}.`)]],
    ["relabel", (data) => [data.replace(/^\w+/, pick(["commit", "key", "reveal", "sealed"]))]],
    ["other exchange", (data) => [data.replace(/\.[\w-]{16}\./, `.${"B".repeat(16)}.`)]],
    ["earlier one again", (data) => [pick(history) ?? data, data]],
    ["earlier one instead", (data) => [pick(history) ?? ""]],
    ["reflect", (data, pages, from) => {
      pages[from].partner.receive(data);
      return [data];
    }],
  ]);
}

test("whatever the server does to one signal: what gets through is a true beginning of what was said",
  async () => {
    for (let seed = 0; seed < 250; seed += 1) {
      const random = randomFrom(seed);
      const linkSecret = random() < 0.5 ? secret() : null;
      const pages = pair({ linkSecret });
      const victim = Math.floor(random() * 14);
      const history = { a: [], b: [] };
      const said = { a: [], b: [] };
      let index = -1;
      let act = "nothing";
      const relay = (data, from) => {
        index += 1;
        let arrived = [data];
        if (index === victim) {
          const [name, change] = sabotage(random, history[from]);
          act = name;
          arrived = change(data, pages, from);
        }
        history[from].push(data);
        return arrived;
      };
      const say = (side, content) => {
        said[side].push(content);
        pages[side].partner.send(content);
      };
      await open(pages, relay);
      for (let number = 0; number < 4; number += 1) {
        // A page that is not ready has nothing to say yet: what it would say is dropped.
        if (pages.a.of("ready").length) say("a", media(number));
        if (pages.b.of("ready").length) say("b", media(number + 1));
        await carry(pages, relay);
      }
      const context = `seed ${seed}: ${act} at ${victim}`;
      for (const [from, to] of [["a", "b"], ["b", "a"]]) {
        const got = pages[to].contents;
        assert.deepEqual(got, said[from].slice(0, got.length), context);
      }
      const [codeA, codeB] = [pages.a, pages.b].map((page) => page.of("verified")[0]?.code);
      if (codeA && codeB) assert.equal(codeA, codeB, context);
    }
  });

test("an honest server that loses connections: all is delivered, once, in order", async () => {
  for (let seed = 1000; seed < 1100; seed += 1) {
    const random = randomFrom(seed);
    const pages = pair({ linkSecret: secret() });
    const said = { a: [], b: [] };
    const kept = { a: [], b: [] };
    const relay = (data, from) => {
      kept[from].push(data);
      return [data];
    };
    await open(pages, relay);
    for (let number = 0; number < 12; number += 1) {
      const side = random() < 0.5 ? "a" : "b";
      const content = media(Math.floor(random() * 6));
      said[side].push(content);
      pages[side].partner.send(content);
      await carry(pages, relay);
      if (random() < 0.3) {
        const back = random() < 0.5 ? "a" : "b";
        const other = back === "a" ? "b" : "a";
        // Any tail of what was sent may still be kept: `delivered` was lost with the socket.
        const tail = kept[back].slice(Math.floor(random() * kept[back].length));
        await resend(pages[back], pages[other], tail);
      }
    }
    assert.deepEqual(pages.b.contents, said.a, `seed ${seed}`);
    assert.deepEqual(pages.a.contents, said.b, `seed ${seed}`);
    assert.deepEqual([...pages.a.refusals, ...pages.b.refusals], [], `seed ${seed}`);
  }
});

test("signals lost in the exchange itself come again and it opens", async () => {
  for (const lost of [0, 1, 2]) {
    const pages = pair({ linkSecret: secret() });
    await open(pages, (data, _from, index) => (index === lost ? [] : [data]));
    for (const [from, to] of [["a", "b"], ["b", "a"], ["a", "b"]]) {
      await resend(pages[from], pages[to], pages[from].sent);
      await carry(pages);
    }
    await talk(pages);
    assert.equal(pages.b.contents.length, 2, `signal ${lost}`);
    assert.deepEqual([...pages.a.refusals, ...pages.b.refusals], []);
  }
});

// --- who begins, and when anew ---

test("a new page on either side gets a new exchange", async () => {
  const linkSecret = secret();
  const pages = await open(pair({ linkSecret }));
  await talk(pages);
  const first = pages.a.of("verified")[0].code;
  // The client's page was loaded anew: the same participant, another instance, no memory.
  const fresh = pair({ linkSecret }).b;
  pages.a.partner.peerSeen("client-page-1");
  await carry({ a: pages.a, b: fresh });
  assert.equal(pages.a.of("begun").length, 1, "the same instance keeps its exchange");
  pages.a.partner.peerSeen("client-page-2");
  fresh.partner.peerSeen("host-page-1");
  await carry({ a: pages.a, b: fresh });
  await talk({ a: pages.a, b: fresh });
  assert.equal(pages.a.of("begun").length, 2);
  assert.equal(pages.a.of("verified").length, 2);
  assert.equal(pages.a.of("verified")[1].code, fresh.of("verified")[0].code);
  assert.notEqual(pages.a.of("verified")[1].code, first);
  // Late signals of the former exchange neither help nor harm.
  for (const data of pages.b.sent) pages.a.partner.receive(data);
  for (const data of pages.a.sent.slice(1, 4)) fresh.partner.receive(data);
  await carry({ a: pages.a, b: fresh });
  assert.deepEqual([...pages.a.refusals, ...fresh.refusals], []);
});

test("a host's page loaded anew", async () => {
  const linkSecret = secret();
  const pages = await open(pair({ linkSecret }));
  await talk(pages);
  const { a } = pair({ linkSecret });
  pages.b.partner.peerSeen("host-page-2");
  await pages.b.partner.settled();
  assert.equal(pages.b.of("begun").length, 2);
  a.partner.peerSeen("client-page-1");
  await carry({ a, b: pages.b });
  await talk({ a, b: pages.b });
  assert.deepEqual(a.of("verified")[0], pages.b.of("verified")[1]);
});

test("a responder that waits in vain asks for a restart, and is not heard too often", async () => {
  const pages = pair({ linkSecret: secret() });
  await open(pages, (data) => (data.startsWith("commit") ? [] : [data]));
  assert.equal(pages.b.of("ready").length, 0);
  pages.b.partner.stalled();
  pages.b.partner.stalled();
  await carry(pages);
  assert.equal(pages.a.of("begun").length, 2, "two requests at once, one new exchange");
  await talk(pages);
  assert.equal(pages.b.contents.length, 2);
  pages.a.time += 1000;
  pages.b.partner.stalled();
  await carry(pages);
  assert.equal(pages.a.of("begun").length, 2, "an open exchange is not stalled");
});

test("the initiator is the host, else the smaller id", () => {
  assert.equal(isInitiator(HOST, CLIENT), true);
  assert.equal(isInitiator(CLIENT, HOST), false);
  const [small, large] = ["-".repeat(22), "a".repeat(22)];
  assert.equal(isInitiator({ participant: small, role: "guest" }, { participant: large, role: "client" }),
    true);
  assert.equal(isInitiator({ participant: large, role: "host" }, { participant: small, role: "host" }),
    false);
});

// --- contents ---

test("contents have exactly one member of the right form", () => {
  const encode = (value) => new TextEncoder().encode(JSON.stringify(value));
  const candidate = { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "x" };
  for (const good of [
    { candidate }, { candidate: null }, media(1), { description: { type: "offer", sdp: "" } },
    { restart: true }, { key: { epoch: 0, key: "A".repeat(43) } }, { key: { epoch: 65_535 } },
    { moved: "sfu" }, { moved: "p2p" }, { screen: true }, { screen: false }, { receipt: "{}" }, { receipt: "x".repeat(16_384) },
  ]) {
    assert.deepEqual(decodeContent(encodeContent(good)), good);
  }
  for (const bad of [
    {}, [], null, 1, "x", { ...media(1), candidate: null }, { media: { audio: 1, video: true } },
    { media: { audio: true } }, { description: { type: "rollback", sdp: "" } },
    { description: { type: "offer" } }, { description: { type: "offer", sdp: "", more: 1 } },
    { candidate: { candidate: 1 } }, { candidate: "x" }, { unknown: 1 }, { restart: 1 },
    { receipt: "" }, { receipt: 1 }, { receipt: "x".repeat(16_385) },
    { key: {} }, { key: { epoch: -1 } }, { key: { epoch: 65_536 } }, { key: { epoch: 1.5 } },
    { key: { epoch: 0, key: "A".repeat(42) } }, { key: { epoch: 0, key: "A".repeat(42) + "B" } },
    { key: { epoch: 0, key: 1 } }, { key: { epoch: 0, more: 1 } }, { moved: "mesh" }, { moved: true },
    { screen: 1 }, { screen: null }, { screen: true, media: { audio: true, video: true } },
  ]) {
    assert.throws(() => decodeContent(encode(bad)), Refusal, JSON.stringify(bad));
  }
  assert.throws(() => decodeContent(Uint8Array.of(0xff)), Refusal);
});

test("every line that mentions a fingerprint must be the expected one", () => {
  const fingerprint = randomBytes(32);
  const good = sdp(fingerprint);
  checkFingerprints(good, fingerprint);
  checkFingerprints(good.toLowerCase() + good, fingerprint);
  const other = sdp(randomBytes(32));
  for (const bad of [
    "", "v=0\r\n", other, good + other, other + good, good.replace("sha-256", "sha-1"),
    `${good}a=fingerprint:sha-512 00\r\n`, good.replaceAll("\r\n", "\r") + other.replaceAll("\r\n", "\r"),
    `${good} a=fingerprint:x\n`, good.trimEnd() + ":00\r\n", `${good}A=FINGERPRINT:sha-256 00\r\n`,
  ]) {
    assert.throws(() => checkFingerprints(bad, fingerprint),
      (error) => error.reason === "fingerprint_mismatch", bad);
  }
});
