// @ts-check
/** The links of one consultation and everything with which to pass them on. */
import { on, View } from "./dom.js";
import { download } from "./download.js";
import { dayAndTime, LANGUAGES } from "./i18n.js";
import { clientCalendar, hostCalendar, mailLink, smsLink, smsText } from "./invitation.js";
import { currentLanguage, currentLocale, t, translatorFor } from "./language.js";
import { copyText, createLinkBox } from "./linkbox.js";
import { createQr } from "./qrview.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./ownlist.js").Planned} Planned
 * @typedef {import("./i18n.js").Language} Language
 * @typedef {import("./invitation.js").Letter} Letter
 */

const CALENDAR = "text/calendar;charset=utf-8";

/**
 * @param {() => void} another
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createInvitation(another) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const clients = view.h("div", { class: "client-links" });
  view.each(
    clients,
    (s) => (s.made?.clientLinks ?? []).map((link, index) => ({ link, index })),
    ({ index }) => String(index),
    ({ index }) => createClientLink(index),
  );
  /** @type {Planned | null} */
  let shown = null;
  view.bind(
    (s) => s.made,
    (made) => {
      shown = made;
    },
  );
  const calendar = () => {
    if (shown === null) return;
    download("consultation.ics", hostCalendar(t, shown, location.hostname, Date.now()), CALENDAR);
  };
  return view.part(
    view.h(
      "section",
      { class: "card consultation" },
      view.h("h1", { tabindex: "-1" }, () => t("provider.made")),
      view.h("p", {}, (s) =>
        s.made === null
          ? ""
          : t("provider.made_when", { when: dayAndTime(currentLocale(), s.made.startsAt) }),
      ),
      clients,
      createLinkBox(
        view,
        {
          testid: "host-link",
          name: () => t("provider.host_link"),
          advice: "provider.host_link_do",
          url: (s) => s.made?.hostLink ?? "",
        },
        [
          view.h(
            "div",
            { class: "row" },
            view.h(
              "button",
              {
                type: "button",
                "data-testid": "ics-download-host",
                "aria-label": () => t("invite.calendar_host"),
                onclick: on(calendar),
              },
              () => t("invite.calendar"),
            ),
          ),
        ],
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
 * One client's link with its QR code, mail, message and calendar file.
 * @param {number} index
 * @returns {import("./dom.js").Item<{link: string, index: number}, ProviderState>}
 */
function createClientLink(index) {
  /** @typedef {{link: string, state: ProviderState}} Shown */
  /** @type {View<Shown>} */
  const view = new View();
  const group = (/** @type {Shown} */ { state }) => (state.made?.clientLinks.length ?? 1) > 1;
  const code = view.h("div", { class: "qr-box", "data-testid": "qr-code" });
  view.bind(
    ({ link }) => `${currentLanguage()} ${link}`,
    (both) => {
      const link = both.slice(both.indexOf(" ") + 1);
      code.replaceChildren(createQr(link, t("invite.qr")) ?? t("invite.qr_none"));
    },
  );
  const letter = createLetter(index);
  const element = createLinkBox(
    view,
    {
      testid: "client-link",
      name: (shown) =>
        group(shown) ? t("invite.client_number", { number: index + 1 }) : t("provider.client_link"),
      advice: "provider.client_link_do",
      url: ({ link }) => link,
    },
    [
      view.use(letter),
      view.h(
        "details",
        { class: "qr-details", open: index === 0 },
        view.h("summary", {}, () => t("invite.qr")),
        view.h("p", { class: "hint" }, () => t("invite.qr_do")),
        code,
      ),
    ],
  );
  return { element, update: ({ link }, state) => view.update({ link, state }) };
}

/**
 * Texts in the language of the one who gets them.
 * @param {number} index
 * @returns {import("./dom.js").Part<{link: string, state: ProviderState}>}
 */
function createLetter(index) {
  /** @type {View<{link: string, state: ProviderState}>} */
  const view = new View();
  const select = view.h("select", {
    id: `client-language-${index}`,
    "data-testid": "client-language",
    onchange: on(() => void write()),
  });
  for (const [value, name] of Object.entries(LANGUAGES)) {
    const option = new Option(name, value, false, value === currentLanguage());
    option.lang = value;
    select.append(option);
  }
  const mail = view.h("a", { class: "button", "data-testid": "mail-link" }, () => t("invite.mail"));
  const sms = view.h("a", { class: "button", "data-testid": "sms-link" }, () => t("invite.sms"));
  const text = view.h("textarea", {
    id: `sms-text-${index}`,
    readonly: true,
    rows: 4,
    translate: "no",
    "data-testid": "sms-text",
  });
  /** @type {Letter | null} */
  let letter = null;
  /** @type {{link: string, state: ProviderState} | null} */
  let shown = null;

  async function write() {
    if (shown === null || shown.state.made === null) return;
    const language = /** @type {Language} */ (select.value);
    letter = {
      t: await translatorFor(language),
      language,
      provider: shown.state.provider?.name ?? "",
      planned: shown.state.made,
      link: shown.link,
    };
    mail.href = mailLink(letter);
    sms.href = smsLink(letter);
    text.value = smsText(letter);
    text.lang = language;
  }
  const calendar = () => {
    if (letter === null) return;
    download("consultation.ics", clientCalendar(letter, location.hostname, Date.now()), CALENDAR);
  };

  const element = view.h(
    "div",
    { class: "letter" },
    view.h(
      "div",
      { class: "field" },
      view.h("label", { class: "label", for: select.id }, () => t("invite.language")),
      select,
    ),
    view.h(
      "div",
      { class: "row" },
      mail,
      sms,
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "ics-download",
          "aria-label": () => t("invite.calendar_client"),
          onclick: on(calendar),
        },
        () => t("invite.calendar"),
      ),
    ),
    view.h(
      "div",
      { class: "field" },
      view.h("label", { class: "label", for: text.id }, () => t("invite.sms_text")),
      text,
      view.h(
        "div",
        { class: "row" },
        view.h(
          "button",
          {
            type: "button",
            "data-testid": "sms-copy",
            "aria-label": () => t("provider.copy_name", { name: t("invite.sms_text") }),
            onclick: on(() => void copyText(text.value, text)),
          },
          () => t("provider.copy"),
        ),
      ),
    ),
  );
  return {
    element,
    update: (now) => {
      const other = shown?.link !== now.link || shown.state.made !== now.state.made;
      shown = now;
      view.update(now);
      if (other) void write();
    },
  };
}
