// @ts-check
/** The host's side panel: who waits, who is in the call, the lock. */
import { on, View } from "./dom.js";
import { createHandList } from "./handlist.js";
import { waitingOf } from "./hoststate.js";
import { clock, span, timeOfDay } from "./i18n.js";
import { icon } from "./icons.js";
import { createInvitation } from "./inviteview.js";
import { currentLocale, t } from "./language.js";
import { Settling } from "./settling.js";
import { nameOf } from "./tileview.js";

/**
 * @typedef {import("./hoststate.js").HostState} HostState
 * @typedef {import("./protocol.js").ParticipantView} ParticipantView
 * @typedef {import("./callstate.js").Remote} Remote
 * @typedef {"admit" | "decline" | "back_to_waiting" | "remove" | "ask_mute" | "lower_hand"} Verb
 *
 * @typedef {object} PanelOptions
 * @property {(verb: Verb, participant: string) => void} act
 * @property {(locked: boolean) => void} lock
 * @property {() => Promise<string>} invite gives a link for a guest, or ""
 * @property {() => readonly import("./dom.js").Part<HostState>[]} tools what else a host has at hand
 * @property {() => number} [now]
 */

/**
 * @param {PanelOptions} options
 * @returns {import("./dom.js").Part<HostState>}
 */
export function createPanel({ act, lock, invite, tools, now }) {
  /** @type {View<HostState>} */
  const view = new View();
  const queue = new Settling(undefined, now);
  // Below the queue: it moves with everyone who comes.
  const company = new Settling(undefined, now);
  view.bind((s) => s, (s) => {
    const waits = waitingOf(s).map(({ id }) => id);
    queue.see(waits);
    company.see([...waits, "", ...s.call.map(({ id }) => id)]);
  });
  const locked = (/** @type {HostState} */ s) => s.room?.locked ?? false;
  const waiting = view.h("ul", {
    class: "people",
    "data-testid": "waiting-list",
    "aria-labelledby": "waiting-title",
  });
  view.each(
    waiting,
    waitingOf,
    (p) => p.id,
    (p) => createEntry(p, act, queue),
  );
  const inside = view.h("ul", {
    class: "people",
    "data-testid": "call-list",
    "aria-labelledby": "inside-title",
  });
  view.each(
    inside,
    (s) => s.call,
    (remote) => remote.id,
    (remote) => createInsider(remote.id, act, company),
  );

  return view.part(
    view.h(
      "aside",
      { class: "panel", id: "panel", tabindex: "-1", "aria-label": () => t("desk.panel") },
      view.h("p", { class: "hint" }, (s) =>
        s.appointment === null
          ? ""
          : t("desk.planned", {
              when: span(currentLocale(), s.appointment.opensAt, s.appointment.closesAt),
            }),
      ),
      view.h("h2", { id: "waiting-title" }, (s) =>
        t("desk.waiting", { count: waitingOf(s).length }),
      ),
      waiting,
      view.h(
        "p",
        { class: "hint", "data-testid": "nobody-waiting", hidden: (s) => waitingOf(s).length > 0 },
        (s) => nobodyWords(s),
      ),
      view.use(createHandList((participant) => act("lower_hand", participant))),
      view.h("h2", { id: "inside-title", hidden: (s) => s.call.length === 0 }, () =>
        t("desk.inside"),
      ),
      inside,
      createInvitation(view, invite),
      view.h(
        "button",
        {
          type: "button",
          class: "lock",
          "data-testid": "lock-room",
          "aria-pressed": (s) => String(locked(s)),
          title: () => t("desk.lock_title"),
          onclick: on((/** @type {MouseEvent} */ event) =>
            lock(
              /** @type {HTMLElement} */ (event.currentTarget).getAttribute("aria-pressed") !==
                "true",
            ),
          ),
        },
        icon("lock"),
        () => t("desk.lock"),
      ),
      view.h("p", { class: "hint", hidden: (s) => !locked(s) }, () => t("desk.locked")),
      ...tools().map((tool) => view.use(tool)),
    ),
  );
}

/** @param {HostState} s */
function nobodyWords(s) {
  const opensAt = s.appointment?.opensAt ?? 0;
  if (opensAt > Date.now() + s.skew) {
    return t("desk.not_open", { time: timeOfDay(currentLocale(), opensAt) });
  }
  return t("desk.nobody");
}

/**
 * @param {ParticipantView} participant
 * @param {PanelOptions["act"]} act
 * @param {Settling} queue
 * @returns {import("./dom.js").Item<ParticipantView, HostState>}
 */
function createEntry({ id }, act, queue) {
  /** @type {View<readonly [ParticipantView, HostState]>} */
  const view = new View();
  const element = view.h(
    "li",
    {
      class: "person",
      tabindex: "-1",
      "data-testid": "waiting-entry",
      "data-participant": id,
      "data-connected": ([p]) => String(p.connected),
    },
    view.h(
      "div",
      { class: "person-words" },
      view.h("strong", {}, ([p]) => p.name),
      view.h("span", { class: "hint" }, ([p, s]) =>
        t(p.connected ? "desk.since" : "desk.since_away", {
          time: clock(Math.floor((Date.now() + s.skew - p.since) / 1000) * 1000),
        }),
      ),
      view.h("span", { "data-testid": "passed-on", hidden: ([p]) => !p.onward }, ([p]) =>
        t("desk.onward", { name: p.onward ?? "" }),
      ),
    ),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-testid": "admit-button",
          "aria-label": ([p]) => t("desk.admit_name", { name: p.name }),
          ...queue.guard(() => act("admit", id)),
        },
        () => t("desk.admit"),
      ),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "decline-button",
          "aria-label": ([p]) => t("desk.decline_name", { name: p.name }),
          ...queue.guard(() => act("decline", id)),
        },
        () => t("desk.decline"),
      ),
    ),
  );
  return { element, update: (p, s) => view.update([p, s]) };
}

/**
 * @param {string} id
 * @param {PanelOptions["act"]} act
 * @param {Settling} company
 * @returns {import("./dom.js").Item<Remote, HostState>}
 */
function createInsider(id, act, company) {
  /** @type {View<readonly [Remote, HostState]>} */
  const view = new View();
  const element = view.h(
    "li",
    { class: "person", tabindex: "-1", "data-participant": id },
    view.h(
      "div",
      { class: "person-words" },
      view.h("strong", {}, ([remote, s]) => nameOf(remote, s)),
      view.h("span", { class: "hint", hidden: ([remote]) => remote.present }, () => t("tile.away")),
    ),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "ask-mute",
          "aria-label": ([remote, s]) => t("desk.ask_mute_name", { name: nameOf(remote, s) }),
          hidden: ([remote, s]) => s.room?.media.mode !== "sfu" || !remote.audio,
          onclick: on(() => act("ask_mute", id)),
        },
        icon("microphoneOff"),
        () => t("desk.ask_mute"),
      ),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "back-button",
          "aria-label": ([remote, s]) => t("desk.back_name", { name: nameOf(remote, s) }),
          ...company.guard(() => act("back_to_waiting", id)),
        },
        () => t("desk.back"),
      ),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "remove-button",
          "aria-label": ([remote, s]) => t("desk.remove_name", { name: nameOf(remote, s) }),
          ...company.guard(() => act("remove", id)),
        },
        () => t("desk.remove"),
      ),
    ),
  );
  return { element, update: (remote, s) => view.update([remote, s]) };
}
