// @ts-check
/**
 * What goes out with a link: e-mail, text message, calendar files, in the language of whoever gets
 * them. Pure; nothing of it is sent from here.
 */
import { calendarFile } from "./calendar.js";
import { dayAndTime, localeForOthers, timeOfDay } from "./i18n.js";

/**
 * @typedef {import("./ownlist.js").Planned} Planned
 * @typedef {import("./i18n.js").Language} Language
 * @typedef {import("./i18n.js").Translate} Translate
 *
 * @typedef {object} Letter
 * @property {Translate} t in the reader's language
 * @property {Language} language
 * @property {string} provider name
 * @property {Planned} planned
 * @property {string} link
 * @property {string} [zone] IANA name; the device's own when left out
 */

/** Minutes ahead at which a calendar reminds: who is asked in should have come by then. */
const REMIND = Object.freeze({ client: 15, host: 10 });

/** @param {Letter} letter */
export function mailLink(letter) {
  const { t, provider } = letter;
  const subject = encodeURIComponent(t("invite.summary", { provider }));
  // RFC 6068 section 5: line breaks are %0D%0A.
  const body = encodeURIComponent(mailText(letter).replaceAll("\n", "\r\n"));
  return `mailto:?subject=${subject}&body=${body}`;
}

/** @param {Letter} letter */
export function mailText(letter) {
  return letter.t("invite.mail_body", valuesOf(letter));
}

/** @param {Letter} letter */
export function smsText(letter) {
  return letter.t("invite.sms_body", valuesOf(letter));
}

/** @param {Letter} letter */
export function smsLink(letter) {
  // RFC 5724; `?&` is understood by those phones, too, that want `&` in place of `?`.
  return `sms:?&body=${encodeURIComponent(smsText(letter))}`;
}

/** @param {Letter} letter @returns {import("./i18n.js").Values} */
function valuesOf({ language, provider, planned, link, zone }) {
  const locale = localeForOthers(language);
  return {
    provider,
    link,
    when: dayAndTime(locale, planned.startsAt, zone),
    opens: timeOfDay(locale, planned.opensAt, zone),
  };
}

/**
 * @param {Letter} letter
 * @param {string} host of the server, for an id that is nobody else's
 * @param {number} now ms since 1970
 */
export function clientCalendar(letter, host, now) {
  const { t, provider, planned, link } = letter;
  return calendarFile({
    uid: `client-${planned.room}@${host}`,
    now,
    startsAt: planned.startsAt,
    closesAt: planned.closesAt,
    summary: t("invite.summary", { provider }),
    description: mailText(letter),
    url: link,
    remindBefore: REMIND.client,
  });
}

/**
 * @param {Translate} t
 * @param {Planned} planned
 * @param {string} host
 * @param {number} now ms since 1970
 */
export function hostCalendar(t, planned, host, now) {
  const { note, hostLink } = planned;
  const summary = note === "" ? t("invite.summary_host") : t("invite.summary_host_note", { note });
  return calendarFile({
    uid: `host-${planned.room}@${host}`,
    now,
    startsAt: planned.startsAt,
    closesAt: planned.closesAt,
    summary,
    description: `${summary}\n${hostLink}`,
    url: hostLink,
    remindBefore: REMIND.host,
  });
}
