// @ts-check
/** The chat panel: lines, what is being typed, files, and the field to write in. Loaded with the chat. */
import { notify } from "./announcer.js";
import { MOST_TEXT } from "./chattext.js";
import { on, View } from "./dom.js";
import { createFileTray } from "./fileview.js";
import { createPhotoTray } from "./photoview.js";
import { timeOfDay } from "./i18n.js";
import { icon } from "./icons.js";
import { currentLocale, onLanguage, t } from "./language.js";
import { nameOf } from "./tileview.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./chat.js").ChatState} ChatState
 * @typedef {import("./chatlog.js").ChatEntry} ChatEntry
 * @typedef {import("./visitstate.js").VisitData} VisitData
 *
 * @typedef {object} ChatSight what the panel shows
 * @property {ChatState} chat
 * @property {(participant: string) => string} name of somebody in the call, or who was
 * @property {number} company how many others are in the call
 * @property {readonly {id: string, name: string, video: boolean}[]} people those
 * @property {boolean} camera whether our own is on
 * @property {string} facing where it looks
 *
 * @typedef {object} ChatPanel
 * @property {HTMLElement} element
 * @property {(state: VisitData) => void} update
 * @property {(byPerson: boolean) => void} opened it is to be seen now
 * @property {() => void} remove
 */

/** A line that has not arrived for as long is marked, ms. */
const PATIENCE = 2_000;

/**
 * @param {Chat} chat
 * @param {{close: () => void}} options
 * @returns {ChatPanel}
 */
export function createChatPanel(chat, { close }) {
  /** @type {View<ChatSight>} */
  const view = new View();
  /** Of those who have gone, too: their lines stay. @type {Map<string, string>} */
  const names = new Map();
  let known = "";
  let company = 0;
  /** @type {ChatSight["people"]} */
  let people = [];
  let camera = false;
  let facing = "";
  const name = (/** @type {string} */ id) => names.get(id) ?? "";
  const refresh = () => {
    view.update({ chat: chat.state, name, company, people, camera, facing });
    // Who reads further up is left there. Not at once: that would have all of the page laid out in
    // the middle of whatever changes.
    requestAnimationFrame(() => {
      if (atEnd) toEnd(scroll);
    });
  };

  const lines = view.h("ol", { class: "chat-lines" });
  view.each(
    lines,
    ({ chat: { log } }) => log,
    ({ id, author }) => `${author} ${id}`,
    createLine,
  );
  const drafts = view.h("ul", { class: "chat-drafts", "aria-label": () => t("chat.drafts") });
  view.each(
    drafts,
    ({ chat: { drafts: all } }) => [...all],
    ([id]) => id,
    createDraft,
  );
  const scroll = view.h(
    "div",
    {
      class: "chat-scroll",
      tabindex: "0",
      role: "group",
      "data-testid": "chat-log",
      "aria-label": () => t("chat.log"),
    },
    view.h(
      "p",
      { class: "hint", hidden: ({ chat: { log } }) => log.length > 0 },
      () => t("chat.empty"),
    ),
    view.h("div", { role: "log", "aria-label": () => t("chat.log") }, lines),
    drafts,
  );
  const photos = createPhotoTray(chat);
  const composer = createComposer(view, chat, () => toEnd(scroll), photos.button);
  const element = view.h(
    "div",
    { class: "chat-inner" },
    view.h(
      "div",
      { class: "chat-head" },
      view.h("h2", {}, () => t("chat.name")),
      view.h(
        "button",
        {
          type: "button",
          class: "chat-close",
          "data-testid": "chat-close",
          title: () => t("chat.close"),
          onclick: on(close),
        },
        icon("close"),
        view.h("span", { class: "unseen" }, () => t("chat.close")),
      ),
    ),
    scroll,
    view.use(photos),
    view.use(createFileTray(chat)),
    composer.element,
  );

  let atEnd = true;
  scroll.addEventListener("scroll", () => {
    atEnd = isAtEnd(scroll);
  }, { passive: true });
  const drop = dropTarget(element, (files) => composer.offer(files));
  const leave = [chat.on("change", refresh), chat.on("cleared", composer.empty), onLanguage(refresh)];
  const timer = setInterval(() => {
    if (chat.state.log.some(({ missing }) => missing.size > 0)) refresh();
  }, 1000);
  refresh();
  return {
    element,
    update: (state) => {
      for (const remote of state.call) names.set(remote.id, nameOf(remote, state));
      people = state.call.map((remote) => ({ id: remote.id, name: nameOf(remote, state), video: remote.video }));
      camera = state.devices.camera === "on";
      ({ facing } = state.devices);
      const now = JSON.stringify([people, camera, facing, [...names]]);
      if (now === known) return;
      known = now;
      company = people.length;
      refresh();
    },
    opened: (byPerson) => {
      toEnd(scroll);
      // On a phone the keyboard would cover what there is to read.
      if (byPerson) (matchMedia("(pointer: coarse)").matches ? scroll : composer.field).focus();
    },
    remove: () => {
      for (const off of leave) off();
      clearInterval(timer);
      drop();
    },
  };
}

/**
 * @param {ChatEntry} entry
 * @returns {import("./dom.js").Item<ChatEntry, ChatSight>}
 */
function createLine({ author, text, at }) {
  /** @type {View<[ChatEntry, ChatSight]>} */
  const view = new View();
  const mine = author === "";
  const element = view.h(
    "li",
    { class: "chat-line", "data-mine": String(mine) },
    view.h(
      "p",
      { class: "chat-by" },
      view.h("bdi", { class: "chat-author" }, ([, { name }]) => (mine ? t("chat.you") : name(author))),
      " ",
      view.h(
        "time",
        { datetime: new Date(performance.timeOrigin + at).toISOString() },
        () => timeOfDay(currentLocale(), performance.timeOrigin + at),
      ),
    ),
    // Words only: no link to follow by mistake, and its own direction, whatever is around it.
    view.h("p", { class: "chat-text", dir: "auto", "data-testid": "chat-message" }, text),
    view.h(
      "p",
      {
        class: "chat-missing hint",
        "data-testid": "chat-pending",
        hidden: ([entry]) => entry.missing.size === 0 || performance.now() - entry.at < PATIENCE,
      },
      () => t("chat.pending"),
    ),
  );
  return { element, update: (entry, sight) => view.update([entry, sight]) };
}

/**
 * @param {[string, string]} draft
 * @returns {import("./dom.js").Item<[string, string], ChatSight>}
 */
function createDraft([author]) {
  /** @type {View<[[string, string], ChatSight]>} */
  const view = new View();
  const element = view.h(
    "li",
    { class: "chat-line chat-draft", "data-testid": "chat-draft" },
    view.h(
      "p",
      { class: "chat-by" },
      view.h("span", {}, ([, { name }]) => t("chat.writing", { name: name(author) })),
    ),
    view.h("p", { class: "chat-text", dir: "auto" }, ([[, text]]) => text),
  );
  return { element, update: (draft, sight) => view.update([draft, sight]) };
}

/**
 * @param {View<ChatSight>} view
 * @param {Chat} chat
 * @param {() => void} said
 * @param {HTMLElement} more beside the files
 */
function createComposer(view, chat, said, more) {
  const alone = (/** @type {ChatSight} */ s) => s.company === 0;
  const nobodyTakes = (/** @type {ChatSight} */ { chat: { unwilling, consent }, company }) =>
    company === 0 || consent === "withdrawn" || unwilling.size >= company;
  const field = view.h("textarea", {
    rows: "1",
    maxlength: String(MOST_TEXT),
    dir: "auto",
    "data-testid": "chat-input",
    enterkeyhint: "send",
    autocomplete: "off",
    "aria-label": () => t("chat.input"),
    placeholder: () => t("chat.input"),
    "aria-describedby": "chat-live-hint",
    disabled: alone,
    oninput: on(() => {
      chat.typed(field.value);
      grow(field);
    }),
    onkeydown: on((/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send();
    }),
    onpaste: on((/** @type {ClipboardEvent} */ event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      offer(files);
    }),
  });
  const empty = () => {
    field.value = "";
    grow(field);
  };
  const send = () => {
    chat.say(field.value);
    empty();
    field.focus();
    said();
  };
  const offer = (/** @type {readonly File[]} */ files) => {
    if (files.length === 0) return;
    const problem = chat.offer(files);
    if (problem !== "") notify(t(problem === "too_large" ? "file.too_large_own" : "file.too_many_own"));
  };
  const picker = view.h("input", {
    type: "file",
    multiple: true,
    class: "unseen",
    "data-testid": "file-input",
    "aria-label": () => t("file.choose"),
    disabled: nobodyTakes,
    onchange: on(() => {
      offer([...(picker.files ?? [])]);
      picker.value = "";
    }),
  });
  const element = view.h(
    "form",
    {
      class: "chat-form",
      onsubmit: on((/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        send();
      }),
    },
    view.h(
      "div",
      { class: "chat-write" },
      view.h(
        "label",
        { class: "button chat-attach", title: () => t("file.choose"), "data-off": (s) => String(nobodyTakes(s)) },
        picker,
        icon("clip"),
      ),
      more,
      field,
      view.h(
        "button",
        { type: "submit", class: "primary chat-send", "data-testid": "chat-send", disabled: alone, title: () => t("chat.send") },
        icon("send"),
        view.h("span", { class: "unseen" }, () => t("chat.send")),
      ),
    ),
    view.h(
      "label",
      { class: "check chat-live" },
      view.h("input", {
        type: "checkbox",
        "data-testid": "live-text",
        checked: (s) => s.chat.live,
        onchange: on((/** @type {Event} */ event) => {
          chat.setLive(/** @type {HTMLInputElement} */ (event.target).checked);
        }),
      }),
      view.h("span", { id: "chat-live-hint" }, (s) => t(s.chat.live ? "chat.live_on" : "chat.live_off")),
    ),
  );
  return { element, field, offer, empty };
}

/** As high as its text, up to what the style sheet allows. @param {HTMLTextAreaElement} field */
function grow(field) {
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

/** @param {HTMLElement} scroll */
function isAtEnd({ scrollHeight, scrollTop, clientHeight }) {
  return scrollHeight - scrollTop - clientHeight < 48;
}

/** @param {HTMLElement} scroll */
function toEnd(scroll) {
  scroll.scrollTop = scroll.scrollHeight;
}

/**
 * Files may be dropped anywhere on the page: beside a target the browser would leave the page for them.
 *
 * @param {HTMLElement} element gets the attribute `data-drop` meanwhile
 * @param {(files: File[]) => void} dropped
 * @returns {() => void} ends it
 */
function dropTarget(element, dropped) {
  const hasFiles = (/** @type {DragEvent} */ event) =>
    event.dataTransfer?.types.includes("Files") ?? false;
  const over = (/** @type {DragEvent} */ event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.toggleAttribute("data-drop", true);
  };
  const out = (/** @type {DragEvent} */ event) => {
    if (event.relatedTarget === null) element.removeAttribute("data-drop");
  };
  const drop = (/** @type {DragEvent} */ event) => {
    element.removeAttribute("data-drop");
    if (!hasFiles(event)) return;
    event.preventDefault();
    dropped([...(event.dataTransfer?.files ?? [])]);
  };
  addEventListener("dragover", over);
  addEventListener("dragleave", out);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("dragleave", out);
    removeEventListener("drop", drop);
  };
}
