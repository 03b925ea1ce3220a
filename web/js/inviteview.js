// @ts-check
/** A guest's link, made at the host's wish: for an interpreter, a relative, a colleague. */
import { notify } from "./announcer.js";
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

/**
 * @template S
 * @param {View<S>} view
 * @param {() => Promise<string>} invite gives the link, or "" where there is none
 * @returns {HTMLElement}
 */
export function createInvitation(view, invite) {
  const link = view.h("input", {
    type: "text",
    readonly: true,
    class: "url",
    translate: "no",
    "data-testid": "guest-link",
    "aria-label": () => t("invite.link"),
    onfocus: on(() => link.select()),
  });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      notify(t("invite.copied"));
    } catch {
      // No clipboard without permission: selected, it can be copied by hand.
      link.focus();
      link.select();
      notify(t("invite.by_hand"));
    }
  };
  const box = view.h(
    "div",
    { class: "invitation", hidden: true },
    view.h("p", { class: "hint" }, () => t("invite.hint")),
    link,
    view.h(
      "button",
      { type: "button", "data-testid": "guest-link-copy", onclick: on(() => void copy()) },
      icon("copy"),
      () => t("invite.copy"),
    ),
  );
  const ask = async () => {
    button.disabled = true;
    const url = await invite();
    button.disabled = false;
    if (url === "") {
      notify(t("invite.failed"));
      return;
    }
    link.value = url;
    box.hidden = false;
    link.focus();
  };
  /** @type {HTMLButtonElement} */
  const button = view.h(
    "button",
    {
      type: "button",
      class: "invite",
      "data-testid": "invite-guest",
      title: () => t("invite.title"),
      onclick: on(() => void ask()),
    },
    icon("plus"),
    () => t("invite.button"),
  );
  return view.h("div", { class: "invite-part" }, button, box);
}
