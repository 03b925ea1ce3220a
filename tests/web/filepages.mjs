// Pages with files alone, connected in memory.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { toBase64url } from "../../web/js/bytes.js";
import { ChatPartner } from "../../web/js/chatpartner.js";
import { encodeMessage } from "../../web/js/datacodec.js";
import { Files } from "../../web/js/files.js";
import { Photos } from "../../web/js/photos.js";
import { settle, wire } from "./wires.mjs";

URL.createObjectURL = (blob) => {
  const url = `blob:${made.size}`;
  made.set(url, blob);
  return url;
};
URL.revokeObjectURL = (url) => made.delete(url);
export const made = new Map();
const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
export const newId = () => toBase64url(new Uint8Array(randomBytes(12)));
export const file = (size, name = "scan.pdf") => new File([randomBytes(size)], name, { type: "application/pdf" });
export const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A place in memory that notes what is asked of it; `slow`: writes wait until `flow` is called. */
export class Place {
  pieces = [];
  discarded = 0;
  waiting = [];
  constructor({ slow = false, full = Number.POSITIVE_INFINITY } = {}) {
    Object.assign(this, { slow, full });
  }

  async write(bytes) {
    if (this.slow) await new Promise((resolve) => this.waiting.push(resolve));
    if (this.length + bytes.length > this.full) throw new Error("disk full");
    this.pieces.push(bytes);
  }

  get length() {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  flow() {
    this.slow = false;
    for (const go of this.waiting.splice(0)) go();
  }

  async finish() {
    return new Blob(this.pieces);
  }

  async discard() {
    this.discarded += 1;
    this.pieces = [];
  }
}

/** One page with files alone: "h" or "c". */
export function page(person, other, { place = () => new Place(), canTake = async () => true, consent = "unasked" } = {}) {
  const self = { places: [], refused: [], told: [], offers: [], clock: { now: 1_000 } };
  const now = () => self.clock.now;
  self.files = new Files({
    consent, newId, canTake, now,
    makePlace: async () => {
      self.places.push(place());
      return self.places.at(-1);
    },
    told: (consented) => {
      self.told.push(consented);
      self.partner.send({ type: "consent", files: consented !== "withdrawn" });
    },
    arrived: (incoming) => self.offers.push(incoming),
    changed: () => {},
  });
  self.partner = new ChatPartner({
    person: other, files: self.files, photos: new Photos({}), prove: () => "A".repeat(22), now,
    output: () => {}, greeted: () => {}, refused: (reason) => self.refused.push(reason),
  });
  self.states = () => self.files.list.map(({ state, reason }) => (reason ? `${state} ${reason}` : state));
  return self;
}

export async function pair(options = {}) {
  const h = page("h", "c", options.h);
  const c = page("c", "h", options.c);
  return { h, c, made: await link(h, c) };
}

export async function link(h, c) {
  const now = wire();
  h.partner.connected(now.a);
  c.partner.connected(now.b);
  await settle(now);
  return now;
}

export async function settled(now) {
  for (let n = 0; n < 8; n += 1) {
    await settle(now);
    await turn();
  }
}

export async function arrived(sent, { url }) {
  assert.equal(sha(new Uint8Array(await made.get(url).arrayBuffer())), sha(new Uint8Array(await sent.arrayBuffer())));
}

/** A page that greets and then says what it likes. */
export async function hostile(greeting = {}) {
  const c = page("c", "h");
  const now = wire();
  c.partner.connected(now.b);
  const say = (message) => now.a.send(typeof message === "string" ? message : encodeMessage(message));
  say({ type: "hello", version: 1, lines: { own: 0, other: 0 }, files: true, sending: [], ...greeting });
  await settle(now);
  return { c, now, say };
}
