// @ts-check
/**
 * The chat's place beside a call and its button in the bar. What is in it comes when it is loaded. On a
 * wide screen it is open from the start, on a phone it slides up over the picture.
 */
import { announce, notify } from "./announcer.js";
import { on } from "./dom.js";
import { icon } from "./icons.js";
import { callAttention } from "./knock.js";
import { t } from "./language.js";
import { keep, recall } from "./tabmemory.js";
import { nameOf } from "./tileview.js";

/**
 * @typedef {import("./dom.js").View<VisitData>} VisitView
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./chatgate.js").ChatGate} ChatGate
 */

/** From this width on it is open until it is closed. */
const WIDE = "(min-width: 64rem)";
/** Of a line that is shown for a moment, in code points. */
const GLIMPSE = 80;

/**
 * @typedef {{button: HTMLElement, element: HTMLElement, close: () => void, remove: () => void}} ChatSide
 *
 * @param {VisitView} view
 * @param {ChatGate} gate
 * @param {() => HTMLElement} frame gets the class `chat-open` while it is open
 * @returns {ChatSide}
 */
export function createChatSide(view, gate, frame) {
  let open = recall("chat") === null ? matchMedia(WIDE).matches : recall("chat") === "open";
  let unread = 0;
  /** @type {VisitData | null} */
  let latest = null;
  /** @type {import("./chatview.js").ChatPanel | null} */
  let panel = null;

  const badge = view.h("span", { class: "badge", "data-testid": "chat-unread", hidden: true });
  const button = view.h(
    "button",
    {
      type: "button",
      class: "round",
      "data-testid": "chat-button",
      "aria-controls": "chat",
      title: () => t("chat.button_title"),
      onclick: on(() => toggle(!open)),
    },
    icon("chat"),
    badge,
    view.h("span", { class: "round-label" }, () => t("chat.button")),
  );
  const element = view.h("aside", {
    class: "chat",
    id: "chat",
    tabindex: "-1",
    "data-testid": "chat-panel",
    "aria-label": () => t("chat.name"),
    onkeydown: on((/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      toggle(false);
      event.stopPropagation();
    }),
  });
  view.bind(
    (s) => s,
    (s) => {
      latest = s;
      show();
      panel?.update(s);
    },
  );

  /** With nobody to write to and nothing written there is nothing to see. */
  const idle = () => {
    const state = gate.chat?.state;
    return latest?.call.length === 0 && !state?.log.length && !state?.files.length && !state?.photos.length;
  };
  const show = () => {
    const shown = open && !idle();
    element.hidden = !shown;
    frame().classList.toggle("chat-open", shown);
    button.disabled = idle();
    button.setAttribute("aria-expanded", String(shown));
    badge.hidden = unread === 0;
    badge.textContent = String(unread);
    // A name that tells it, too; the badge alone would be read as a number without a meaning.
    if (unread === 0) button.removeAttribute("aria-label");
    else button.setAttribute("aria-label", t("chat.button_unread", { count: unread }));
  };
  const toggle = (/** @type {boolean} */ wanted, byPerson = true) => {
    if (open === wanted) return;
    const inside = element.contains(document.activeElement);
    open = wanted;
    if (open) unread = 0;
    if (byPerson) keep("chat", open ? "open" : "closed");
    show();
    if (open) panel?.opened(byPerson);
    else if (inside) button.focus();
  };
  /** @param {string} words */
  const tell = (words) => {
    // Without the words themselves: a title is seen by whoever sees the screen's edge.
    callAttention(t("chat.news"));
    if (open) return;
    unread += 1;
    show();
    notify(words);
  };
  const nameFor = (/** @type {string} */ id) => {
    const remote = latest?.call.find((other) => other.id === id);
    return remote && latest ? nameOf(remote, latest) : "";
  };

  /** @type {(() => void)[]} */
  const leave = [];
  leave.push(gate.whenLoaded((chat, { createChatPanel }) => {
    panel = createChatPanel(chat, { close: () => toggle(false) });
    element.append(panel.element);
    if (latest !== null) panel.update(latest);
    leave.push(chat.on("change", show));
    let refused = false;
    leave.push(chat.on("said", (author, text) => {
      tell(t("chat.said", { name: nameFor(author), text: glimpse(text) }));
    }), chat.on("offered", ({ person, name }) => {
      const words = t("file.offers", { name: nameFor(person), file: name });
      if (matchMedia(WIDE).matches) toggle(true, false);
      if (open) announce(words);
      tell(words);
    }), chat.on("photographed", ({ person }) => {
      // The question is to be answered with one's own picture before one's eyes.
      toggle(true, false);
      announce(t("photo.question", { name: nameFor(person) }), true);
      callAttention(t("chat.news"));
    }), chat.on("refused", (person) => {
      if (!refused) notify(t("chat.refused", { name: nameFor(person) }));
      refused = true;
    }));
  }), gate.on("ended", () => {
    panel?.remove();
    panel?.element.remove();
    panel = null;
    unread = 0;
    show();
  }));
  // Over the picture it stands on the bar, however high that is.
  const stand = new ResizeObserver(([entry]) => {
    const height = entry?.borderBoxSize[0]?.blockSize ?? 0;
    if (height > 0) element.style.setProperty("--bar", `${height}px`);
  });
  queueMicrotask(() => {
    if (button.parentElement !== null) stand.observe(button.parentElement);
  });
  return {
    button,
    element,
    close: () => toggle(false),
    remove: () => {
      for (const off of leave) off();
      stand.disconnect();
      panel?.remove();
    },
  };
}

/** @param {string} text */
function glimpse(text) {
  const points = [...text.replace(/\s+/g, " ")];
  return points.length > GLIMPSE ? `${points.slice(0, GLIMPSE).join("")}…` : points.join("");
}
