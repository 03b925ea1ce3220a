// @ts-check
/** In the host's panel: a code for somebody on the telephone. */
import { askCode, makeCode } from "./api.js";
import { notify } from "./announcer.js";
import { spoken } from "./digits.js";
import { on, View } from "./dom.js";
import { timeOfDay } from "./i18n.js";
import { currentLocale, t } from "./language.js";

/**
 * @typedef {import("./hoststate.js").HostState} HostState
 * @typedef {import("./api.js").CodeView} CodeView
 */

/** How often it is looked whether the code has been used, ms. */
const LOOK = 5000;

/**
 * @param {string} token the host's
 * @returns {import("./dom.js").Part<HostState>}
 */
export function createCodeBox(token) {
  /** @type {View<HostState>} */
  const view = new View();
  /** @type {CodeView | null} */
  let shown = null;
  /** @type {HostState | null} */
  let latest = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let gone = false;
  const show = (/** @type {CodeView | null} */ code) => {
    shown = code?.code == null ? null : code;
    clearTimeout(timer);
    if (shown !== null && !shown.used && !gone) timer = setTimeout(() => void look(), LOOK);
    if (latest !== null) view.update(latest);
  };
  const look = async () => {
    const before = shown;
    const code = await askCode(token).catch(() => before);
    // One that was made meanwhile is newer than this answer.
    if (shown === before) show(code);
  };
  /** @type {HTMLButtonElement} */
  const button = view.h(
    "button",
    {
      type: "button",
      "data-testid": "code-make",
      onclick: on(async () => {
        button.disabled = true;
        try {
          show(await makeCode(token));
        } catch {
          notify(t("desk.not_done"));
        }
        button.disabled = false;
      }),
    },
    () => t(shown === null ? "code.make" : "code.another"),
  );
  const element = view.h(
    "div",
    { class: "code-box" },
    view.h(
      "div",
      { role: "status", hidden: () => shown === null },
      view.h("p", { class: "hint" }, () => t("code.host_do", { page: `${location.host}/join` })),
      view.h(
        "p",
        {
          class: "code-digits",
          translate: "no",
          "data-testid": "code-digits",
          "data-used": () => String(shown?.used ?? false),
        },
        () => spoken(shown?.code ?? ""),
      ),
      view.h("p", { class: "hint" }, () => {
        if (shown === null) return "";
        if (shown.used) return t("code.was_used");
        return t("code.valid", { time: timeOfDay(currentLocale(), shown.expires_at ?? 0) });
      }),
    ),
    button,
  );
  // After a reload the code that was read out is still there.
  void look();
  return {
    element,
    update: (state) => {
      latest = state;
      view.update(state);
    },
    remove: () => {
      gone = true;
      clearTimeout(timer);
    },
  };
}
