// @ts-check
/** The reception's screen: each provider with the open rooms, and a place for further links. */
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { currentLocale, t } from "./language.js";
import { createEntry, roomWords } from "./receptionentry.js";
import { Settling } from "./settling.js";

/**
 * @typedef {import("./receptionstate.js").ReceptionState} ReceptionState
 * @typedef {import("./receptionstate.js").Desk} Desk
 * @typedef {import("./receptionstate.js").OpenRoom} OpenRoom
 * @typedef {import("./receptionstate.js").Place} Place
 *
 * @typedef {object} Actions
 * @property {(text: string) => boolean} takeIn links out of a text; false: there was none
 * @property {(provider: string) => void} forget
 * @property {(token: string, room: string, participant: string, text: string) => Promise<boolean>} tell whether
 *   the person was there to read it
 * @property {(token: string, room: string, participant: string, place: Place | null) => Promise<void>} passOn
 *   null takes it back
 */

/**
 * @param {Actions["takeIn"]} takeIn
 * @returns {import("./dom.js").Part<ReceptionState>}
 */
export function createEmpty(takeIn) {
  /** @type {View<ReceptionState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message" },
      icon("lock"),
      view.h("h1", { tabindex: "-1" }, () => t("reception.page")),
      view.h("p", {}, () => t("reception.start")),
      createLinkForm(view, takeIn),
    ),
  );
}

/**
 * @param {Actions} actions
 * @returns {import("./dom.js").Part<ReceptionState>}
 */
export function createDesks(actions) {
  /** @type {View<ReceptionState>} */
  const view = new View();
  const settling = new Settling();
  view.bind((s) => s.desks, (all) => settling.see(all.map(({ provider }) => provider)));
  const desks = view.h("div", { class: "desks", "data-testid": "desks" });
  view.each(desks, (s) => s.desks, ({ provider }) => provider, (desk) => createDesk(desk.provider, actions, settling));
  return view.part(
    view.h(
      "div",
      { class: "reception" },
      view.h("h1", { tabindex: "-1" }, () => t("reception.page")),
      view.h("p", { class: "hint" }, () => t("reception.sees")),
      desks,
      view.h(
        "details",
        { class: "card more" },
        view.h("summary", { "data-testid": "add-open" }, () => t("reception.add")),
        createLinkForm(view, actions.takeIn),
      ),
    ),
  );
}

/**
 * @param {View<ReceptionState>} view
 * @param {Actions["takeIn"]} takeIn
 */
function createLinkForm(view, takeIn) {
  const field = view.h("input", {
    id: "reception-link", type: "text", autocomplete: "off", spellcheck: "false", "data-testid": "link-input",
    "aria-describedby": "reception-link-fault",
    "aria-invalid": (s) => (s.fault === "" ? null : "true"),
  });
  return view.h(
    "form",
    {
      class: "link-form",
      novalidate: true,
      onsubmit: on((/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        if (takeIn(field.value)) field.value = "";
      }),
    },
    view.h("label", { class: "label", for: "reception-link" }, () => t("reception.link")),
    field,
    view.h(
      "p",
      {
        id: "reception-link-fault", class: "fault", role: "alert", hidden: (s) => s.fault === "",
        "data-testid": (s) => (s.fault === "" ? null : "error-message"),
      },
      (s) => (s.fault === "" ? "" : t("reception.bad_link")),
    ),
    view.h("button", { type: "submit", "data-testid": "link-add" }, () => t("reception.take")),
  );
}

/**
 * @param {string} provider
 * @param {Actions} actions
 * @param {Settling} settling
 * @returns {import("./dom.js").Item<Desk, ReceptionState>}
 */
function createDesk(provider, actions, settling) {
  /** @type {View<readonly [Desk, ReceptionState]>} */
  const view = new View();
  const title = `desk-${provider}`;
  const rooms = view.h("div", { class: "rooms" });
  view.each(
    rooms, ([desk]) => desk.rooms, ({ room }) => room, ({ room }) => createRoom(room, actions),
  );
  const nobody = (/** @type {readonly [Desk, ReceptionState]} */ [desk]) => desk.rooms.length === 0 && desk.problem === "" && desk.asked;
  const element = view.h(
    "section",
    { class: "card own", tabindex: "-1", "aria-labelledby": title, "data-testid": "desk" },
    view.h("h2", { id: title }, ([desk]) => desk.name || t("reception.opening")),
    view.h(
      "p",
      {
        class: "notice-line", hidden: ([desk]) => desk.problem === "", "data-testid": "desk-problem",
        "data-code": ([desk]) => desk.problem,
      },
      ([desk]) => problemWords(desk.problem),
    ),
    rooms,
    view.h("p", { class: "hint", hidden: (s) => !nobody(s) }, () => t("reception.none_open")),
    view.h(
      "div",
      { class: "row" },
      view.h("p", { class: "hint grow", hidden: ([desk]) => desk.closesAt === 0 }, ([desk]) =>
        t("reception.good_until", { when: whenWords(desk.closesAt) })),
      view.h(
        "button",
        {
          type: "button", "data-testid": "desk-forget", ...settling.guard(() => actions.forget(provider)),
          "aria-label": ([desk]) => t("reception.forget_name", { name: desk.name }),
        },
        () => t("reception.forget"),
      ),
    ),
  );
  return { element, update: (desk, state) => view.update([desk, state]) };
}

/** @param {number} at ms since 1970 */
function whenWords(at) {
  return new Intl.DateTimeFormat(currentLocale(), {
    day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
  }).format(at);
}

/** @param {string} code */
function problemWords(code) {
  if (code === "") return "";
  if (code === "token_closed") return t("reception.closed");
  return code.startsWith("token_") ? t("reception.void") : t("reception.away");
}

/**
 * @param {string} id
 * @param {Actions} actions
 * @returns {import("./dom.js").Item<OpenRoom, readonly [Desk, ReceptionState]>}
 */
function createRoom(id, actions) {
  /** @type {View<readonly [OpenRoom, Desk, ReceptionState]>} */
  const view = new View();
  const title = `room-${id}`;
  const waiting = view.h("ul", { class: "people", "aria-labelledby": title, "data-testid": "reception-waiting" });
  view.each(
    waiting, ([room]) => room.waiting, (p) => p.participant,
    ({ participant }) => createEntry(participant, actions),
  );
  const element = view.h(
    "div",
    {
      class: "reception-room", "data-testid": "reception-room", "data-room": id,
      "data-in-call": ([room]) => String(room.in_call),
    },
    view.h("h3", { id: title }, ([room]) => roomWords(room)),
    view.h(
      "p",
      { class: "presence", "data-present": ([room]) => String(room.host_present) },
      view.h("span", { class: "dot", "aria-hidden": "true" }),
      ([room, desk]) => stateWords(room, desk),
    ),
    waiting,
    view.h("p", { class: "hint", hidden: ([room]) => room.waiting.length > 0 }, () => t("reception.nobody")),
  );
  return { element, update: (room, [desk, state]) => view.update([room, desk, state]) };
}

/** @param {OpenRoom} room @param {Desk} desk */
function stateWords(room, { name }) {
  return [
    t(room.host_present ? "reception.present" : "reception.absent", { name }),
    t(room.in_call ? "reception.in_call" : "reception.no_call"),
    ...(room.locked ? [t("reception.locked")] : []),
  ].join(" · ");
}
