// @ts-check
/** The form for a new consultation. */
import { on, View } from "./dom.js";
import { t } from "./language.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./i18n.js").Key} Key
 *
 * @typedef {object} Wish
 * @property {number | null} startsAt ms since 1970; null is now
 * @property {number} minutes
 * @property {number} opensBefore minutes
 * @property {number} links
 * @property {string} note stays in this browser
 *
 * @typedef {{least: number, most: number, usual: number}} Bounds
 */

/** Bounds as the server has them. @type {Readonly<Bounds>} */
export const MINUTES = Object.freeze({ least: 5, most: 480, usual: 30 });
/** @type {Readonly<Bounds>} */
const OPENS_BEFORE = Object.freeze({ least: 0, most: 60, usual: 15 });
/** @type {Readonly<Bounds>} */
const LINKS = Object.freeze({ least: 1, most: 8, usual: 1 });
const NOTE_MOST = 80;

/** @type {Readonly<Record<string, Key>>} */
const FAULTS = Object.freeze({
  unreachable: "provider.unreachable",
  store_unavailable: "provider.unreachable",
  list_full: "provider.list_full",
  slow_down: "provider.slow_down",
  bad_request: "provider.bad_request",
});

/**
 * @param {(wish: Wish) => void} create
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createForm(create) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const now = view.h("input", {
    type: "radio",
    name: "when",
    id: "when-now",
    checked: true,
    "data-testid": "starts-now",
  });
  const later = view.h("input", { type: "radio", name: "when", id: "when-later" });
  const choose = () => {
    later.checked = true;
  };
  const at = view.h("input", {
    type: "datetime-local",
    id: "starts-at",
    "data-testid": "starts-at",
    "aria-label": () => t("provider.starts_at"),
    value: nextHalfHour(new Date()),
    oninput: on(choose),
    onfocus: on(choose),
  });
  const minutes = createNumber(view, "minutes", MINUTES, 5);
  const opensBefore = createNumber(view, "opens-before", OPENS_BEFORE, 5);
  const links = createNumber(view, "links", LINKS, 1);
  const note = view.h("input", {
    type: "text",
    id: "note",
    "data-testid": "note",
    maxlength: NOTE_MOST,
    autocomplete: "off",
    "aria-describedby": "note-hint",
  });

  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    create({
      startsAt: later.checked ? new Date(at.value).getTime() : null,
      minutes: minutes.valueAsNumber,
      opensBefore: opensBefore.valueAsNumber,
      links: links.valueAsNumber,
      note: note.value.trim(),
    });
  };
  return view.part(
    view.h(
      "form",
      {
        class: "card consultation",
        "data-testid": "new-consultation",
        novalidate: true,
        onsubmit: on(submit),
      },
      view.h("h1", { tabindex: "-1" }, () => t("provider.title")),
      view.h(
        "fieldset",
        { class: "field" },
        view.h("legend", { class: "label" }, () => t("provider.when")),
        view.h(
          "label",
          { class: "check", for: "when-now" },
          now,
          view.h("span", {}, () => t("provider.now")),
        ),
        view.h(
          "div",
          { class: "check" },
          later,
          view.h(
            "div",
            { class: "grow" },
            view.h("label", { for: "when-later" }, () => t("provider.later")),
            at,
          ),
        ),
      ),
      createField(view, minutes, "provider.minutes"),
      createField(view, note, "provider.note", "provider.note_do"),
      view.h(
        "details",
        { class: "more" },
        view.h("summary", {}, () => t("provider.more")),
        createField(view, opensBefore, "provider.opens_before"),
        createField(view, links, "provider.links", "provider.links_do"),
      ),
      view.h(
        "p",
        {
          class: "fault",
          role: "alert",
          "data-testid": (s) => (s.fault === "" ? null : "error-message"),
        },
        (s) => (s.fault === "" ? "" : t(FAULTS[s.fault] ?? "provider.failed")),
      ),
      view.h(
        "button",
        {
          type: "submit",
          class: "primary wide",
          "data-testid": "create-button",
          disabled: (s) => s.phase === "busy",
        },
        () => t("provider.create"),
      ),
      view.h("p", { class: "hint" }, () => t("provider.hint")),
    ),
  );
}

/**
 * @param {View<ProviderState>} view
 * @param {string} id
 * @param {Bounds} bounds
 * @param {number} step
 */
function createNumber(view, id, { least, most, usual }, step) {
  return view.h("input", {
    type: "number",
    class: "number",
    id,
    "data-testid": id,
    required: true,
    inputmode: "numeric",
    min: least,
    max: most,
    step,
    value: String(usual),
    "aria-describedby": `${id}-hint`,
  });
}

/**
 * @param {View<ProviderState>} view
 * @param {HTMLInputElement} input
 * @param {Key} name
 * @param {Key} [hint]
 */
function createField(view, input, name, hint) {
  return view.h(
    "div",
    { class: "field" },
    view.h("label", { class: "label", for: input.id }, () => t(name)),
    input,
    view.h("p", { class: "hint", id: `${input.id}-hint`, hidden: hint === undefined }, () =>
      hint === undefined ? "" : t(hint),
    ),
  );
}

/**
 * @param {Date} now
 * @returns {string} as an input of type datetime-local wants it, in local time
 */
export function nextHalfHour(now) {
  const at = new Date(now);
  at.setMinutes(now.getMinutes() < 30 ? 30 : 60, 0, 0);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
