// @ts-check
/** In the host's panel: words to those who wait, and how long it takes; whoever comes later is told too. */
import { notify } from "./announcer.js";
import { on, once, View } from "./dom.js";
import { waitingOf } from "./hoststate.js";
import { t } from "./language.js";
import { retold } from "./told.js";

/**
 * @typedef {import("./hoststate.js").HostState} HostState
 * @typedef {import("./told.js").Told} Told
 * @typedef {{text: string, minutes?: number, participant?: string}} Words
 */

/** Minutes that a host may promise; "" says nothing of time. */
const MINUTES = Object.freeze(["", "5", "10", "15", "20", "30", "45", "60"]);
const TEXT_MOST = 500;

/**
 * @param {(words: Words) => Promise<string>} tell gives "" or the code of a refusal
 * @returns {import("./dom.js").Part<HostState>}
 */
export function createTellBox(tell) {
  /** @type {View<HostState>} */
  const view = new View();
  /** What all who wait have been told last, and are to be told when they come. @type {Told | null} */
  let standing = null;
  /** Who has been told, or was there before. @type {Set<string>} */
  let known = new Set();
  /** @type {HostState | null} */
  let latest = null;

  const whom = view.h("select", { id: "tell-whom", "data-testid": "tell-whom" });
  view.bind(
    // Written anew only when somebody comes or goes, or the language changes.
    (s) => JSON.stringify([t("tell.all"), ...waitingOf(s).map(({ id, name }) => [id, name])]),
    (list) => {
      const chosen = whom.value;
      /** @type {[string, ...[string, string][]]} */
      const [all, ...people] = JSON.parse(list);
      whom.replaceChildren(new Option(all, ""), ...people.map(([id, name]) => new Option(name, id)));
      whom.value = people.some(([id]) => id === chosen) ? chosen : "";
    },
  );
  const minutes = view.h("select", { id: "tell-minutes", "data-testid": "tell-minutes" });
  view.bind(
    () => t("tell.no_time"),
    () => {
      const chosen = minutes.value;
      minutes.replaceChildren(...MINUTES.map((value) => new Option(
        value === "" ? t("tell.no_time") : t("tell.about", { count: Number(value) }), value,
      )));
      minutes.value = chosen;
    },
  );
  /** @type {HTMLTextAreaElement} */
  const text = view.h("textarea", {
    id: "tell-text", rows: 2, maxlength: TEXT_MOST, "data-testid": "tell-text",
  });
  const send = view.h("button", { type: "submit", "data-testid": "tell-send" }, () => t("tell.send"));
  const submit = async () => {
    /** @type {Words} */
    const words = {
      text: text.value.trim(),
      ...(minutes.value === "" ? {} : { minutes: Number(minutes.value) }),
      ...(whom.value === "" ? {} : { participant: whom.value }),
    };
    // Who comes while it is on its way may be told twice, but not go without.
    const [sentAt, there] = [now(), latest === null ? [] : waitingOf(latest)];
    if ((await tell(words)) !== "") {
      notify(t("desk.not_done"));
      return;
    }
    text.value = "";
    notify(t("tell.told"));
    if (words.participant !== undefined) return;
    standing = { ...words, at: sentAt };
    known = new Set(there.map(({ id }) => id));
    if (latest !== null) tellNewcomers(latest);
  };
  const now = () => Date.now() + (latest?.skew ?? 0);

  /** @param {HostState} s */
  function tellNewcomers(s) {
    const waiting = waitingOf(s);
    for (const { id, connected } of waiting) {
      if (!connected || known.has(id)) continue;
      known.add(id);
      const words = standing === null ? null : retold(standing, now());
      if (words !== null) void tell({ ...words, participant: id });
    }
    // Whoever comes back after having left is new to the waiting room again.
    const there = new Set(waiting.map(({ id }) => id));
    for (const id of known) if (!there.has(id)) known.delete(id);
  }

  const element = view.h(
    "details",
    { class: "tell" },
    view.h("summary", { "data-testid": "tell-open" }, () => t("tell.title")),
    view.h(
      "form",
      {
        class: "tell-form", novalidate: true,
        onsubmit: on((/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          void once(send, submit);
        }),
      },
      labelled(view, whom, "tell.whom"),
      labelled(view, minutes, "tell.minutes"),
      labelled(view, text, "tell.text"),
      send,
      view.h("p", { class: "hint" }, () => t("tell.hint")),
    ),
  );
  return {
    element,
    update: (state) => {
      latest = state;
      view.update(state);
      tellNewcomers(state);
    },
  };
}

/**
 * @param {View<HostState>} view
 * @param {HTMLElement} field
 * @param {import("./i18n.js").Key} name
 */
function labelled(view, field, name) {
  return view.h(
    "div",
    { class: "field" },
    view.h("label", { class: "label", for: field.id }, () => t(name)),
    field,
  );
}
