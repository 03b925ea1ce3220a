// @ts-check
/** The provider's desk at rest: who is signed in, the form, and the list of what is planned. */
import { createForm } from "./consultationview.js";
import { on, View } from "./dom.js";
import { dayAndTime, timeOfDay } from "./i18n.js";
import { currentLocale, t } from "./language.js";
import { createLinkBox } from "./linkbox.js";
import { createPasskeys } from "./passkeyview.js";
import { createReceptionLink } from "./receptionlink.js";
import { Settling } from "./settling.js";

/**
 * @typedef {import("./providerstate.js").ProviderState} ProviderState
 * @typedef {import("./ownlist.js").Planned} Planned
 *
 * @typedef {object} HomeOptions
 * @property {(wish: import("./consultationview.js").Wish) => void} create
 * @property {(planned: Planned) => void} show its links
 * @property {(planned: Planned) => void} forget
 * @property {(kept: boolean) => void} keepList
 * @property {() => void} makeNextLink
 * @property {(everywhere: boolean, passkeys: boolean) => void} signOut
 * @property {() => void} addPasskey
 * @property {(id: string) => void} removePasskey
 */

/**
 * @param {HomeOptions} options
 * @returns {import("./dom.js").Part<ProviderState>}
 */
export function createDeskHome(options) {
  /** @type {View<ProviderState>} */
  const view = new View();
  return view.part(
    view.h(
      "div",
      { class: "office" },
      view.use(createForm(options.create)),
      view.h(
        "div",
        { class: "office-side" },
        view.use(createOwn(options)),
        view.use(createReceptionLink()),
        view.use(createAccount(options)),
      ),
    ),
  );
}

/**
 * @param {HomeOptions} options
 * @returns {import("./dom.js").Part<ProviderState>}
 */
function createOwn({ show, forget, keepList }) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const settling = new Settling();
  view.bind((s) => s.list, (planned) => settling.see(planned.map(({ room }) => room)));
  const list = view.h("ul", { class: "people", "data-testid": "own-list", "aria-labelledby": "own-title" });
  view.each(
    list,
    (s) => s.list,
    ({ room }) => room,
    (planned) => createEntry(planned, { show, forget }, settling),
  );
  /** @type {HTMLInputElement} */
  const kept = view.h("input", {
    id: "keep-list",
    type: "checkbox",
    "data-testid": "keep-list",
    "aria-describedby": "keep-list-hint",
    checked: (s) => s.kept,
    onchange: on(() => keepList(kept.checked)),
  });
  return view.part(
    view.h(
      "section",
      { class: "card own" },
      view.h("h2", { id: "own-title" }, () => t("own.title")),
      list,
      view.h("p", { class: "hint", hidden: (s) => s.list.length > 0 }, () => t("own.empty")),
      view.h(
        "label",
        { class: "check", for: "keep-list" },
        kept,
        view.h("span", {}, () => t("own.keep")),
      ),
      view.h("p", { class: "hint", id: "keep-list-hint" }, () => t("own.keep_do")),
    ),
  );
}

/** @param {Planned} planned */
function nameOf({ note, startsAt }) {
  return note === "" ? t("own.unnamed") + ", " + dayAndTime(currentLocale(), startsAt) : note;
}

/**
 * Who waits in a room, in words.
 * @param {Planned} planned
 * @param {ProviderState} state
 */
export function queueWords({ room, opensAt, closesAt }, state) {
  const queue = state.queues[room];
  if (queue === undefined) {
    const ahead = opensAt > Date.now() && closesAt > Date.now();
    return ahead ? t("own.opens", { when: timeOfDay(currentLocale(), opensAt) }) : "";
  }
  if (queue === null) return t("own.unknown");
  const lines = [];
  if (queue.inside > 0) lines.push(t("own.admitted_one", { count: queue.inside }));
  if (queue.waiting.length > 0) {
    lines.push(t("own.waiting", { names: queue.waiting.map(({ name }) => name).join(", ") }));
  }
  return lines.length > 0 ? lines.join(" · ") : t("own.nobody");
}

/**
 * @param {Planned} planned
 * @param {Pick<HomeOptions, "show" | "forget">} options
 * @param {Settling} settling
 * @returns {import("./dom.js").Item<Planned, ProviderState>}
 */
function createEntry(planned, { show, forget }, settling) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const name = () => nameOf(planned);
  const element = view.h(
    "li",
    { class: "person", tabindex: "-1", "data-testid": "own-entry" },
    view.h(
      "div",
      { class: "person-words" },
      view.h("strong", {}, name),
      view.h("span", { class: "hint", hidden: planned.note === "" }, () =>
        dayAndTime(currentLocale(), planned.startsAt),
      ),
      view.h(
        "span",
        {
          class: "queue",
          "data-testid": "queue",
          "data-waiting": (s) => s.queues[planned.room]?.waiting.length ?? 0,
        },
        (s) => queueWords(planned, s),
      ),
    ),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "a",
        {
          class: "button primary",
          href: planned.hostLink,
          target: "_blank",
          rel: "noopener",
          "data-testid": "own-open",
          "aria-label": () => t("own.open_name", { name: name() }),
        },
        () => t("provider.open_room"),
      ),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "own-links",
          "aria-label": () => t("own.links_name", { name: name() }),
          onclick: on(() => show(planned)),
        },
        () => t("own.links"),
      ),
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "own-forget",
          "aria-label": () => t("own.forget_name", { name: name() }),
          ...settling.guard(() => forget(planned)),
        },
        () => t("own.forget"),
      ),
    ),
  );
  return { element, update: (_, state) => view.update(state) };
}

/**
 * @param {HomeOptions} options
 * @returns {import("./dom.js").Part<ProviderState>}
 */
function createAccount({ makeNextLink, signOut, ...passkeys }) {
  /** @type {View<ProviderState>} */
  const view = new View();
  const link = createLinkBox(view, {
    testid: "next-link",
    name: () => t("provider.another_link"),
    advice: "provider.another_link_do",
    url: (s) => s.nextLink,
  });
  const unpaired = view.h("input", { id: "out-passkeys", type: "checkbox", "data-testid": "out-passkeys" });
  return view.part(
    view.h(
      "section",
      { class: "card own", "aria-labelledby": "account-title" },
      view.h("h2", { id: "account-title", "data-testid": "signed-in" }, (s) =>
        t("provider.signed_in", { name: s.provider?.name ?? "" }),
      ),
      view.h("div", { hidden: (s) => s.nextLink === "" }, link),
      view.h(
        "div",
        { class: "row" },
        view.h(
          "button",
          { type: "button", "data-testid": "sign-out", onclick: on(() => signOut(false, false)) },
          () => t("provider.out"),
        ),
        view.h(
          "button",
          { type: "button", "data-testid": "next-link-button", onclick: on(makeNextLink) },
          () => t("provider.another_link_make"),
        ),
      ),
      view.use(createPasskeys(passkeys)),
      view.h(
        "details",
        { class: "more" },
        view.h("summary", {}, () => t("provider.out_all")),
        view.h("p", { class: "hint" }, () => t("provider.out_all_do")),
        view.h(
          "label",
          { class: "check", for: "out-passkeys", hidden: (s) => s.passkeys.length === 0 },
          unpaired,
          view.h("span", {}, () => t("passkey.out_all")),
        ),
        view.h(
          "button",
          {
            type: "button",
            "data-testid": "sign-out-everywhere",
            onclick: on(() => signOut(true, unpaired.checked)),
          },
          () => t("provider.out_all"),
        ),
      ),
    ),
  );
}
