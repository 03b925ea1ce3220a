// @ts-check
/** Before and after a sign-in: why nobody is signed in, and what to do. */
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {readonly [title: Key, advice: Key, again: boolean]} Words
 */

/** @type {Readonly<Record<string, Words>>} */
const WORDS = Object.freeze({
  link_missing: ["provider.sign_in", "provider.sign_in_do", false],
  already_used: ["provider.used", "provider.used_do", false],
  token_revoked: ["provider.revoked", "provider.sign_in_do", false],
  signed_out: ["provider.out_done", "provider.out_done_do", false],
  not_signed_in: ["provider.timed_out", "provider.timed_out_do", false],
  passkey_unused: ["provider.sign_in", "passkey.unused_do", false],
  passkey_refused: ["passkey.refused", "passkey.refused_do", false],
  openid_unused: ["provider.sign_in", "openid.unused_do", false],
  openid_refused: ["openid.refused", "openid.refused_do", false],
  openid_unknown: ["openid.unknown", "openid.unknown_do", false],
  openid_unavailable: ["openid.unavailable", "openid.unavailable_do", false],
  unreachable: ["trouble.title", "provider.unreachable", true],
  store_unavailable: ["trouble.title", "provider.unreachable", true],
  going_away: ["trouble.title", "provider.unreachable", true],
  internal: ["trouble.title", "provider.unreachable", true],
  slow_down: ["trouble.title", "provider.slow_down", true],
});

/** @type {Words} */
const BAD_LINK = ["provider.bad_link", "provider.sign_in_do", false];

/** @param {string} code */
export function signInWords(code) {
  return (Object.hasOwn(WORDS, code) ? WORDS[code] : undefined) ?? BAD_LINK;
}

/** Where there is another way than a link, not the link's advice is wanted. */
const CHOICE = new Set(["link_missing", "signed_out", "not_signed_in"]);

/**
 * Whether there is a way to sign in on the page itself.
 * @param {ProviderState} state
 */
function hasWays({ ways }) {
  return ways.passkey || ways.openid !== null;
}

/** @returns {import("./dom.js").Part<ProviderState>} */
export function createSigningIn() {
  /** @type {View<ProviderState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message late", role: "status" },
      view.h("div", { class: "spinner", "aria-hidden": "true" }),
      view.h("h1", { tabindex: "-1" }, () => t("provider.signing_in")),
    ),
  );
}

/**
 * @param {{again: () => void, passkey: () => void, openid: () => void}} does
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createSignedOut({ again, passkey, openid }) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const words = (/** @type {ProviderState} */ s) => signInWords(s.problem);
  return view.part(
    view.h(
      "section",
      { class: "card message", "data-testid": "error-message", "data-code": (s) => s.problem },
      icon("lock"),
      view.h("h1", { tabindex: "-1" }, (s) => t(words(s)[0])),
      view.h("p", {}, (s) =>
        hasWays(s) && CHOICE.has(s.problem)
          ? t("way.do")
          : t(words(s)[1], { page: `${location.origin}/provider` }),
      ),
      view.h(
        "div",
        { class: "row ways", hidden: (s) => !hasWays(s) },
        view.h(
          "button",
          {
            type: "button",
            class: "primary",
            "data-testid": "passkey-sign-in",
            hidden: (s) => !s.ways.passkey,
            onclick: on(passkey),
          },
          () => t("way.passkey"),
        ),
        view.h(
          "button",
          {
            type: "button",
            class: (s) => (s.ways.passkey ? "" : "primary"),
            "data-testid": "openid-sign-in",
            hidden: (s) => s.ways.openid === null,
            onclick: on(openid),
          },
          (s) => t("way.openid", { name: s.ways.openid ?? "" }),
        ),
      ),
      view.h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-testid": "remedy-button",
          hidden: (s) => !words(s)[2],
          onclick: on(again),
        },
        () => t("action.again"),
      ),
    ),
  );
}
