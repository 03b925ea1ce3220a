// @ts-check
/** Before joining: who one meets and when, the devices, one's name, the consent. */
import { on, View } from "./dom.js";
import { createDeviceNotice } from "./devicewords.js";
import { createDevicePicker } from "./devicepicker.js";
import { span } from "./i18n.js";
import { currentLocale, t } from "./language.js";
import { createPreview } from "./previewview.js";
import { readinessOf } from "./devicestate.js";

/**
 * @typedef {import("./joinstate.js").JoinState} JoinState
 * @typedef {import("./devices.js").DeviceSet} DeviceSet
 * @typedef {{devices: DeviceSet, check: import("./checkgate.js").CheckGate, name: string, join: (name: string) => void}} SetupOptions
 */

/** Longest name, characters after trimming (protocol section 3). */
export const NAME_MOST = 60;
/** Control, unassigned and surrogate characters, and those that turn the direction of writing. */
const UNSHOWABLE = /[\p{Cc}\p{Cn}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/**
 * The name as the server wants it, or null where it cannot be one.
 * @param {string} typed
 * @returns {string | null}
 */
export function cleanName(typed) {
  const name = typed.normalize("NFC").replace(/\s+/gu, " ").trim();
  const unfit = name === "" || [...name].length > NAME_MOST || UNSHOWABLE.test(name);
  return unfit ? null : name;
}

/**
 * @param {SetupOptions} options
 * @returns {import("./dom.js").Part<JoinState>}
 */
export function createSetup({ devices, check, name, join }) {
  /** @type {View<JoinState>} */
  const view = new View();
  /** At the page's foot, where the operator has a notice. @type {HTMLAnchorElement | null} */
  const operators = document.querySelector('.legal a[rel~="privacy-policy"]');
  let tried = false;
  /** @type {(s: JoinState) => void} */
  const refresh = (s) => view.update(s);

  /** @type {HTMLInputElement} */
  const field = view.h("input", {
    id: "name",
    type: "text",
    autocomplete: "name",
    maxlength: NAME_MOST,
    required: true,
    "data-testid": "name-input",
    value: name,
    enterkeyhint: "go",
    spellcheck: "false",
    "aria-invalid": (s) => String(nameFault(s)),
    "aria-describedby": "name-fault",
  });
  /** @type {HTMLInputElement} */
  const consent = view.h("input", {
    id: "consent",
    type: "checkbox",
    required: true,
    "data-testid": "consent-checkbox",
    "aria-invalid": () => String(consentFault()),
    "aria-describedby": "consent-fault",
  });
  const nameFault = (/** @type {JoinState} */ s) =>
    (tried && cleanName(field.value) === null) || (s.badName && !edited);
  const consentFault = () => tried && !consent.checked;
  let edited = false;
  /** @type {JoinState | null} */
  let latest = null;
  view.bind(
    (s) => s,
    (s) => {
      if (latest?.badName !== s.badName) edited = false;
      latest = s;
    },
  );
  const redo = () => {
    edited = true;
    if (latest !== null) refresh(latest);
  };
  field.addEventListener("input", redo);
  consent.addEventListener("change", redo);

  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    tried = true;
    const clean = cleanName(field.value);
    redo();
    if (clean === null) field.focus();
    else if (!consent.checked) consent.focus();
    else join(clean);
  };

  const form = view.h(
    "form",
    { class: "setup-form", novalidate: true, onsubmit: on(submit) },
    view.h(
      "div",
      { class: "field" },
      view.h("label", { class: "label", for: "name" }, () => t("setup.name")),
      field,
      view.h("p", { id: "name-fault", class: "fault", role: "alert" }, (s) =>
        nameFault(s) ? t("setup.name_fault") : "",
      ),
    ),
    view.h(
      "div",
      { class: "consent" },
      view.h("p", { id: "privacy" }, () => t("setup.notice")),
      view.h("p", { hidden: (s) => !s.measured }, () => t("setup.measured")),
      view.h(
        "label",
        { class: "check", for: "consent" },
        consent,
        view.h("span", {}, () => t("setup.consent")),
      ),
      view.h("p", { id: "consent-fault", class: "fault", role: "alert" }, () =>
        consentFault() ? t("setup.consent_fault") : "",
      ),
      // After the box: what is agreed to is the text above it, which the receipt names.
      operators === null ? null : view.h(
        "p",
        {},
        view.h(
          "a",
          { href: operators.href, target: "_blank", rel: operators.rel, "data-testid": "privacy-notice" },
          () => t("setup.privacy"),
        ),
      ),
    ),
    view.h("button", { type: "submit", class: "primary wide", "data-testid": "join-button" }, (s) =>
      t(JOIN_WORDS[readinessOf(s.devices)]),
    ),
    view.h("p", { class: "hint" }, () => t("setup.next")),
  );

  const element = view.h(
    "section",
    { class: "setup" },
    view.h(
      "header",
      { class: "intro" },
      view.h("h1", { tabindex: "-1" }, (s) =>
        t("setup.title", { provider: s.appointment?.provider ?? "" }),
      ),
      view.h("p", { class: "when" }, (s) =>
        s.appointment === null
          ? ""
          : t("setup.when", {
              when: span(currentLocale(), s.appointment.opensAt, s.appointment.closesAt),
            }),
      ),
    ),
    view.h(
      "div",
      { class: "setup-devices" },
      view.use(createPreview(devices)),
      view.use(createDeviceNotice(() => void devices.open())),
      view.use(createDevicePicker(devices)),
      view.use(check.part()),
    ),
    form,
  );
  return view.part(element);
}

/** @type {Readonly<Record<import("./devicestate.js").Readiness, import("./i18n.js").Key>>} */
const JOIN_WORDS = Object.freeze({
  ready: "setup.join",
  opening: "setup.join",
  sound_only: "setup.join_sound",
  picture_only: "setup.join_picture",
  nothing: "setup.join_nothing",
});
