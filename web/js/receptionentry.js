// @ts-check
/** One who waits, as the reception sees them: how long, how it is going, words to them, and the way on. */
import { on, once, View } from "./dom.js";
import { clock, timeOfDay } from "./i18n.js";
import { currentLocale, t } from "./language.js";
import { placesBeside } from "./receptionstate.js";

/**
 * @typedef {import("./receptionstate.js").Waiting} Waiting
 * @typedef {import("./receptionstate.js").OpenRoom} OpenRoom
 * @typedef {import("./receptionstate.js").Desk} Desk
 * @typedef {import("./receptionstate.js").ReceptionState} ReceptionState
 * @typedef {import("./receptionview.js").Actions} Actions
 * @typedef {readonly [OpenRoom, Desk, ReceptionState]} Around
 * @typedef {readonly [Waiting, OpenRoom, Desk, ReceptionState]} Entry
 */

const TEXT_MOST = 500;
/** @type {readonly import("./i18n.js").Key[]} */
const READY_MADE = ["reception.say_hello", "reception.say_soon", "reception.say_devices"];

/**
 * @param {string} id
 * @param {Actions} actions
 * @returns {import("./dom.js").Item<Waiting, Around>}
 */
export function createEntry(id, actions) {
  /** @type {View<Entry>} */
  const view = new View();
  const element = view.h(
    "li",
    { class: "person", "data-testid": "reception-entry", "data-participant": id },
    view.h(
      "div",
      { class: "person-words" },
      view.h("strong", { dir: "auto" }, ([p]) => p.name),
      view.h("span", { class: "hint" }, ([p, , , s]) =>
        t(p.connected ? "reception.since" : "reception.since_away", {
          time: clock(Math.floor((Date.now() + s.skew - p.since) / 1000) * 1000),
        })),
      view.h(
        "span",
        { "data-testid": "shown-devices", hidden: ([p]) => p.devices === null },
        ([p]) => deviceWords(p.devices),
      ),
      view.h(
        "span",
        { class: "queue", "data-testid": "onward", hidden: ([p]) => p.onward === null },
        ([p]) => (p.onward === null ? "" : t("reception.onward", { name: p.onward.to })),
      ),
    ),
    createWords(view, id, actions),
    createWayOn(view, id, actions),
  );
  return { element, update: (p, around) => view.update([p, ...around]) };
}

/**
 * A room has no name on the server; when it was opened tells it from the others.
 * @param {OpenRoom} room
 */
export function roomWords({ opened_at: from, closes_at: to }) {
  const locale = currentLocale();
  return t("reception.room", { from: timeOfDay(locale, from), to: timeOfDay(locale, to) });
}

/** @param {Waiting["devices"]} devices */
function deviceWords(devices) {
  if (devices === null) return "";
  const camera = { works: t("reception.camera_works"), refused: t("reception.camera_refused"), missing: t("reception.camera_missing") };
  const sound = { works: t("reception.sound_works"), refused: t("reception.sound_refused"), missing: t("reception.sound_missing") };
  return `${camera[devices.camera]} · ${sound[devices.microphone]}`;
}

/**
 * @param {View<Entry>} view
 * @param {string} id
 * @param {Actions} actions
 */
function createWords(view, id, { tell }) {
  const field = `words-${id}`;
  const text = view.h("textarea", { id: field, rows: 2, maxlength: TEXT_MOST, "data-testid": "greet-text" });
  let where = { token: "", room: "", provider: "" };
  view.bind((entry) => entry, ([, room, desk]) => {
    where = { token: desk.token, room: room.room, provider: desk.name };
  });
  const button = view.h(
    "button",
    { type: "submit", class: "primary", "data-testid": "greet-send" },
    () => t("reception.send"),
  );
  const send = async () => {
    const words = text.value.trim();
    if (words === "") text.focus();
    else if (await tell(where.token, where.room, id, words)) text.value = "";
  };
  return view.h(
    "details",
    { class: "tell" },
    view.h(
      "summary",
      { "data-testid": "greet-open", "aria-label": ([p]) => t("reception.write_name", { name: p.name }) },
      () => t("reception.write"),
    ),
    view.h(
      "form",
      {
        class: "tell-form", novalidate: true,
        onsubmit: on((/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          void once(button, send);
        }),
      },
      view.h(
        "div",
        { class: "row ready-made" },
        ...READY_MADE.map((key) => view.h(
          "button",
          {
            type: "button",
            onclick: on(() => {
              text.value = t(key, { name: where.provider });
              text.focus();
            }),
          },
          ([, , desk]) => t(key, { name: desk.name }),
        )),
      ),
      view.h(
        "div",
        { class: "field" },
        view.h("label", { class: "label", for: field }, ([p]) => t("reception.words", { name: p.name })),
        text,
      ),
      button,
      view.h("p", { class: "hint" }, () => t("reception.words_hint")),
    ),
  );
}

/**
 * @param {View<Entry>} view
 * @param {string} id
 * @param {Actions} actions
 */
function createWayOn(view, id, { passOn }) {
  const field = `way-${id}`;
  const chosen = view.h("select", { id: field, "data-testid": "pass-where" });
  /** @type {Entry | null} */
  let latest = null;
  view.bind((entry) => entry, (entry) => {
    latest = entry;
  });
  const places = (/** @type {Entry} */ [, room, , state]) => placesBeside(state, room.room);
  view.bind(
    // Written anew only when a room comes or goes, or the language changes.
    (entry) => JSON.stringify(places(entry).map(({ room, desk }) =>
      [room.room, t("reception.place", { name: desk.name, room: roomWords(room) })])),
    (list) => {
      const before = chosen.value;
      /** @type {[string, string][]} */
      const options = JSON.parse(list);
      chosen.replaceChildren(...options.map(([room, words]) => new Option(words, room)));
      if (options.some(([room]) => room === before)) chosen.value = before;
    },
  );
  const go = (/** @type {boolean} */ back) => {
    if (latest === null) return;
    const [, room, desk] = latest;
    const place = back ? null : places(latest).find((one) => one.room.room === chosen.value);
    if (place !== undefined) void passOn(desk.token, room.room, id, place);
  };
  const asked = (/** @type {Entry} */ [p]) => p.onward !== null;
  return view.h(
    "div",
    { class: "way-on" },
    view.h(
      "details",
      { class: "tell", hidden: (entry) => asked(entry) || places(entry).length === 0 },
      view.h(
        "summary",
        { "data-testid": "pass-open", "aria-label": ([p]) => t("reception.pass_name", { name: p.name }) },
        () => t("reception.pass"),
      ),
      view.h(
        "div",
        { class: "tell-form" },
        view.h(
          "div",
          { class: "field" },
          view.h("label", { class: "label", for: field }, () => t("reception.where")),
          chosen,
        ),
        view.h(
          "button",
          { type: "button", class: "primary", "data-testid": "pass-send", onclick: on(() => go(false)) },
          () => t("reception.ask"),
        ),
        view.h("p", { class: "hint" }, () => t("reception.ask_hint")),
      ),
    ),
    view.h(
      "button",
      {
        type: "button", "data-testid": "pass-back", hidden: (entry) => !asked(entry), onclick: on(() => go(true)),
        "aria-label": ([p]) => t("reception.back_name", { name: p.name }),
      },
      () => t("reception.back"),
    ),
  );
}
