// @ts-check
/** At the desk: a link for the reception, which sees who waits and can enter nothing. */
import { notify } from "./announcer.js";
import { request } from "./api.js";
import { on, View } from "./dom.js";
import { t } from "./language.js";
import { createLinkBox } from "./linkbox.js";

/** @typedef {import("./providerstate.js").ProviderState} ProviderState */

/** For how long a link may be made, hours. @type {readonly (readonly [number, import("./i18n.js").Key])[]} */
const LENGTHS = [[12, "provider.reception_day"], [168, "provider.reception_week"], [744, "provider.reception_month"]];

/** @returns {import("./dom.js").Part<ProviderState>} */
export function createReceptionLink() {
  /** @type {View<ProviderState>} */
  const view = new View();
  /** @type {ProviderState | null} */
  let latest = null;
  let link = "";
  const length = view.h("select", { id: "reception-length", "data-testid": "reception-length" });
  view.bind(() => LENGTHS.map(([, key]) => t(key)).join("\n"), (words) => {
    const before = length.value;
    length.replaceChildren(...words.split("\n").map((word, at) => new Option(word, String(LENGTHS[at]?.[0]))));
    if (before !== "") length.value = before;
  });
  const make = async () => {
    try {
      const answer = await request("reception-links", null, { hours: Number(length.value) });
      link = `${location.origin}/reception#${String(Reflect.get(Object(answer), "token"))}`;
      if (latest !== null) view.update(latest);
    } catch {
      notify(t("provider.failed"));
    }
  };
  const box = createLinkBox(view, {
    testid: "reception-link", name: () => t("provider.reception"), advice: "provider.reception_do", url: () => link,
  });
  const element = view.h(
    "details",
    { class: "card own more" },
    view.h("summary", { "data-testid": "reception-open" }, () => t("provider.reception")),
    view.h(
      "div",
      { class: "tell-form" },
      view.h("p", { class: "hint" }, () => t("provider.reception_sees")),
      view.h(
        "div",
        { class: "field" },
        view.h("label", { class: "label", for: "reception-length" }, () => t("provider.reception_length")),
        length,
      ),
      view.h("button", { type: "button", "data-testid": "reception-make", onclick: on(() => void make()) }, () =>
        t("provider.reception_make")),
      view.h("div", { hidden: () => link === "" }, box),
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
