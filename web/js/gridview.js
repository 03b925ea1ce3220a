// @ts-check
/** Everybody on the other side, laid out by gridlayout.js; tells how large each of them is shown. */
import { on, View } from "./dom.js";
import { layoutOf, stageOf, tilesOf } from "./gridlayout.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { createScreenTile, createTile } from "./tileview.js";

/**
 * @typedef {import("./visitstate.js").VisitData} VisitData
 * @typedef {import("./gridlayout.js").Box} Box
 * @typedef {import("./gridlayout.js").Tile} Tile
 * @typedef {import("./protocol.js").Tile} Shown
 *
 * @typedef {object} GridOptions
 * @property {import("./tileview.js").TileOptions} tile
 * @property {HTMLElement} self one's own picture
 * @property {(tiles: readonly Shown[]) => void} show told in device pixels, the most important first
 */

/** Below these, in CSS pixels, a tile says less. */
const MEDIUM = 430;
const SMALL = Object.freeze({ width: 260, height: 150 });
const TINY = Object.freeze({ width: 150, height: 90 });
/** The most that a message may name. */
const MOST_PIXELS = 16_384;

/**
 * @param {View<VisitData>} view
 * @param {GridOptions} options
 * @returns {{element: HTMLElement, more: HTMLElement, remove: () => void}}
 */
export function createGrid(view, { tile, self, show }) {
  let page = 0;
  let pages = 1;
  /** @type {VisitData | null} */
  let state = null;
  /** @type {Map<string, HTMLElement>} */
  const elements = new Map();
  let told = "";

  const element = view.h("div", { class: "grid", "data-count": (s) => s.call.length });
  const more = view.h(
    "button",
    {
      type: "button",
      class: "more",
      "data-testid": "more-button",
      hidden: true,
      onclick: on(() => {
        page = (page + 1) % pages;
        arrange();
      }),
    },
    icon("people"),
    view.h("span", {}, () => t("grid.more")),
  );
  view.each(
    element,
    (s) => tilesOf(s.call),
    ({ key }) => key,
    ({ key, remote, screen }) => {
      const made = screen ? createScreenTile(remote.id, tile) : createTile(remote.id, tile);
      elements.set(key, made.element);
      return {
        element: made.element,
        update: (/** @type {Tile} */ one, /** @type {VisitData} */ s) => made.update(one.remote, s),
        remove: () => {
          elements.delete(key);
          made.remove?.();
        },
      };
    },
  );
  view.bind(
    (s) => {
      state = s;
      return s.call;
    },
    () => arrange(),
  );

  function arrange() {
    const { clientWidth: width, clientHeight: height } = element;
    if (state === null || width === 0 || height === 0) return;
    const tiles = tilesOf(state.call);
    const layout = layoutOf(stageOf(tiles), { width, height, page });
    ({ pages } = layout);
    page = Math.min(page, pages - 1);
    element.dataset["form"] = layout.form;
    for (const [key, one] of elements) {
      const box = layout.boxes.get(key);
      one.hidden = box === undefined;
      if (box) place(one, box);
    }
    place(self, layout.self);
    place(more, layout.more);
    more.hidden = layout.more === null;
    tell(tiles, layout.boxes);
  }

  /** @param {readonly Tile[]} tiles @param {ReadonlyMap<string, Box>} boxes */
  function tell(tiles, boxes) {
    const seen = document.visibilityState === "visible";
    const ratio = globalThis.devicePixelRatio || 1;
    const pixels = (/** @type {number} */ length) => Math.min(MOST_PIXELS, Math.round(length * ratio));
    const shown = tiles.map(({ key, remote, screen }) => {
      const box = seen ? boxes.get(key) : undefined;
      return {
        participant: remote.id,
        source: /** @type {"screen" | "camera"} */ (screen ? "screen" : "camera"),
        width: pixels(box?.width ?? 0),
        height: pixels(box?.height ?? 0),
        ...(remote.pinned && !screen ? { pinned: true } : {}),
      };
    });
    shown.sort((a, b) => b.width * b.height - a.width * a.height);
    const words = JSON.stringify(shown);
    if (words === told) return;
    told = words;
    show(shown);
  }

  const observer = new ResizeObserver(arrange);
  observer.observe(element);
  document.addEventListener("visibilitychange", arrange);
  return {
    element, more,
    remove: () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", arrange);
    },
  };
}

/** @param {HTMLElement} element @param {Box | null} box null: where the style sheet puts it */
function place(element, box) {
  const { style } = element;
  for (const [name, value] of /** @type {const} */ ([
    ["left", box?.x], ["top", box?.y], ["width", box?.width], ["height", box?.height],
  ])) {
    const text = value === undefined ? "" : `${Math.round(value * 10) / 10}px`;
    if (style[name] !== text) style[name] = text;
  }
  if (box === null) {
    delete element.dataset["size"];
    return;
  }
  element.dataset["size"] = box.width < TINY.width || box.height < TINY.height ? "tiny"
    : box.width < SMALL.width || box.height < SMALL.height ? "small"
      : box.width < MEDIUM ? "medium" : "usual";
}
