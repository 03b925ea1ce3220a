// @ts-check
/** For the host: who has raised a hand, the first first, and a way to take each down again. */
import { View } from "./dom.js";
import { t } from "./language.js";
import { Settling } from "./settling.js";
import { nameOf } from "./tileview.js";

/**
 * @typedef {import("./callstate.js").Remote} Remote
 * @typedef {import("./hoststate.js").HostState} HostState
 */

/** @param {HostState} s */
const raised = (s) => s.call.filter(({ hand }) => hand > 0).sort((a, b) => a.hand - b.hand);

/**
 * @param {(participant: string) => void} lower
 * @returns {import("./dom.js").Part<HostState>}
 */
export function createHandList(lower) {
  /** @type {View<HostState>} */
  const view = new View();
  const settling = new Settling();
  view.bind((s) => s, (s) => settling.see(raised(s).map(({ id }) => id)));
  const list = view.h("ol", { class: "people", "data-testid": "hand-list", "aria-labelledby": "hands-title" });
  view.each(list, raised, ({ id }) => id, ({ id }) => createRaised(id, lower, settling));
  return view.part(view.h(
    "section",
    { hidden: (s) => raised(s).length === 0, "aria-labelledby": "hands-title" },
    view.h("h2", { id: "hands-title" }, () => t("hand.list")),
    list,
  ));
}

/**
 * @param {string} id
 * @param {(participant: string) => void} lower
 * @param {Settling} settling
 * @returns {import("./dom.js").Item<Remote, HostState>}
 */
function createRaised(id, lower, settling) {
  /** @type {View<readonly [Remote, HostState]>} */
  const view = new View();
  const element = view.h(
    "li",
    { class: "person", tabindex: "-1", "data-participant": id },
    view.h("strong", {}, ([remote, s]) => `${remote.hand}. ${nameOf(remote, s)}`),
    view.h(
      "div",
      { class: "row" },
      view.h(
        "button",
        {
          type: "button",
          "data-testid": "lower-hand",
          "aria-label": ([remote, s]) => t("hand.lower_name", { name: nameOf(remote, s) }),
          ...settling.guard(() => lower(id)),
        },
        () => t("hand.lower"),
      ),
    ),
  );
  return { element, update: (remote, s) => view.update([remote, s]) };
}
