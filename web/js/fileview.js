// @ts-check
/** The files of a call: what is offered, what is on its way, what has come; and the consent to them. */
import { announce } from "./announcer.js";
import { on, View } from "./dom.js";
import { isProgram, sizeWords, typeOf } from "./filename.js";
import { Incoming } from "./fileincoming.js";
import { isOver } from "./filestate.js";
import { icon } from "./icons.js";
import { currentLocale, t } from "./language.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./chatview.js").ChatSight} ChatSight
 * @typedef {import("./files.js").Transfer} Transfer
 * @typedef {import("./filestate.js").FileState} FileState
 * @typedef {import("./i18n.js").Key} Key
 */

/** @type {Readonly<Record<FileState, Key>>} */
const SENT = Object.freeze({
  offered: "file.sent_offered",
  waiting: "file.sent_waiting",
  preparing: "file.sent_waiting",
  moving: "file.moving",
  checking: "file.sent_checking",
  done: "file.sent_done",
  declined: "file.sent_declined",
  cancelled: "file.cancelled",
  failed: "file.failed",
});

/** @type {Readonly<Record<FileState, Key>>} */
const RECEIVED = Object.freeze({
  offered: "file.received_offered",
  waiting: "file.received_preparing",
  preparing: "file.received_preparing",
  moving: "file.moving",
  checking: "file.received_checking",
  done: "file.received_done",
  declined: "file.received_declined",
  cancelled: "file.cancelled",
  failed: "file.failed",
});

/** What says more than the state. @type {Readonly<Record<string, Key>>} */
const REASONS = Object.freeze({
  withdrawn: "file.withdrawn",
  too_large: "file.too_large",
  too_many: "file.too_many",
  unreadable: "file.unreadable",
  unwritable: "file.unwritable",
  damaged: "file.damaged",
  lost: "file.lost",
});

/**
 * @param {Chat} chat
 * @returns {import("./dom.js").Part<ChatSight>}
 */
export function createFileTray(chat) {
  /** @type {View<ChatSight>} */
  const view = new View();
  /** @type {WeakMap<Transfer, FileState>} */
  const told = new WeakMap();
  view.bind(
    (sight) => sight,
    (sight) => {
      for (const transfer of sight.chat.files) {
        const before = told.get(transfer);
        told.set(transfer, transfer.state);
        if (before === undefined || before === transfer.state || !isOver(transfer.state)) continue;
        announce(`${transfer.name}: ${words(transfer, sight)}`);
      }
    },
  );

  const list = view.h("ul", { class: "files", "aria-label": () => t("file.list") });
  view.each(
    list,
    ({ chat: { files } }) => [...files].reverse(),
    ({ id, person }) => `${person} ${id}`,
    (transfer) => createCard(transfer, chat),
  );
  const given = (/** @type {ChatSight} */ s) => s.chat.consent === "given";
  const withdrawn = (/** @type {ChatSight} */ s) => s.chat.consent === "withdrawn";
  return view.part(
    view.h(
      "section",
      {
        class: "file-tray",
        "aria-label": () => t("file.list"),
        hidden: (s) =>
          s.chat.files.length === 0 && s.chat.consent === "unasked" && s.chat.unwilling.size === 0,
      },
      list,
      view.h(
        "div",
        { class: "file-consent", "data-testid": "file-consent", "data-consent": (s) => s.chat.consent },
        view.h("p", { class: "hint", hidden: (s) => s.chat.unwilling.size === 0 }, (s) =>
          t("file.unwilling", { name: [...s.chat.unwilling].map(s.name).join(", ") }),
        ),
        view.h("p", { class: "hint", hidden: (s) => !given(s) }, () => t("file.consent_given")),
        view.h("p", { class: "hint", hidden: (s) => !withdrawn(s) }, () => t("file.consent_withdrawn")),
        view.h(
          "button",
          {
            type: "button",
            class: "small",
            "data-testid": "file-withdraw",
            // Whoever is offered files without end has not agreed to any.
            hidden: (s) => withdrawn(s) || !(given(s) || s.chat.files.length > 0),
            onclick: on(() => chat.withdraw()),
          },
          () => t("file.withdraw"),
        ),
        view.h(
          "button",
          {
            type: "button",
            class: "small",
            "data-testid": "file-allow",
            hidden: (s) => !withdrawn(s),
            onclick: on(() => chat.allow()),
          },
          () => t("file.allow"),
        ),
      ),
    ),
  );
}

/**
 * @param {Transfer} transfer the same object for the whole of its life
 * @param {Chat} chat
 * @returns {import("./dom.js").Item<Transfer, ChatSight>}
 */
function createCard(transfer, chat) {
  /** @type {View<ChatSight>} */
  const view = new View();
  const { name, kind, size } = transfer;
  const is = (/** @type {FileState[]} */ ...states) => states.includes(transfer.state);
  const over = () => isOver(transfer.state);
  const asked = () => !transfer.mine && is("offered");
  const running = () => is("moving", "checking");
  const button = (
    /** @type {string} */ testid, /** @type {Key} */ key, /** @type {() => boolean} */ shown,
    /** @type {() => void} */ act, style = "small",
  ) => view.h(
    "button",
    {
      type: "button", class: style, "data-testid": () => (shown() ? testid : null),
      hidden: () => !shown(), onclick: on(act),
      "aria-label": () => t("file.act", { act: t(key), file: name }),
    },
    () => t(key),
  );
  const progress = view.h("progress", {
    max: String(Math.max(1, size)),
    "data-testid": () => (running() ? "file-progress" : null),
    hidden: () => !running(),
    "aria-label": () => t("file.progress", { file: name }),
    value: () => transfer.bytes,
  });
  const element = view.h(
    "li",
    { class: "file", "data-testid": "file-item", "data-state": () => transfer.state, "data-reason": () => transfer.reason },
    icon("file"),
    view.h(
      "div",
      { class: "file-words" },
      view.h("bdi", { class: "file-name", dir: "auto", title: name }, name),
      view.h("p", { class: "hint" }, () =>
        [typeOf(name, kind), sizeWords(currentLocale(), size)].filter(Boolean).join(" · "),
      ),
      view.h("p", { class: "file-state" }, (sight) => words(transfer, sight)),
      view.h("p", { class: "file-warning", hidden: () => !(asked() || (over() && transfer.url !== "")) || !isProgram(name) }, () =>
        t("file.program"),
      ),
      view.h("p", { class: "hint", hidden: (s) => !asked() || s.chat.consent === "given" }, () =>
        t("file.consent_ask"),
      ),
      progress,
      view.h(
        "div",
        { class: "row" },
        button("file-accept", "file.accept", asked, () => accept(), "primary small"),
        button("file-decline", "file.decline", asked, () => {
          if (transfer instanceof Incoming) transfer.decline("declined");
        }),
        button("file-cancel", "action.cancel", () => !over() && !asked(), () => transfer.cancel("cancelled")),
        view.h(
          "a",
          {
            class: "button primary small",
            "data-testid": () => (transfer.url === "" ? null : "file-link"),
            download: name,
            href: () => transfer.url || null,
            hidden: () => transfer.url === "",
            "aria-label": () => t("file.act", { act: t("file.save"), file: name }),
          },
          () => t("file.save"),
        ),
        button("file-dismiss", "file.dismiss", over, () => chat.dismiss(transfer)),
      ),
    ),
  );
  const accept = () => {
    if (transfer instanceof Incoming) chat.accept(transfer);
  };
  return { element, update: (_, sight) => view.update(sight) };
}

/**
 * @param {Transfer} transfer
 * @param {ChatSight} sight
 */
function words(transfer, { chat, name }) {
  const { state, reason, mine, person, bytes, size } = transfer;
  const values = {
    name: name(person),
    done: sizeWords(currentLocale(), bytes),
    size: sizeWords(currentLocale(), size),
  };
  const why = isOver(state) ? REASONS[reason] : undefined;
  if (why !== undefined) return t(why, values);
  if (state === "moving" && !chat.ready.has(person)) return t("file.interrupted", values);
  if (state === "done" && !mine && transfer.url === "") return t("file.received_saved");
  return t((mine ? SENT : RECEIVED)[state], values);
}
