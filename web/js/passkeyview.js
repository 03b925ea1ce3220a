// @ts-check
/** The passkeys of who is signed in: a list, and a button for one more. */
import { on, View } from "./dom.js";
import { currentLocale, t } from "./language.js";
import { Settling } from "./settling.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./passkeys.js").Passkey} Passkey
 * @typedef {Passkey & {number: number}} Numbered
 *
 * @typedef {object} PasskeyOptions
 * @property {() => void} addPasskey
 * @property {(id: string) => void} removePasskey
 */

/**
 * @param {PasskeyOptions} options
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createPasskeys({ addPasskey, removePasskey }) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const settling = new Settling();
  view.bind((s) => s.passkeys, (passkeys) => settling.see(passkeys.map(({ id }) => id)));
  const list = view.h("ul", { class: "people", "data-testid": "passkeys", "aria-labelledby": "passkey-title" });
  view.each(
    list,
    (s) => s.passkeys.map((passkey, at) => ({ ...passkey, number: at + 1 })),
    ({ id }) => id,
    (passkey) => createEntry(passkey, removePasskey, settling),
  );
  return view.part(
    view.h(
      "div",
      { class: "passkeys", hidden: (s) => !s.ways.passkey },
      view.h("h3", { id: "passkey-title" }, () => t("passkey.title")),
      view.h("p", { class: "hint" }, () => t("passkey.do")),
      list,
      view.h(
        "div",
        { class: "row" },
        view.h(
          "button",
          { type: "button", "data-testid": "passkey-add", onclick: on(addPasskey) },
          () => t("passkey.add"),
        ),
      ),
    ),
  );
}

/**
 * @param {Numbered} passkey
 * @param {(id: string) => void} remove
 * @param {Settling} settling
 * @returns {import("./dom.js").Item<Numbered, ProviderState>}
 */
function createEntry(passkey, remove, settling) {
  let { number } = passkey;
  /** @type {View<ProviderState>} */
  const view = new View();
  // The day is the server's, in UTC: at its noon it is the same day nearly everywhere.
  const when = () =>
    new Intl.DateTimeFormat(currentLocale(), { dateStyle: "long" }).format(Date.parse(`${passkey.added}T12:00Z`));
  const name = () => t("passkey.entry", { number, when: when() });
  const element = view.h(
    "li",
    { class: "person", tabindex: "-1", "data-testid": "passkey" },
    view.h("span", { class: "person-words" }, name),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "passkey-remove",
          "aria-label": () => t("passkey.remove_name", { name: name() }),
          ...settling.guard(() => remove(passkey.id)),
        },
        () => t("passkey.remove"),
      ),
    ),
  );
  return {
    element,
    update: (item, state) => {
      ({ number } = item);
      view.update(state);
    },
  };
}
