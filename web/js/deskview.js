// @ts-check
/** The host's desk: the call, and beside it the waiting list; on a phone the list slides in. */
import { createCall } from "./callview.js";
import { on, View } from "./dom.js";
import { talking, waitingOf } from "./hoststate.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { createPanel } from "./waitinglist.js";

/**
 * @typedef {import("./hoststate.js").HostState} HostState
 *
 * @typedef {object} DeskOptions
 * @property {import("./devices.js").DeviceSet} devices
 * @property {import("./chatgate.js").ChatGate} chat
 * @property {import("./tileview.js").TileOptions} tile
 * @property {import("./waitinglist.js").PanelOptions["act"]} act
 * @property {(locked: boolean) => void} lock
 * @property {() => void} leave
 * @property {() => Promise<void>} end
 * @property {import("./callview.js").GroupActions} group
 * @property {() => Promise<string>} invite gives a link for a guest, or ""
 * @property {import("./waitinglist.js").PanelOptions["tools"]} tools
 */

/** Where the list lies over the picture. */
const NARROW = "(max-width: 56rem)";

/**
 * @param {DeskOptions} options
 * @returns {import("./dom.js").Part<HostState>}
 */
export function createDesk({ devices, chat, tile, group, act, lock, leave, end, invite, tools }) {
  /** @type {View<HostState>} */
  const view = new View();
  const question = createEndQuestion(end);

  const list = view.h(
    "button",
    {
      type: "button",
      class: "round list-button",
      "data-testid": "list-button",
      "aria-controls": "panel",
      "aria-expanded": "false",
      title: () => t("desk.list_title"),
      onclick: on(() => showPanel(!element.classList.contains("panel-open"))),
    },
    icon("people"),
    view.h(
      "span",
      { class: "badge", "data-testid": "waiting-badge", hidden: (s) => waitingOf(s).length === 0 },
      (s) => String(waitingOf(s).length),
    ),
    view.h("span", { class: "round-label" }, () => t("desk.list")),
  );
  const ending = view.h(
    "button",
    {
      type: "button",
      class: "round leave",
      "data-testid": "end-consultation",
      title: () => t("desk.end_title"),
      onclick: on(() => question.show()),
    },
    icon("end"),
    view.h("span", { class: "round-label" }, () => t("desk.end")),
  );

  const element = view.h("div", { class: "desk", "data-talking": (s) => String(talking(s)) });
  /** @type {View<import("./visitstate.js").VisitData>} */
  const callView = new View();
  const call = createCall(callView, {
    devices,
    chat,
    tile,
    group,
    leave,
    whole: element,
    more: [list, ending],
    alone: (s) => t(s.devices.camera === "on" ? "desk.alone" : "desk.alone_dark"),
  });
  element.append(view.use(call), view.use(createPanel({ act, lock, invite, tools })), call.side.element, view.use(question));

  /** @param {boolean} open */
  function showPanel(open) {
    // Where both lie over the picture there is room for one.
    if (open && matchMedia(NARROW).matches) call.side.close();
    element.classList.toggle("panel-open", open);
    list.setAttribute("aria-expanded", String(open));
  }
  call.side.button.addEventListener("click", () => {
    if (element.classList.contains("chat-open") && matchMedia(NARROW).matches) showPanel(false);
  });
  const onEscape = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && element.classList.contains("panel-open")) {
      showPanel(false);
      list.focus();
    }
  };
  element.addEventListener("keydown", onEscape);
  return view.part(element);
}

/**
 * Ending throws everybody out and cannot be taken back, so it asks once more.
 * @param {() => Promise<void>} end
 * @returns {import("./dom.js").Part<HostState> & {show: () => void}}
 */
function createEndQuestion(end) {
  /** @type {View<HostState>} */
  const view = new View();
  const confirm = view.h(
    "button",
    {
      type: "button",
      class: "danger",
      "data-testid": "end-confirm",
      onclick: on(async () => {
        confirm.disabled = true;
        await end();
        confirm.disabled = false;
        dialog.close();
      }),
    },
    () => t("end.confirm"),
  );
  /** @type {HTMLDialogElement} */
  const dialog = view.h(
    "dialog",
    { class: "dialog", "aria-labelledby": "end-title", "aria-describedby": "end-text" },
    view.h("h2", { id: "end-title" }, () => t("end.title")),
    view.h("p", { id: "end-text" }, () => t("end.text")),
    view.h(
      "div",
      { class: "row end" },
      view.h(
        "button",
        { type: "button", "data-testid": "end-cancel", onclick: on(() => dialog.close()) },
        () => t("action.cancel"),
      ),
      confirm,
    ),
  );
  return {
    ...view.part(dialog, () => dialog.open && dialog.close()),
    show: () => {
      if (!dialog.open) dialog.showModal();
    },
  };
}
