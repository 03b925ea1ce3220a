// @ts-check
/** A link to follow or to copy, and the copying of any text. */
import { notify } from "./announcer.js";
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

/** @typedef {import("./i18n.js").Key} Key */

/**
 * @param {string} text
 * @param {Element} shown where the text is to be seen, to be copied by hand
 */
export async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    notify(t("provider.copied"));
  } catch {
    // No clipboard without https or permission: selected, it can be copied by hand.
    if (shown instanceof HTMLTextAreaElement) shown.select();
    else getSelection()?.selectAllChildren(shown);
    notify(t("provider.copy_by_hand"));
  }
}

/**
 * @template S
 * @param {View<S>} view
 * @param {object} box
 * @param {string} box.testid
 * @param {(s: S) => string} box.name
 * @param {Key} box.advice
 * @param {(s: S) => string} box.url
 * @param {readonly Node[]} [more] below the link
 */
export function createLinkBox(view, { testid, name, advice, url }, more = []) {
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
  return view.h(
    "div",
    { class: "link-box" },
    view.h("h2", {}, name),
    view.h("p", { class: "hint" }, () => t(advice)),
    view.h(
      "div",
      { class: "link-row" },
      text,
      view.h(
        "button",
        {
          type: "button",
          onclick: on(() => void copyText(text.href, text)),
          "data-testid": `${testid}-copy`,
          "aria-label": (s) => t("provider.copy_name", { name: name(s) }),
        },
        icon("copy"),
        () => t("provider.copy"),
      ),
    ),
    ...more,
  );
}
