import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeSignal } from "../../web/js/exchange.js";
import { commitmentTo, makeShare } from "../../web/js/sealing.js";
import { ATTEMPTS, ATTEMPTS_IN_ALL, Standings } from "../../web/js/standings.js";
import { CLIENT, HOST, Page, carry, open, pair, randomBytes, sdp } from "./relay.mjs";

const CLIENT_SAYS = { media: { audio: true, video: true } };

/** The server begins an exchange with a client, and learns its share before it reveals its own. */
async function pretend(page, number) {
  const own = await makeShare({ hasSecret: false, fingerprint: randomBytes(32), nonce: randomBytes(16) });
  const id = String(number).padStart(16, "x");
  const before = page.sent.length;
  page.partner.receive(encodeSignal("commit", id, 0, await commitmentTo(own.share)));
  await page.partner.settled();
  return page.sent.slice(before).filter((data) => data.startsWith("key.")).length;
}

test("a server gets twelve shares of a client without a secret, then a person decides", async () => {
  const client = new Page({ self: CLIENT, other: HOST });
  let shares = 0;
  for (let number = 0; number < 40; number += 1) shares += await pretend(client, number);
  assert.equal(shares, ATTEMPTS);
  assert.equal(client.refusals.at(-1), "too_many");
  client.standings.forgive(HOST.participant);
  client.partner.retry();
  assert.equal(await pretend(client, 50), 1);
});

test("a server gets twelve shares of a host by saying that the client's page is another one", async () => {
  for (const linkSecret of [null, randomBytes(16)]) {
    const host = new Page({ self: HOST, other: CLIENT, linkSecret });
    const served = await makeShare({
      hasSecret: false, fingerprint: randomBytes(32), nonce: randomBytes(16),
    });
    for (let number = 0; number < 40; number += 1) {
      host.partner.peerSeen(`page-${number}`);
      await host.partner.settled();
      const exchange = host.sent.findLast((data) => data.startsWith("commit.")).split(".")[1];
      host.partner.receive(encodeSignal("key", exchange, 0, served.share));
      await host.partner.settled();
    }
    assert.equal(host.sent.filter((data) => data.startsWith("reveal.")).length, ATTEMPTS);
    assert.equal(host.refusals.at(-1), "too_many");
  }
});

test("the other side is told, so that its person may start again", async () => {
  const pages = pair();
  for (let number = 0; number <= ATTEMPTS; number += 1) {
    pages.a.partner.peerSeen(`page-${number}`);
    await carry(pages);
  }
  assert.deepEqual(pages.a.refusals, ["too_many"]);
  assert.deepEqual(pages.b.refusals, ["too_many"]);
});

test("pages that prove the link's secret are loaded anew as often as they like", async () => {
  const pages = pair({ linkSecret: randomBytes(16) });
  for (let number = 0; number < 30; number += 1) {
    pages.a.partner.peerSeen(`page-${number}`);
    await carry(pages);
    pages.b.partner.send(CLIENT_SAYS);
    await carry(pages);
  }
  assert.deepEqual([...pages.a.refusals, ...pages.b.refusals], []);
  assert.equal(pages.a.of("verified").length, 30);
});

test("who has proven the link's secret is not believed without it", async () => {
  const linkSecret = randomBytes(16);
  const pages = await open(pair({ linkSecret }));
  pages.b.partner.send(CLIENT_SAYS);
  await carry(pages);
  assert.equal(pages.a.of("verified").at(-1).verified, "link");

  const impostor = new Page({ self: CLIENT, other: HOST });
  pages.a.partner.peerSeen("made up by the server");
  await carry({ a: pages.a, b: impostor });
  assert.deepEqual(pages.a.refusals, ["secret_missing"]);
  assert.equal(pages.a.of("ready").length, 1, "no keys with the impostor, so no frame key for it");
  impostor.partner.send({ description: { type: "answer", sdp: sdp(impostor.fingerprint) } });
  await carry({ a: pages.a, b: impostor });
  assert.equal(pages.a.of("verified").length, 1);
});

test("participants made up by the server share one bound", () => {
  const standings = new Standings();
  let allowed = 0;
  for (let number = 0; number < 1000; number += 1) allowed += Number(standings.attempt(`p${number}`));
  assert.equal(allowed, ATTEMPTS_IN_ALL);
  standings.forgive("p0");
  assert.equal(standings.attempt("p0"), true);
});
