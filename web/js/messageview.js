// @ts-check
/** Pages of words alone: loading, trouble, why one is not let in, and the end. */
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { overWords, problemWords } from "./problems.js";
import { forgetAll } from "./tabmemory.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./problems.js").Remedy} Remedy
 * @typedef {{again: () => void, enter: () => void, reopen: () => void}} Remedies
 */

/**
 * While nothing is known yet: seen only when the answer takes long.
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createLoading() {
  /** @type {View<VisitData>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message late", role: "status" },
      view.h("div", { class: "spinner", "aria-hidden": "true" }),
      view.h("h1", { tabindex: "-1" }, () => t("loading.title")),
    ),
  );
}

/**
 * The server cannot be reached or cannot serve; tries again by itself.
 * @param {() => void} again
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createTrouble(again) {
  /** @type {View<VisitData>} */
  const view = new View();
  const seconds = (/** @type {VisitData} */ s) =>
    Math.max(0, Math.ceil((s.retryAt - Date.now()) / 1000));
  return view.part(
    view.h(
      "section",
      { class: "card message", "data-testid": "error-message", "data-code": "trouble" },
      icon("alert"),
      view.h("h1", { tabindex: "-1" }, () => t("trouble.title")),
      view.h("p", {}, () => t("trouble.text")),
      view.h("p", { class: "hint" }, (s) => t("trouble.next", { count: seconds(s) })),
      view.h("button", { type: "button", class: "primary", onclick: on(again) }, () =>
        t("action.again"),
      ),
    ),
  );
}

/** @type {Readonly<Record<NonNullable<Remedy>, import("./i18n.js").Key>>} */
const LABELS = Object.freeze({
  again: "action.again",
  enter: "action.enter",
  reopen: "action.reopen",
});

/**
 * @param {View<VisitData>} view
 * @param {(s: VisitData) => Remedy} remedy
 * @param {Remedies} remedies
 */
function remedyButton(view, remedy, remedies) {
  /** @type {Remedy} */
  let present = null;
  const button = view.h(
    "button",
    {
      type: "button",
      class: "primary",
      "data-testid": "remedy-button",
      hidden: (s) => remedy(s) === null,
      onclick: on(() => present !== null && remedies[present]()),
    },
    (s) => {
      present = remedy(s);
      return present === null ? "" : t(LABELS[present]);
    },
  );
  return button;
}

/**
 * @param {"join" | "host"} page
 * @param {Remedies} remedies
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createProblem(page, remedies) {
  /** @type {View<VisitData>} */
  const view = new View();
  const words = (/** @type {VisitData} */ s) => problemWords(s.problem ?? "", page);
  return view.part(
    view.h(
      "section",
      { class: "card message", "data-testid": "error-message", "data-code": (s) => s.problem },
      icon("alert"),
      view.h("h1", { tabindex: "-1" }, (s) => t(words(s)[0])),
      view.h("p", {}, (s) => t(words(s)[1])),
      remedyButton(view, (s) => words(s)[2], remedies),
    ),
  );
}

/**
 * After the end. Who was declined never was in a call, so that is a refusal in name as well.
 * @param {"join" | "host"} page
 * @param {Remedies} remedies
 * @param {readonly import("./dom.js").Part<VisitData>[]} [more] below all that
 * @returns {import("./dom.js").Part<VisitData>}
 */
export function createOver(page, remedies, more = []) {
  /** @type {View<VisitData>} */
  const view = new View();
  const over = (/** @type {VisitData} */ s) => s.over ?? "left";
  const words = (/** @type {VisitData} */ s) => overWords(over(s), page);
  return view.part(
    view.h(
      "section",
      {
        class: "card message",
        "data-testid": (s) => (over(s) === "declined" ? "error-message" : "call-ended"),
        "data-code": over,
      },
      icon("check"),
      view.h("h1", { tabindex: "-1" }, (s) => t(words(s)[0])),
      view.h("p", {}, (s) => t(words(s)[1])),
      view.h("p", { class: "hint" }, () => t("over.released")),
      remedyButton(view, (s) => words(s)[2], remedies),
      ...more.map((part) => view.use(part)),
      page === "host" ? null : view.h(
        "button",
        {
          type: "button",
          "data-testid": "forget-button",
          title: () => t("over.forget_why"),
          onclick: on(() => {
            forgetAll();
            // In the place of this entry, so that the way back does not lead to the link.
            location.replace("/");
          }),
        },
        () => t("over.forget"),
      ),
    ),
  );
}
