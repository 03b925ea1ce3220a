// @ts-check
/** The waiting room as the client sees it. */
import { notify } from "./announcer.js";
import { on, View } from "./dom.js";
import { createDeviceNotice } from "./devicewords.js";
import { timeOfDay } from "./i18n.js";
import { currentLocale, t } from "./language.js";
import { askToNotify, canAskToNotify } from "./notification.js";
import { createPreview } from "./previewview.js";
import { estimateOf } from "./told.js";

/**
 * @typedef {import("./joinstate.js").JoinState} JoinState
 * @typedef {import("./devices.js").DeviceSet} DeviceSet
 */

/**
 * What to tell the one who waits.
 * @param {JoinState} state
 */
export function waitingWords(state) {
  if (state.room === null) return t("waiting.entering");
  const { place } = state.room;
  if (place === null) return t("waiting.placeless");
  return place <= 1 ? t("waiting.next") : t("waiting.place", { count: place - 1, place });
}

/**
 * How long it takes by the host's own word, or that it takes longer.
 * @param {JoinState} state
 */
function estimateWords({ told, skew, appointment, room }) {
  const estimate = room === null ? null : estimateOf(told, Date.now() + skew);
  if (estimate === null) return "";
  if (estimate === "longer") return t("waiting.longer");
  const time = timeOfDay(currentLocale(), Date.now() + estimate.minutes * 60_000);
  return t("waiting.estimate", { provider: appointment?.provider ?? "", count: estimate.minutes, time });
}

/**
 * Whether the server is out of reach: what is shown is what was known last.
 * @param {JoinState} state
 */
function cutOff({ channel, stalled }) {
  return stalled || channel === "reconnecting";
}

/**
 * What a reception says is shown by a module that most people never need.
 * @param {import("./visit.js").Visit} visit
 * @returns {import("./dom.js").Part<JoinState>}
 */
function createNote(visit) {
  const element = document.createElement("div");
  /** @type {import("./dom.js").Part<JoinState> | null} */
  let note = null;
  let wanted = false;
  /** @type {JoinState} */
  let latest;
  return {
    element,
    update: (state) => {
      latest = state;
      note?.update(state);
      if (wanted || (state.greeted === "" && !state.room?.onward)) return;
      wanted = true;
      import("./receptionnote.js").then(async ({ createReceptionNote }) => {
        note = await createReceptionNote(visit);
        element.append(note.element);
        note.update(latest);
      }).catch(() => {
        // Tried again with the next news.
        wanted = false;
      });
    },
  };
}

/**
 * @param {{devices: DeviceSet, check: import("./checkgate.js").CheckGate, leave: () => void,
 *   visit: import("./visit.js").Visit}} options
 * @returns {import("./dom.js").Part<JoinState>}
 */
export function createWaiting({ devices, check, leave, visit }) {
  /** @type {View<JoinState>} */
  const view = new View();
  const present = (/** @type {JoinState} */ s) => s.room?.host_present ?? false;
  const provider = (/** @type {JoinState} */ s) => s.appointment?.provider ?? "";
  const element = view.h(
    "section",
    { class: "waiting" },
    view.h(
      "div",
      { class: "card" },
      view.h("h1", { tabindex: "-1" }, () => t("waiting.title")),
      view.h(
        "p",
        {
          class: "waiting-status",
          "data-testid": "waiting-status",
          "data-place": (s) => s.room?.place ?? "",
          "data-host-present": (s) => String(present(s)),
        },
        waitingWords,
      ),
      view.h(
        "p",
        {
          class: "presence",
          "data-present": (s) => String(present(s)),
          hidden: (s) => s.room === null,
        },
        view.h("span", { class: "dot", "aria-hidden": "true" }),
        (s) =>
          t(present(s) ? "waiting.host_present" : "waiting.host_absent", { provider: provider(s) }),
      ),
      view.h(
        "p",
        { class: "notice-line", "data-testid": "connection-banner", hidden: (s) => !cutOff(s) },
        () => t("waiting.reconnecting"),
      ),
      view.h("p", { class: "notice-line", hidden: (s) => !s.movedBack }, (s) =>
        t("waiting.moved_back", { provider: provider(s) }),
      ),
      view.h(
        "p",
        {
          class: "notice-line",
          role: "alert",
          hidden: (s) => !s.unsupported,
          "data-testid": (s) => (s.unsupported ? "error-message" : null),
          "data-code": (s) => (s.unsupported ? "group_unsupported" : null),
        },
        (s) => (s.unsupported ? t("waiting.unsupported") : ""),
      ),
      view.h("p", { class: "notice-line", hidden: (s) => s.closing === 0 }, (s) =>
        t("waiting.closing", { time: timeOfDay(currentLocale(), s.closing) }),
      ),
      view.h(
        "p",
        { "data-testid": "waiting-estimate", hidden: (s) => estimateWords(s) === "" },
        estimateWords,
      ),
      view.h(
        "div",
        {
          class: "told",
          "data-testid": "waiting-told",
          hidden: (s) => (s.told?.text ?? "") === "",
        },
        view.h("h2", {}, (s) => t("waiting.told", { provider: provider(s) })),
        view.h("p", { dir: "auto" }, (s) => s.told?.text ?? ""),
      ),
      view.use(createNote(visit)),
      view.h("p", { class: "hint" }, () => t("waiting.advice")),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "notify-button",
          hidden: () => !canAskToNotify(),
          onclick: on((/** @type {MouseEvent} */ event) => {
            const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
            void askToNotify().then((allowed) => {
              button.hidden = true;
              if (allowed) notify(t("waiting.notify_on"));
            });
          }),
        },
        () => t("waiting.notify"),
      ),
      view.h("button", { type: "button", "data-testid": "leave-waiting", onclick: on(leave) }, () =>
        t("waiting.leave"),
      ),
    ),
    view.h(
      "div",
      { class: "waiting-self" },
      view.use(createPreview(devices)),
      view.h("p", { class: "hint" }, () => t("waiting.unseen")),
      view.use(createDeviceNotice(() => void devices.open())),
      view.use(check.part()),
    ),
  );
  return view.part(element);
}
