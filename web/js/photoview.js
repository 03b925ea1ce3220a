// @ts-check
/** Still photos in the chat's panel: asking for one, being asked, and what came of it. Loaded with the chat. */
import { announce, notify } from "./announcer.js";
import { on, View } from "./dom.js";
import { timeOfDay } from "./i18n.js";
import { icon } from "./icons.js";
import { currentLocale, t } from "./language.js";
import { createPicture, showStream } from "./picture.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("./chatview.js").ChatSight} ChatSight
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {import("./photos.js").Photo} Photo
 * @typedef {import("./photos.js").PhotoState} PhotoState
 */

/** Of what we ask for. @type {Readonly<Record<PhotoState, Key>>} */
const MINE = Object.freeze({
  asked: "photo.asked",
  taking: "photo.taking",
  taken: "photo.taken",
  declined: "photo.declined",
  cancelled: "photo.cancelled",
  failed: "photo.failed",
  withdrawn: "photo.withdrawn",
  lost: "photo.lost",
  // Of us only.
  perhaps: "photo.lost",
  untold: "photo.withdrawn",
});

/** Of what we are asked for. @type {Readonly<Record<PhotoState, Key>>} */
const THEIRS = Object.freeze({
  asked: "photo.question",
  taking: "photo.taking",
  taken: "photo.own_taken",
  declined: "photo.own_declined",
  cancelled: "photo.own_cancelled",
  failed: "photo.own_failed",
  withdrawn: "photo.own_withdrawn",
  lost: "photo.own_failed",
  perhaps: "photo.own_perhaps",
  untold: "photo.own_untold",
});

/**
 * @param {Chat} chat
 * @returns {import("./dom.js").Part<ChatSight> & {button: HTMLElement}}
 */
export function createPhotoTray(chat) {
  /** @type {View<ChatSight>} */
  const view = new View();
  let choosing = false;
  /** @type {ChatSight | null} */
  let latest = null;
  /** @type {WeakMap<Photo, PhotoState>} */
  const told = new WeakMap();
  view.bind(
    (sight) => sight,
    (sight) => {
      latest = sight;
      for (const photo of sight.chat.photos) {
        const before = told.get(photo);
        told.set(photo, photo.state);
        if (before !== undefined && before !== photo.state) announce(words(photo, sight));
      }
    },
  );
  const choose = (/** @type {boolean} */ wanted) => {
    choosing = wanted;
    if (latest !== null) view.update(latest);
  };
  const button = view.h(
    "button",
    {
      type: "button",
      class: "chat-attach",
      "data-testid": "photo-button",
      "aria-expanded": () => String(choosing),
      "aria-controls": "photo-ask",
      title: () => t("photo.title"),
      disabled: (s) => s.chat.ready.size === 0,
      onclick: on(() => choose(!choosing)),
    },
    icon("photo"),
    view.h("span", { class: "unseen" }, () => t("photo.title")),
  );

  const people = view.h("div", { class: "row" });
  view.each(
    people,
    (s) => s.people.filter(({ id }) => s.chat.ready.has(id)),
    ({ id }) => id,
    ({ id }) => {
      /** @type {View<[ChatSight["people"][number], ChatSight]>} */
      const one = new View();
      const element = one.h(
        "button",
        {
          type: "button",
          class: "primary small",
          "data-testid": "photo-ask",
          disabled: ([{ video }]) => !video,
          onclick: on(() => {
            const wait = chat.photos.wait(id);
            if (chat.photos.ask(id)) choose(false);
            else notify(t(wait === Number.POSITIVE_INFINITY ? "photo.never" : "photo.later"));
          }),
        },
        ([{ name, video }]) => t(video ? "photo.ask" : "photo.no_picture", { name }),
      );
      return { element, update: (person, sight) => one.update([person, sight]) };
    },
  );
  const list = view.h("ul", { class: "files", "aria-label": () => t("photo.list") });
  view.each(
    list,
    ({ chat: { photos } }) => [...photos].reverse(),
    ({ id, person }) => `${person} ${id}`,
    (photo) => createCard(photo, chat),
  );
  const part = view.part(
    view.h(
      "section",
      {
        class: "file-tray photo-tray",
        "aria-label": () => t("photo.list"),
        hidden: (s) => !choosing && s.chat.photos.length === 0,
      },
      view.h(
        "div",
        { id: "photo-ask", class: "photo-ask", hidden: () => !choosing },
        view.h("p", {}, () => t("photo.hint")),
        people,
      ),
      list,
    ),
  );
  return { ...part, button };
}

/**
 * @param {Photo} photo the same object for the whole of its life
 * @param {Chat} chat
 * @returns {import("./dom.js").Item<Photo, ChatSight>}
 */
function createCard(photo, chat) {
  /** @type {View<ChatSight>} */
  const view = new View();
  const { photos } = chat;
  const is = (/** @type {PhotoState[]} */ ...states) => states.includes(photo.state);
  const question = () => !photo.mine && is("asked");
  const button = (
    /** @type {string} */ testid, /** @type {Key} */ key, /** @type {() => boolean} */ shown,
    /** @type {() => void} */ act, style = "small", disabled = (/** @type {ChatSight} */ _) => false,
  ) => view.h(
    "button",
    {
      type: "button", class: style, "data-testid": () => (shown() ? testid : null),
      hidden: () => !shown(), disabled, onclick: on(act),
    },
    () => t(key),
  );
  const preview = createPicture("photo-preview", true);
  view.bind((s) => s.facing, (facing) => preview.setAttribute("data-facing", facing));
  view.bind(() => t("photo.preview"), (name) => preview.setAttribute("aria-label", name));
  view.bind(
    (s) => question() && s.camera,
    (shown) => {
      preview.hidden = !shown;
      showStream(preview, shown ? chat.ownStream : null);
    },
  );
  const image = view.h("img", {
    class: "photo",
    "data-testid": () => (photo.url === "" ? null : "photo-image"),
    hidden: () => photo.url === "",
    src: () => photo.url || null,
    alt: (s) => t("photo.of", { name: s.name(photo.person) }),
  });
  const element = view.h(
    "li",
    { class: "file", "data-testid": "photo-item", "data-state": () => photo.state, "data-mine": String(photo.mine) },
    icon("photo"),
    view.h(
      "div",
      { class: "file-words" },
      view.h("p", { class: "file-state" }, (s) => words(photo, s)),
      image,
      view.h("p", { class: "hint", hidden: () => photo.width === 0 || !is("taken") }, () =>
        t("photo.size", {
          width: String(photo.width), height: String(photo.height),
          time: timeOfDay(currentLocale(), performance.timeOrigin + photo.at),
        }),
      ),
      preview,
      view.h("p", { class: "hint", hidden: () => !question() }, (s) =>
        t(s.camera ? "photo.question_hint" : "photo.question_dark", { name: s.name(photo.person) }),
      ),
      view.h(
        "div",
        { class: "row" },
        button("photo-agree", "photo.agree", question, () => photos.answer(photo, true), "primary small", (s) => !s.camera),
        button("photo-decline", "photo.decline", question, () => photos.answer(photo, false)),
        button("photo-cancel", "action.cancel", () => photo.mine && is("asked", "taking"), () => photos.cancel(photo)),
        view.h(
          "a",
          {
            class: "button primary small",
            "data-testid": () => (photo.url === "" ? null : "photo-link"),
            download: () => fileName(photo),
            href: () => photo.url || null,
            hidden: () => photo.url === "",
          },
          () => t("photo.save"),
        ),
        button("photo-withdraw", "photo.withdraw", () => !photo.mine && is("taking", "taken", "perhaps"), () => photos.withdraw(photo)),
        button(
          "photo-dismiss", "photo.dismiss",
          () => !is("asked", "taking", "perhaps") && (photo.mine || !is("taken")), () => photos.dismiss(photo),
        ),
      ),
    ),
  );
  return {
    element,
    update: (_, sight) => view.update(sight),
    remove: () => showStream(preview, null),
  };
}

/** Without a name: a folder of downloads is seen by others. @param {Photo} photo */
function fileName({ at }) {
  const digits = new Date(performance.timeOrigin + at).toISOString().slice(0, 19).replace(/\D/g, "");
  return `photo-${digits}.png`;
}

/** @param {Photo} photo @param {ChatSight} sight */
function words({ state, mine, person }, { name }) {
  return t((mine ? MINE : THEIRS)[state], { name: name(person) });
}
