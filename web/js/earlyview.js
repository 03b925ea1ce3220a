// @ts-check
/** The link is good but the waiting room is still shut: counts down, opens by itself. */
import { View } from "./dom.js";
import { clock, dayAndTime } from "./i18n.js";
import { icon } from "./icons.js";
import { currentLocale, t } from "./language.js";

/** @typedef {import("./visitstate.js").VisitData} VisitData */

/** Further ahead than this a running clock would only make nervous, ms. */
const COUNTDOWN_MOST = 24 * 3600_000;

/** @returns {import("./dom.js").Part<VisitData>} */
export function createEarly() {
  /** @type {View<VisitData>} */
  const view = new View();
  const left = (/** @type {VisitData} */ s) => s.opensAt - Date.now() - s.skew;
  const element = view.h(
    "section",
    { class: "card message", "data-testid": "error-message", "data-code": "token_not_open_yet" },
    icon("clock"),
    view.h("h1", { tabindex: "-1" }, () => t("early.title")),
    view.h("p", {}, (s) => t("early.when", { when: dayAndTime(currentLocale(), s.opensAt) })),
    view.h(
      "p",
      {
        class: "countdown",
        role: "timer",
        "data-testid": "countdown",
        hidden: (s) => left(s) > COUNTDOWN_MOST,
      },
      (s) => clock(left(s)),
    ),
    view.h("p", { class: "hint" }, () => t("early.stay")),
  );
  return view.part(element);
}
