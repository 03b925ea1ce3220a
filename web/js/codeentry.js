// @ts-check
/**
 * /join without a link: for somebody who was read a code over the telephone. What the code gives is kept
 * like the link of a tab, so that a reload finds it again.
 */
import { ApiError, redeemCode } from "./api.js";
import { cleanCode } from "./digits.js";
import { on, View } from "./dom.js";
import { clock } from "./i18n.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { problemWords } from "./problems.js";
import { keep } from "./tabmemory.js";

/** @typedef {import("./visitstate.js").VisitData} VisitData */

/** @type {Readonly<Record<string, import("./i18n.js").Key>>} */
const FAULTS = Object.freeze({
  bad_code: "code.bad",
  code_unknown: "code.unknown",
  already_used: "code.used",
  room_ended: "code.ended",
  token_closed: "code.ended",
  slow_down: "code.wait",
});

/** @returns {import("./dom.js").Part<VisitData>} */
export function createCodeEntry() {
  /** @type {View<VisitData>} */
  const view = new View();
  const [title, advice] = problemWords("link_missing", "join");
  let fault = "";
  let retryAt = 0;
  /** @type {VisitData | null} */
  let latest = null;
  const show = () => {
    if (latest !== null) view.update(latest);
  };
  /** @type {HTMLInputElement} */
  const field = view.h("input", {
    id: "code",
    type: "text",
    class: "code-input",
    inputmode: "numeric",
    autocomplete: "one-time-code",
    maxlength: 24,
    required: true,
    spellcheck: "false",
    "data-testid": "code-input",
    "aria-invalid": () => String(fault !== ""),
    "aria-describedby": "code-fault",
  });
  /** @type {HTMLButtonElement} */
  const button = view.h(
    "button",
    { type: "submit", class: "primary wide", "data-testid": "code-button" },
    () => t("code.go"),
  );

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const code = cleanCode(field.value);
    fault = code === null ? "bad_code" : "";
    show();
    if (code === null) {
      field.focus();
      return;
    }
    button.disabled = true;
    try {
      keep("link.join", await redeemCode(code));
      location.reload();
    } catch (error) {
      fault = error instanceof ApiError ? error.code : "internal";
      retryAt = error instanceof ApiError ? Date.now() + error.retryAfter * 1000 : 0;
      button.disabled = false;
      show();
      field.focus();
    }
  };

  const element = view.h(
    "section",
    { class: "card message", "data-testid": "error-message", "data-code": "link_missing" },
    icon("door"),
    view.h("h1", { tabindex: "-1" }, () => t(title)),
    view.h("p", {}, () => t(advice)),
    view.h(
      "form",
      { class: "code-form", novalidate: true, onsubmit: on((event) => void submit(event)) },
      view.h("h2", {}, () => t("code.enter")),
      view.h("p", { class: "hint" }, () => t("code.enter_do")),
      view.h(
        "div",
        { class: "field" },
        view.h("label", { class: "label", for: "code" }, () => t("code.field")),
        field,
        view.h(
          "p",
          { id: "code-fault", class: "fault", role: "alert", "data-testid": "code-fault", "data-code": () => fault },
          () =>
            fault === ""
              ? ""
              : t(FAULTS[fault] ?? "code.failed", { time: clock(Math.max(0, retryAt - Date.now())) }),
        ),
      ),
      button,
    ),
  );
  return {
    element,
    update: (state) => {
      latest = state;
      view.update(state);
    },
  };
}
