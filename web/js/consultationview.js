// @ts-check
/** The form for a new consultation, and the links that come out of it. */
import { notify } from "./announcer.js";
import { on, View } from "./dom.js";
import { dayAndTime } from "./i18n.js";
import { icon } from "./icons.js";
import { currentLanguage, t } from "./language.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {{startsAt: number | null, minutes: number}} Wish  startsAt in ms since 1970; null is now
 */

/** Bounds of a consultation, minutes. */
export const MINUTES = Object.freeze({ least: 5, most: 480, usual: 30 });

/** @type {Readonly<Record<string, Key>>} */
const FAULTS = Object.freeze({
  unreachable: "provider.unreachable",
  store_unavailable: "provider.unreachable",
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
  const minutes = view.h("input", {
    type: "number",
    id: "minutes",
    "data-testid": "minutes",
    required: true,
    inputmode: "numeric",
    min: MINUTES.least,
    max: MINUTES.most,
    step: 5,
    value: String(MINUTES.usual),
  });

  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const startsAt = later.checked ? new Date(at.value).getTime() : null;
    create({ startsAt, minutes: minutes.valueAsNumber });
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
      view.h(
        "div",
        { class: "field" },
        view.h("label", { class: "label", for: "minutes" }, () => t("provider.minutes")),
        minutes,
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
 * @param {Date} now
 * @returns {string} as an input of type datetime-local wants it, in local time
 */
export function nextHalfHour(now) {
  const at = new Date(now);
  at.setMinutes(now.getMinutes() < 30 ? 30 : 60, 0, 0);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/**
 * @param {() => void} another
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createLinks(another) {
  /** @type {View<ProviderState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card consultation" },
      view.h("h1", { tabindex: "-1" }, () => t("provider.made")),
      view.h("p", {}, (s) =>
        s.made === null
          ? ""
          : t("provider.made_when", {
              when: dayAndTime(currentLanguage(), s.made.startsAt),
            }),
      ),
      linkBox(
        view,
        "client-link",
        "provider.client_link",
        "provider.client_link_do",
        (s) => s.made?.clientLink ?? "",
      ),
      linkBox(
        view,
        "host-link",
        "provider.host_link",
        "provider.host_link_do",
        (s) => s.made?.hostLink ?? "",
      ),
      view.h("p", { class: "hint" }, () => t("provider.keep")),
      view.h(
        "div",
        { class: "row" },
        view.h(
          "a",
          {
            class: "button primary",
            target: "_blank",
            rel: "noopener",
            "data-testid": "open-room",
            href: (s) => s.made?.hostLink,
          },
          () => t("provider.open_room"),
        ),
        view.h(
          "button",
          { type: "button", onclick: on(another), "data-testid": "another-button" },
          () => t("provider.another"),
        ),
      ),
    ),
  );
}

/**
 * @param {View<ProviderState>} view
 * @param {string} testid
 * @param {Key} name
 * @param {Key} advice
 * @param {(s: ProviderState) => string} url
 */
function linkBox(view, testid, name, advice, url) {
  const text = view.h(
    "a",
    {
      "data-testid": testid,
      href: url,
      class: "url",
      translate: "no",
      target: "_blank",
      rel: "noopener",
    },
    url,
  );
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text.href);
      notify(t("provider.copied"));
    } catch {
      // No clipboard without https or permission: selected, it can be copied by hand.
      getSelection()?.selectAllChildren(text);
      notify(t("provider.copy_by_hand"));
    }
  };
  return view.h(
    "div",
    { class: "link-box" },
    view.h("h2", {}, () => t(name)),
    view.h("p", { class: "hint" }, () => t(advice)),
    view.h(
      "div",
      { class: "link-row" },
      text,
      view.h(
        "button",
        {
          type: "button",
          onclick: on(() => void copy()),
          "data-testid": `${testid}-copy`,
          "aria-label": () => t("provider.copy_name", { name: t(name) }),
        },
        icon("copy"),
        () => t("provider.copy"),
      ),
    ),
  );
}
