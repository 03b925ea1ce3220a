// @ts-check
/**
 * The server has lost everything, as when it was killed together with its private Redis: the room
 * begins anew, and whoever was in a call is for the server somebody who waits (docs/protocol.md
 * section 5). The pages know better. For a while they go on with the room as it was; the host's page
 * lets those in again whom the host has let in before. Pure.
 */

/**
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").ParticipantView} ParticipantView
 */

/** How long the others have to find the way back, ms. */
export const RECOVERY = 30_000;

/** @param {import("./protocol.js").Status} status */
const isInside = (status) => status === "admitted" || status === "in_call";

/**
 * Whether a room is another one than the one known before, under the same name. Within one session
 * versions only rise.
 *
 * @param {RoomView | null} before
 * @param {RoomView} now
 * @returns {before is RoomView}
 */
export function isLost(before, now) {
  return before !== null && isInside(before.you) && now.version < before.version;
}

export class Recovery {
  #before;
  #isHost;
  #backInside = false;
  /** Those who were in the call and are not yet again. @type {Map<string, ParticipantView>} */
  #missing;
  /** @type {Set<string>} */
  #admitted = new Set();

  /**
   * @param {RoomView} before as it was
   * @param {{participant: string, role: import("./protocol.js").Role}} self
   */
  constructor(before, { participant, role }) {
    this.#before = before;
    this.#isHost = role === "host";
    this.#missing = new Map(before.participants
      .filter(({ id, status }) => id !== participant && isInside(status))
      .map((person) => [person.id, person]));
  }

  /** Everybody is where they were. */
  get done() {
    return this.#backInside && this.#missing.size === 0;
  }

  /** Whether a signal would be passed on already. @param {string} to */
  reaches(to) {
    return this.#backInside && !this.#missing.has(to);
  }

  /**
   * @param {RoomView} now the room as the server has it
   * @returns {{view: RoomView, admit: string[]}} the room to go on with, and whom to let in again
   */
  take(now) {
    this.#backInside ||= isInside(now.you);
    const here = new Map(now.participants.map((person) => [person.id, person]));
    const admit = [];
    for (const id of [...this.#missing.keys()]) {
      const found = here.get(id);
      if (found && found.status !== "waiting") this.#missing.delete(id);
      if (this.#isHost && found?.status === "waiting" && !this.#admitted.has(id)) admit.push(id);
    }
    for (const id of admit) this.#admitted.add(id);
    return { view: this.#merge(now, here), admit };
  }

  /**
   * @param {RoomView} now
   * @param {Map<string, ParticipantView>} here
   * @returns {RoomView}
   */
  #merge(now, here) {
    const kept = [...this.#missing.values()].map((person) => {
      const found = here.get(person.id);
      const { instance, connected } = found ?? { instance: person.instance, connected: false };
      return { ...person, instance, connected };
    });
    const others = now.participants.filter(({ id }) => !this.#missing.has(id));
    return {
      ...now,
      you: this.#backInside ? now.you : this.#before.you,
      place: this.#backInside ? now.place : null,
      participants: [...others, ...kept],
    };
  }
}
