// @ts-check
/**
 * What a call offers beyond picture, sound and chat: raised hands, sound only on a thin line, a word when
 * one speaks into a microphone that is off. Loaded with the chat, over whose messages pages tell one
 * another of it.
 */
import { announce, notify } from "./announcer.js";
import { DataRefusal } from "./datacodec.js";
import { Emitter } from "./emitter.js";
import { FloatingPicture } from "./floating.js";
import { HAND_PAUSE, Hands } from "./hands.js";
import { t } from "./language.js";
import { LineWatch } from "./linewatch.js";
import { Newest } from "./newest.js";
import { keep, recall } from "./tabmemory.js";
import "./ownscreen.js";
import { nameOf } from "./tileview.js";
import { createTools } from "./toolsview.js";
import { VoiceWatch } from "./voicewatch.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./datacodec.js").CallMessage} CallMessage
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./protocol.js").Tile} Tile
 *
 * What of the visit is needed.
 * @typedef {object} CallAccess
 * @property {import("./devices.js").DeviceSet} devices
 * @property {ReadonlyMap<string, MediaStream>} streams see Visit
 * @property {(event: import("./callstate.js").CallEvent) => void} dispatch
 * @property {(refine: import("./groupgate.js").Refine) => void} refine
 * @property {import("./linewatch.js").LineOptions["reports"]} reports
 * @property {(sent: boolean) => void} sendPicture
 */

/** Between two words of one person on pictures, ms: each may cost a renegotiation with everybody. */
const PICTURE_PAUSE = 1_000;

/** @extends {Emitter<{change: []}>} */
export class CallTools extends Emitter {
  devices;
  floating;
  line;
  voice;
  #chat;
  #call;
  #hands = new Hands();
  /** When our hand may be told of again, ms. */
  #handAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #handTimer;
  #pictureTold = "";
  /** @type {Newest<import("./datacodec.js").PictureMessage>} */
  #pictures = new Newest(PICTURE_PAUSE);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pictureTimer;
  /** Why others send no picture, as they say; whether we want one goes before. @type {Map<string, "" | "thin" | "chosen">} */
  #sounds = new Map();
  /** @type {VisitData | null} */
  #state = null;
  #closed = false;

  /** @param {Chat} chat @param {CallAccess} call */
  constructor(chat, call) {
    super();
    this.#chat = chat;
    this.#call = call;
    this.devices = call.devices;
    this.voice = new VoiceWatch(call.devices, () => this.emit("change"));
    this.line = new LineWatch({
      reports: call.reports, sendPicture: call.sendPicture,
      changed: () => this.#lineChanged(),
    });
    this.floating = new FloatingPicture(call.streams, () => {
      this.#refine();
      this.emit("change");
    });
    this.#pictureTold = JSON.stringify(this.line.message);
    this.#refine();
    chat.takeTold((person, message) => this.#told(person, message));
    chat.on("greeted", (person) => {
      chat.tell(this.#hands.message(performance.now()), person);
      chat.tell(this.line.message, person);
    });
    chat.on("gone", (person) => {
      this.#sounds.delete(person);
      this.#pictures.gone(person);
      if (this.#hands.gone(person)) this.#handsChanged();
    });
  }

  /** The parts of a call's screen to be added to. @param {import("./toolsview.js").Places} places */
  show(places) {
    return createTools(this, places);
  }

  /** @param {VisitData} state of the call that is on the screen */
  update(state) {
    const before = this.#state;
    this.#state = state;
    this.voice.listen(this.listens && state.call.length > 0);
    this.line.update(state);
    this.floating.update(state.call);
    if (before?.call === state.call) return;
    this.#handsChanged();
    this.#tellSound();
  }

  /** The call is on no screen any more: nobody listens, and no window stays open. */
  rest() {
    if (this.#state && !this.#closed) this.update({ ...this.#state, call: [] });
  }

  get handUp() {
    return this.#hands.up;
  }

  /** A person raises the hand, or takes it down. */
  toggleHand() {
    this.#hands.raise(!this.#hands.up, performance.now());
    this.#tellHand();
  }

  /** Host: somebody has had the word. @param {string} person */
  lowerHand(person) {
    this.#chat.tell({ type: "lower" }, person);
  }

  /** Whether we listen to a microphone that is off, to warn. */
  get listens() {
    return recall("listens") !== "no";
  }

  /** @param {boolean} listens remembered for this tab */
  setListens(listens) {
    keep("listens", listens ? null : "no");
    if (this.#state) this.update(this.#state);
    this.emit("change");
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#handTimer);
    clearTimeout(this.#pictureTimer);
    this.voice.close();
    this.line.close();
    void this.floating.close();
    this.#call.refine((tiles) => tiles);
    this.clear();
  }

  /** @param {string} person @param {CallMessage} message @throws {DataRefusal} */
  #told(person, message) {
    const now = performance.now();
    const remote = this.#state?.call.find(({ id }) => id === person);
    switch (message.type) {
      case "hand": {
        const changed = this.#hands.receive(person, message, now);
        if (!changed) return;
        this.#handsChanged();
        if (message.up && remote) announce(t("hand.said", { name: this.#name(person) }));
        return;
      }
      case "lower":
        if (!remote) throw new DataRefusal("unexpected", "type");
        if (!this.#hands.lower(person, remote.role === "host", now)) return;
        this.#tellHand();
        notify(t("hand.lowered", { name: this.#name(person) }));
        return;
      case "picture":
        this.#pictures.put(person, message);
        this.#hearPictures();
    }
  }

  #hearPictures() {
    clearTimeout(this.#pictureTimer);
    for (const [person, { sent, wanted }] of this.#pictures.take(performance.now())) {
      this.line.wanted(person, wanted);
      const sound = sent === "yes" ? "" : sent;
      if (sound === (this.#sounds.get(person) ?? "")) continue;
      this.#sounds.set(person, sound);
      this.#tellSound();
      const name = this.#name(person);
      if (name !== "") announce(t(SAID[sound], { name }));
    }
    const { next } = this.#pictures;
    if (next === Number.POSITIVE_INFINITY) return;
    this.#pictureTimer = setTimeout(() => this.#hearPictures(), next - performance.now());
  }

  /** @param {string} person */
  #name(person) {
    const remote = this.#state?.call.find(({ id }) => id === person);
    return remote && this.#state ? nameOf(remote, this.#state) : "";
  }

  #tellHand() {
    this.emit("change");
    if (this.#handTimer !== undefined) return;
    const now = performance.now();
    const tell = () => {
      this.#handTimer = undefined;
      this.#handAt = performance.now() + HAND_PAUSE;
      this.#chat.tell(this.#hands.message(performance.now()));
    };
    if (now >= this.#handAt) tell();
    else this.#handTimer = setTimeout(tell, this.#handAt - now);
  }

  #handsChanged() {
    const { order } = this.#hands;
    for (const { id, hand } of this.#state?.call ?? []) {
      const place = order.indexOf(id) + 1;
      if (place !== hand) this.#call.dispatch({ type: "peer_told", participant: id, told: { hand: place } });
    }
  }

  #lineChanged() {
    const { message } = this.line;
    const words = JSON.stringify(message);
    if (words !== this.#pictureTold) this.#chat.tell(message);
    this.#pictureTold = words;
    this.#refine();
    this.#tellSound();
    this.emit("change");
  }

  /** Whose picture is left away by us, or by themselves. */
  #tellSound() {
    for (const { id, sound } of this.#state?.call ?? []) {
      const now = this.line.receives ? this.#sounds.get(id) ?? "" : "own";
      if (now !== sound) this.#call.dispatch({ type: "peer_told", participant: id, told: { sound: now } });
    }
  }

  /** What is asked for is what is shown, but for these. */
  #refine() {
    // A small window tells of its end late.
    if (this.#closed) return;
    const { receives } = this.line;
    const floating = this.floating.shown;
    this.#call.refine((tiles) => {
      const asked = tiles.map((tile) => {
        if (tile.source !== "camera") return tile;
        if (!receives) return { ...tile, width: 0, height: 0 };
        if (floating?.participant !== tile.participant || tile.width >= floating.width) return tile;
        return { ...tile, width: floating.width, height: floating.height };
      });
      const seen = asked.filter(({ source, width }) => source === "camera" && width > 0);
      this.line.ask(new Set(seen.map(({ participant }) => participant)));
      return asked;
    });
  }
}

const SAID = Object.freeze({
  "": /** @type {const} */ ("line.said_back"), thin: /** @type {const} */ ("line.said_thin"),
  chosen: /** @type {const} */ ("line.said_chosen"),
});
