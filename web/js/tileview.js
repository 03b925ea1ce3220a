// @ts-check
/** One person on the other side: picture, name, marks, the connection in words, its safety. */
import { asks, healthOf } from "./callstate.js";
import { on, View } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { createPicture, showStream } from "./picture.js";
import { Settling } from "./settling.js";

/**
 * @typedef {import("./callstate.js").Remote} Remote
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./i18n.js").Key} Key
 *
 * @typedef {object} TileOptions
 * @property {ReadonlyMap<string, MediaStream>} streams
 * @property {(participant: string) => void} retry
 * @property {(participant: string) => void} compared the person has found the codes the same
 * @property {(participant: string) => void} differ the person has found them different
 * @property {(participant: string) => void} pin the person wants this one to stay large, or no longer
 * @property {() => number} [now]
 */

/** So long a code has lain there at least before somebody may have heard it, ms. */
const HEARD = 700;

/** @type {Readonly<Record<import("./callstate.js").Health, Key | null>>} */
const HEALTH = Object.freeze({
  fine: null,
  connecting: "tile.connecting",
  interrupted: "tile.interrupted",
  failed: "tile.failed",
  away: "tile.away",
  refused: null,
});

/**
 * The name to show: a host is known by the provider's.
 * @param {Remote} remote
 * @param {VisitData} state
 */
export function nameOf(remote, state) {
  if (remote.name !== "") return remote.name;
  return remote.role === "host" ? (state.appointment?.provider ?? "") : t("tile.nameless");
}

/**
 * First letters of the first and the last word.
 * @param {string} name
 */
export function initials(name) {
  const words = name
    .replace(/\b\p{L}+\./gu, "")
    .trim()
    .split(/\s+/u)
    .filter(Boolean);
  const first = (/** @type {string | undefined} */ word) => [...(word ?? "")][0] ?? "";
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : "")).toUpperCase();
}

/** @type {Readonly<Record<NonNullable<Remote["path"]>, readonly [Key, Key]>>} */
const PATH = Object.freeze({
  direct: ["path.direct", "path.direct_why"],
  relay: ["path.relay", "path.relay_why"],
  sfu: ["path.sfu", "path.sfu_why"],
});

/** Words that come with whatever finds it out. @type {Readonly<Record<Remote["sound"], Key>>} */
const NO_PICTURE = Object.freeze({
  "": "tile.camera_off", thin: "line.tile_thin", chosen: "line.tile_chosen", own: "line.tile_own",
});

/**
 * @param {string} id
 * @param {TileOptions} options
 * @returns {import("./dom.js").Item<Remote, VisitData>}
 */
export function createTile(id, { streams, retry, compared, differ, pin, now }) {
  /** @type {View<readonly [Remote, VisitData]>} */
  const view = new View();
  const video = createPicture("remote-video", false);
  view.bind(
    () => streams.get(id) ?? null,
    (stream) => showStream(video, stream),
  );
  view.bind(
    ([remote, state]) => nameOf(remote, state),
    (name) => video.setAttribute("aria-label", name),
  );
  // One after another: with several people the boxes would lie over one another.
  const comparing = (/** @type {readonly [Remote, VisitData]} */ [remote, state]) =>
    state.call.find(asks)?.id === remote.id;
  const box = new Settling(HEARD, now);
  view.bind((both) => (comparing(both) ? both[0].security?.code : ""), () => box.moved());
  const health = (/** @type {Remote} */ remote) => HEALTH[healthOf(remote)];
  const blank = (/** @type {Remote} */ remote) =>
    !remote.video || remote.sound === "own" || healthOf(remote) !== "fine";

  const element = view.h(
    "article",
    {
      class: "tile",
      "data-participant": id,
      "data-health": ([remote]) => healthOf(remote),
      "data-video": ([remote]) => String(remote.video),
      "data-audio": ([remote]) => String(remote.audio),
      "data-speaking": ([remote]) => String(remote.speaking),
      "aria-label": ([remote, state]) => nameOf(remote, state),
    },
    video,
    view.h(
      "div",
      { class: "tile-blank", hidden: ([remote]) => !blank(remote) },
      view.h("span", { class: "avatar", "aria-hidden": "true" }, ([remote, state]) =>
        initials(nameOf(remote, state)),
      ),
      view.h("span", {}, ([remote]) => {
        const key = health(remote);
        return t(key ?? NO_PICTURE[remote.sound]);
      }),
    ),
    view.h(
      "div",
      {
        class: "tile-head",
        hidden: ([remote]) => remote.security === null && remote.path === null,
        // The mark of safety is not shown before the code has been compared.
        "data-compared": ([remote]) => String(!asks(remote)),
      },
      icon("shield"),
      view.h(
        "span",
        {
          "data-testid": "security-code",
          hidden: ([remote]) => remote.security === null,
          "data-verified": ([remote]) => remote.security?.verified ?? "",
          title: ([remote]) =>
            t(remote.security?.verified === "link" ? "security.link_why" : "security.code_why"),
        },
        ([remote]) => safetyWords(remote),
      ),
      view.h(
        "span",
        {
          "data-testid": "connection-path",
          hidden: ([remote]) => remote.path === null,
          "data-path": ([remote]) => remote.path ?? "",
          title: ([remote]) => (remote.path === null ? "" : t(PATH[remote.path][1])),
        },
        ([remote]) => (remote.path === null ? "" : t(PATH[remote.path][0])),
      ),
    ),
    view.h(
      "div",
      { class: "tile-foot" },
      view.h("span", { class: "tile-name" }, ([remote, state]) => nameOf(remote, state)),
      view.h(
        "span",
        { class: "mark hand", "data-testid": "remote-hand", hidden: ([remote]) => remote.hand === 0 },
        icon("hand"),
        view.h("span", { class: "mark-word" }, ([remote]) => (remote.hand > 0 ? t("hand.raised") : "")),
        ([remote]) => (remote.hand > 0 ? String(remote.hand) : ""),
      ),
      view.h(
        "span",
        { class: "mark", "data-testid": "remote-muted", hidden: ([remote]) => remote.audio },
        icon("microphoneOff"),
        view.h("span", { class: "mark-word" }, () => t("tile.muted")),
      ),
      view.h(
        "span",
        { class: "mark speaks", "data-testid": "speaking", hidden: ([remote]) => !remote.speaking },
        icon("sound"),
        view.h("span", { class: "unseen" }, () => t("tile.speaks")),
      ),
      view.h(
        "span",
        {
          class: "mark",
          "data-testid": "quality",
          "data-quality": ([remote]) => remote.quality,
          hidden: ([remote]) => remote.quality === "good" || healthOf(remote) !== "fine",
          title: ([remote]) => t(remote.quality === "bad" ? "tile.bad" : "tile.weak"),
        },
        icon("signal"),
        view.h("span", { class: "mark-word" }, ([remote]) =>
          t(remote.quality === "bad" ? "tile.bad" : "tile.weak"),
        ),
      ),
    ),
    view.h(
      "button",
      {
        type: "button",
        class: "pin",
        "data-testid": "pin-button",
        "aria-pressed": ([remote]) => String(remote.pinned),
        "aria-label": ([remote, state]) => t("tile.pin", { name: nameOf(remote, state) }),
        title: ([remote, state]) => t("tile.pin", { name: nameOf(remote, state) }),
        hidden: ([, state]) => state.call.length < 2,
        onclick: on(() => pin(id)),
      },
      icon("pin"),
    ),
    view.h(
      "div",
      { class: "compare", hidden: (both) => !comparing(both) },
      view.h("p", { class: "code", translate: "no" }, ([remote]) =>
        groupDigits(remote.security?.code ?? ""),
      ),
      view.h("p", {}, ([remote, state]) => t("security.compare", { name: nameOf(remote, state) })),
      view.h(
        "div",
        { class: "row" },
        view.h(
          "button",
          {
            type: "button",
            class: "primary",
            "data-testid": "code-same",
            ...box.guard(() => compared(id)),
          },
          () => t("security.same"),
        ),
        view.h(
          "button",
          { type: "button", "data-testid": "code-differs", ...box.guard(() => differ(id)) },
          () => t("security.differ"),
        ),
      ),
    ),
    view.h(
      "div",
      { class: "tile-alert", role: "alert", hidden: ([remote]) => remote.refused === null },
      icon("alert"),
      view.h(
        "div",
        {
          "data-testid": ([remote]) => (remote.refused === null ? null : "error-message"),
          "data-code": ([remote]) => remote.refused,
        },
        view.h("strong", {}, ([remote]) => (remote.refused === null ? "" : t("refused.title"))),
        view.h("p", {}, ([remote]) =>
          remote.refused === null
            ? ""
            : t(remote.refused === "secret_missing" ? "refused.secret" : "refused.text"),
        ),
      ),
      view.h(
        "button",
        { type: "button", "data-testid": "retry-peer", onclick: on(() => retry(id)) },
        () => t("refused.again"),
      ),
    ),
  );

  return {
    element,
    update: (remote, state) => view.update([remote, state]),
    remove: () => showStream(video, null),
  };
}

/**
 * The screen that somebody shows.
 *
 * @param {string} id
 * @param {TileOptions} options
 * @returns {import("./dom.js").Item<Remote, VisitData>}
 */
export function createScreenTile(id, { streams }) {
  /** @type {View<readonly [Remote, VisitData]>} */
  const view = new View();
  const video = createPicture("remote-screen", false);
  const words = (/** @type {readonly [Remote, VisitData]} */ [remote, state]) =>
    t("tile.screen", { name: nameOf(remote, state) });
  view.bind(
    () => streams.get(`${id} screen`) ?? null,
    (stream) => showStream(video, stream),
  );
  view.bind(words, (name) => video.setAttribute("aria-label", name));
  const element = view.h(
    "article",
    { class: "tile screen", "data-participant": id, "data-health": "fine", "aria-label": words },
    video,
    view.h("div", { class: "tile-foot" }, view.h("span", { class: "tile-name" }, words)),
  );
  return {
    element,
    update: (remote, state) => view.update([remote, state]),
    remove: () => showStream(video, null),
  };
}

/** @param {Remote} remote */
function safetyWords({ security, compared }) {
  if (security === null) return "";
  if (security.verified === "link") return t("security.link");
  return compared ? t("security.compared") : groupDigits(security.code);
}

/** @param {string} code six digits, easier to read out as two times three */
function groupDigits(code) {
  return code.replace(/^(\d{3})(\d{3})$/, "$1 $2");
}
