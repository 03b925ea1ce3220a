// Two partners and the server between them, which the test plays: honest, forgetful or hostile.
import { againNotice } from "../../web/js/exchange.js";
import { Partner } from "../../web/js/partner.js";
import { makeShare } from "../../web/js/sealing.js";
import { Standings } from "../../web/js/standings.js";

export const ROOM = "r".repeat(22);
export const HOST = { participant: "h".repeat(22), role: "host" };
export const CLIENT = { participant: "c".repeat(22), role: "client" };

/** Random numbers that a seed repeats (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const randomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/** One page: a partner, what came out of it, and what it has sent and keeps. */
export class Page {
  constructor({ self, other, linkSecret = null, fingerprint = randomBytes(32), suites }) {
    this.self = self;
    this.fingerprint = fingerprint;
    this.outputs = [];
    this.outbox = [];
    this.sent = [];
    this.time = 0;
    this.standings = new Standings();
    this.partner = new Partner({
      room: ROOM, self, other, linkSecret,
      takeShare: () => makeShare({
        hasSecret: linkSecret !== null, fingerprint, nonce: randomBytes(16), suites,
      }),
      random: randomBytes,
      now: () => this.time,
      standings: this.standings,
      output: (output) => {
        this.outputs.push(output);
        if (output.type === "send") this.sent.push(output.data);
        if (output.type === "send" || output.type === "notice") this.outbox.push(output.data);
      },
    });
  }

  of(type) {
    return this.outputs.filter((output) => output.type === type);
  }

  get contents() {
    return this.of("content").map(({ content }) => content);
  }

  get refusals() {
    return this.of("refused").map(({ reason }) => reason);
  }
}

export function pair(options = {}) {
  const a = new Page({ self: HOST, other: CLIENT, ...options, ...options.a });
  const b = new Page({ self: CLIENT, other: HOST, ...options, ...options.b });
  return { a, b };
}

/**
 * Carries signals until nobody has anything to say.
 *
 * @param {(data: string, from: "a" | "b", index: number) => string[] | Promise<string[]>} [relay]
 *   what arrives in place of each signal
 */
export async function carry({ a, b }, relay = (data) => [data]) {
  let index = 0;
  for (;;) {
    await Promise.all([a.partner.settled(), b.partner.settled()]);
    const from = a.outbox.length ? "a" : "b";
    const [sender, receiver] = from === "a" ? [a, b] : [b, a];
    const data = sender.outbox.shift();
    if (data === undefined) return;
    for (const arrived of await relay(data, from, index)) receiver.partner.receive(arrived);
    index += 1;
    await receiver.partner.settled();
  }
}

/** Everybody sees everybody; the honest way to an open exchange. */
export async function open(pages, relay) {
  pages.a.partner.peerSeen("client-page-1");
  pages.b.partner.peerSeen("host-page-1");
  await carry(pages, relay);
  return pages;
}

/** A page that has reconnected sends again what it keeps, announced as section 7.4 says. */
export async function resend(from, to, kept) {
  from.partner.reconnected();
  for (const data of [againNotice(), ...kept]) to.partner.receive(data);
  await Promise.all([from.partner.settled(), to.partner.settled()]);
}

export const sdp = (fingerprint) =>
  `v=0\r\na=fingerprint:sha-256 ${[...fingerprint]
    .map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":")}\r\n`;
