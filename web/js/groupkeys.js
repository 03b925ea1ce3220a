// @ts-check
/**
 * Which keys the frames of a group are sealed with, and who may have them (docs/protocol.md, "Keys of
 * frames"). Everybody has a key of their own for what they send, a new one with every epoch. Pure: no
 * WebCrypto, no timer; random bytes and time are handed in.
 *
 * Somebody who leaves must open nothing sent afterwards: a new key, used at once. Somebody who comes
 * must open nothing sent before: a new key as well, used when all have it, so that nobody misses sound.
 */
import { equalBytes } from "./bytes.js";
import { LAST_EPOCH } from "./frames.js";

/**
 * @typedef {import("./bytes.js").Bytes} Bytes
 *
 * In a sealed message: a key, or without one the receipt for it.
 * @typedef {{epoch: number, key?: Bytes}} KeyContent
 *
 * What is to be done, in this order. `seal`: our own frames, from now on; null: not at all any more.
 * @typedef {{type: "tell", to: string, content: KeyContent}
 *   | {type: "seal", epoch: number, key: Bytes | null}
 *   | {type: "open", from: string, epoch: number, key: Bytes}
 *   | {type: "forget", from: string}} KeyOutput
 *
 * @typedef {{epoch: number, key: Bytes}} EpochKey
 */

export const KEY_LENGTH = 32;
/** Longest wait for receipts before a key made for a newcomer is used, ms. */
export const HAND_OUT = 1_000;
/** Keys of others that are told from one another. */
const REMEMBERED = 8;

export class GroupKeys {
  #random;
  #output;
  /** @type {EpochKey | null} */
  #present = null;
  /** Handed out, not used yet. @type {(EpochKey & {due: number, holders: Set<string>}) | null} */
  #coming = null;
  /** Whom sealed messages reach, and the newest epoch they have confirmed. @type {Map<string, number>} */
  #members = new Map();
  /** Who was given the present key, reachable or not. @type {Set<string>} */
  #holders = new Set();
  /** What others have sent, newest last. @type {Map<string, EpochKey[]>} */
  #theirs = new Map();
  #nextEpoch = 0;

  /**
   * @param {{random: (length: number) => Bytes, output: (output: KeyOutput) => void}} options
   */
  constructor({ random, output }) {
    this.#random = random;
    this.#output = output;
  }

  /**
   * Sealed messages reach this one, who is admitted.
   *
   * @param {string} participant
   * @param {number} now ms
   */
  opened(participant, now) {
    this.#members.set(participant, -1);
    if (this.#present === null || (this.#members.size === 1 && !this.#holders.has(participant))) {
      // Nobody else is listening.
      this.#change();
      return;
    }
    // The same person with the page loaded anew has heard what was said so far.
    const known = this.#holders.has(participant);
    if (known) this.#tell(participant, this.#present);
    if (this.#coming) this.#handOut(participant, this.#coming);
    if (known || this.#coming) return;
    const next = this.#make();
    if (next === null) return;
    this.#coming = { ...next, due: now + HAND_OUT, holders: new Set() };
    for (const member of this.#members.keys()) this.#handOut(member, this.#coming);
  }

  /**
   * Sealed messages do not reach this one at present, who stays in the room.
   *
   * @param {string} participant
   */
  lost(participant) {
    this.#members.delete(participant);
    this.#switchIfConfirmed();
  }

  /**
   * This one is out: left, removed, sent back to wait, or not trusted any more.
   *
   * @param {string} participant
   */
  gone(participant) {
    this.#members.delete(participant);
    if (this.#theirs.delete(participant)) this.#output({ type: "forget", from: participant });
    const holds = this.#holders.has(participant) || this.#coming?.holders.has(participant);
    if (holds) this.#change();
    else this.#switchIfConfirmed();
  }

  /**
   * @param {string} from
   * @param {KeyContent} content
   */
  received(from, { epoch, key }) {
    if (!this.#members.has(from)) return;
    if (key === undefined) {
      this.#members.set(from, Math.max(epoch, this.#members.get(from) ?? -1));
      this.#switchIfConfirmed();
      return;
    }
    let keys = this.#theirs.get(from) ?? [];
    const same = keys.find((one) => one.epoch === epoch);
    const newest = keys.at(-1)?.epoch ?? -1;
    if (!same || !equalBytes(same.key, key)) {
      // Epochs rise within one load of a page; otherwise it is another load.
      if (epoch <= newest) {
        this.#output({ type: "forget", from });
        keys = [];
      }
      this.#theirs.set(from, [...keys, { epoch, key }].slice(-REMEMBERED));
      this.#output({ type: "open", from, epoch, key });
    }
    this.#output({ type: "tell", to: from, content: { epoch } });
  }

  /** @returns {number | null} when handleTimer is due */
  nextTimeout() {
    return this.#coming?.due ?? null;
  }

  /** @param {number} now */
  handleTimer(now) {
    if (this.#coming && now >= this.#coming.due) this.#switch();
  }

  /** A new key for all who are left, and used at once. */
  #change() {
    const next = this.#make();
    this.#coming = null;
    if (next === null) {
      this.#output({ type: "seal", epoch: LAST_EPOCH, key: null });
      return;
    }
    for (const member of this.#members.keys()) this.#tell(member, next);
    this.#use(next, new Set(this.#members.keys()));
  }

  /** @returns {EpochKey | null} null: there are no more epochs, which takes days of comings and goings */
  #make() {
    if (this.#nextEpoch > LAST_EPOCH) return null;
    const epoch = this.#nextEpoch;
    this.#nextEpoch += 1;
    return { epoch, key: this.#random(KEY_LENGTH) };
  }

  #switchIfConfirmed() {
    const coming = this.#coming;
    if (!coming) return;
    if ([...this.#members.values()].every((confirmed) => confirmed >= coming.epoch)) this.#switch();
  }

  #switch() {
    if (!this.#coming) return;
    const { holders, epoch, key } = this.#coming;
    this.#coming = null;
    this.#use({ epoch, key }, holders);
  }

  /** @param {EpochKey} key @param {Set<string>} holders */
  #use({ epoch, key }, holders) {
    this.#present = { epoch, key };
    this.#holders = holders;
    this.#output({ type: "seal", epoch, key });
  }

  /** @param {string} to @param {EpochKey & {holders: Set<string>}} coming */
  #handOut(to, coming) {
    coming.holders.add(to);
    this.#tell(to, coming);
  }

  /** @param {string} to @param {EpochKey} key */
  #tell(to, { epoch, key }) {
    this.#output({ type: "tell", to, content: { epoch, key } });
  }
}
