// @ts-check
/** Receipts of clients' consent, as files to keep, at the host's page. */
import { verifyReceipt } from "./api.js";
import { on, View } from "./dom.js";
import { download } from "./download.js";
import { t } from "./language.js";
import { OneByOne } from "./onebyone.js";
import { fileName, JSON_TYPE } from "./receipts.js";
import { keep, recall } from "./tabmemory.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {{participant: string, name: string, file: string}} Held
 */

/** More people than this have not been in one room. */
const HELD_MOST = 100;

/** Between two that one person hands over, ms: each is asked about at the server, in the host's name. */
const PAUSE = 3000;

/** The receipts of one room that came to this tab; they go with it. */
export class Receipts {
  #key;
  #room;
  /** @type {readonly Held[]} */
  #held = [];
  #looks = new OneByOne(PAUSE);
  #changed;

  /** @param {string} room @param {() => void} changed told when there is one more */
  constructor(room, changed) {
    this.#room = room;
    this.#changed = changed;
    this.#key = `receipts.${room}`;
    try {
      const kept = JSON.parse(recall(this.#key) ?? "[]");
      if (Array.isArray(kept)) this.#held = kept.filter(isHeld);
    } catch {
      // Not ours: none.
    }
  }

  get held() {
    return this.#held;
  }

  /**
   * Takes a receipt in if the server says that it is its own, and of this participant here.
   * @param {string} participant who has handed it over
   * @param {string} name as shown
   * @param {string} file
   */
  take(participant, name, file) {
    if (!this.#wants(participant, file)) return;
    this.#looks.do(participant, async () => {
      // What cannot be asked about now is handed over again after the next reconnection.
      if (!this.#wants(participant, file) || !(await verifyReceipt(file))) return;
      const others = this.#held.filter((one) => one.participant !== participant);
      this.#held = [...others, { participant, name, file }];
      keep(this.#key, JSON.stringify(this.#held));
      this.#changed();
    });
  }

  /** @param {string} participant @param {string} file */
  #wants(participant, file) {
    const known = this.#held.some((one) => one.file === file);
    return !known && this.#held.length < HELD_MOST && isAbout(file, this.#room, participant);
  }
}

/** @param {any} value @returns {value is Held} */
function isHeld(value) {
  return [value?.participant, value?.name, value?.file].every((one) => typeof one === "string");
}

/**
 * @param {string} file
 * @param {string} room
 * @param {string} participant
 */
export function isAbout(file, room, participant) {
  try {
    const said = JSON.parse(file);
    return said.konsil_receipt === "consent" && said.session === room && said.participant === participant;
  } catch {
    return false;
  }
}

/**
 * The host's list of receipts of consent.
 * @template {VisitData} S
 * @param {Receipts} receipts
 * @param {string} room
 * @returns {import("./dom.js").Part<S>}
 */
export function createConsentList(receipts, room) {
  /** @type {View<S>} */
  const view = new View();
  const list = view.h("ul", { class: "people" });
  view.each(list, () => receipts.held, ({ file }) => file, ({ name, file }) => {
    /** @type {View<S>} */
    const item = new View();
    const element = item.h(
      "li",
      { class: "person", "data-testid": "consent-receipt" },
      item.h("span", {}, () => t("receipt.consent_of", { name })),
      item.h(
        "button",
        {
          type: "button",
          "data-testid": "consent-download",
          "aria-label": () => t("receipt.save_name", { name }),
          onclick: on(() => download(fileName("consent", room, file), file, JSON_TYPE)),
        },
        () => t("receipt.save"),
      ),
    );
    return { element, update: (_, state) => item.update(state) };
  });
  return view.part(view.h(
    "div",
    { class: "receipts", hidden: () => receipts.held.length === 0 },
    view.h("h2", {}, () => t("receipt.title")),
    list,
  ));
}
