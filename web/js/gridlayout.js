// @ts-check
/**
 * Where everybody is on the screen: a grid of equals, or some large and the others in a strip beside
 * them. Pure; lengths are CSS pixels, positions relative to the stage.
 *
 * @typedef {import("./callstate.js").Call} Call
 * @typedef {import("./callstate.js").Remote} Remote
 * @typedef {{key: string, remote: Remote, screen: boolean}} Tile  key: the participant, for a screen with
 *   " screen" behind it
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{large: readonly Tile[], small: readonly Tile[]}} Stage  nobody is large: all are equal
 *
 * @typedef {object} Layout
 * @property {"grid" | "strip"} form
 * @property {ReadonlyMap<string, Box>} boxes by tile; who is not in it is not shown at present
 * @property {Box | null} self one's own picture; null: over the corner of the others
 * @property {number} pages of the strip
 * @property {Box | null} more for the button that turns the pages
 */

/** More than so many are no longer equals. */
export const EQUALS = 9;
const GAP = 8;
/** The widest and the narrowest form of a face's tile, width by height. */
const WIDEST = 1.9;
const NARROWEST = 0.62;
/** One's own picture, where it lies over the others. */
const OWN = Object.freeze({ part: 0.13, least: 88, most: 160, form: 4 / 3 });
/** Places in a strip, however short it is. */
const LEAST_PLACES = 4;
/** It may cover so much of the tile below it. */
const COVERED = 0.2;

/** @param {Call} call @returns {Tile[]} */
export function tilesOf(call) {
  return call.flatMap((remote) => [
    ...(remote.screen ? [{ key: `${remote.id} screen`, remote, screen: true }] : []),
    { key: remote.id, remote, screen: false },
  ]);
}

/**
 * Screens and those who were pinned are large; among many also who speaks, or spoke last.
 *
 * @param {readonly Tile[]} tiles
 * @returns {Stage}
 */
export function stageOf(tiles) {
  const chosen = tiles.filter(({ screen, remote }) => screen || remote.pinned);
  const people = tiles.filter(({ screen }) => !screen);
  const large = new Set(chosen);
  if (people.length > EQUALS) {
    const [speaker] = people
      .filter((tile) => !large.has(tile))
      .sort((a, b) => b.remote.spoke - a.remote.spoke);
    if (speaker && (large.size === 0 || speaker.remote.speaking)) large.add(speaker);
  }
  if (large.size === tiles.length) return { large: [], small: tiles };
  return {
    large: tiles.filter((tile) => large.has(tile)), small: tiles.filter((tile) => !large.has(tile)),
  };
}

/**
 * @param {Stage} stage
 * @param {{width: number, height: number, page: number}} room page: of the strip, from 0
 * @returns {Layout}
 */
export function layoutOf({ large, small }, { width, height, page }) {
  const whole = { x: 0, y: 0, width, height };
  if (large.length > 0) return withStrip(large, small, whole, page);
  return asGrid(small, whole);
}

/**
 * @param {readonly Tile[]} tiles
 * @param {Box} whole
 * @returns {Layout}
 */
function asGrid(tiles, whole) {
  const boxes = /** @type {Map<string, Box>} */ (new Map());
  const [only] = tiles;
  if (tiles.length <= 1) {
    if (only) boxes.set(only.key, whole);
    return { form: "grid", boxes, self: null, pages: 1, more: null };
  }
  let cells = fit(tiles.length, whole);
  const { width, height } = ownSize(whole);
  const [cell] = cells;
  /** @type {Box | null} */
  let self = null;
  if (cell && width * height > COVERED * cell.width * cell.height) {
    cells = fit(tiles.length + 1, whole);
    self = cells.at(-1) ?? null;
  }
  tiles.forEach(({ key }, at) => {
    const box = cells[at];
    if (box) boxes.set(key, box);
  });
  return { form: "grid", boxes, self, pages: 1, more: null };
}

/** @param {Box} whole */
function ownSize({ width }) {
  const own = Math.min(OWN.most, Math.max(OWN.least, width * OWN.part));
  return { width: own, height: own / OWN.form };
}

/**
 * @param {readonly Tile[]} large
 * @param {readonly Tile[]} small
 * @param {Box} whole
 * @param {number} page
 * @returns {Layout}
 */
function withStrip(large, small, whole, page) {
  const boxes = /** @type {Map<string, Box>} */ (new Map());
  const upright = whole.height > whole.width * 0.85;
  const length = upright ? whole.width : whole.height;
  // Along the shorter side: how thick the strip is, and how long one of its tiles.
  const thick = upright
    ? Math.min(150, Math.max(84, whole.height * 0.17))
    : Math.min(210, Math.max(120, whole.width * 0.17));
  const long = Math.min(upright ? thick * 1.05 : thick * 0.62, (length - GAP) / LEAST_PLACES - GAP);
  const room = Math.floor((length - GAP) / (long + GAP) + 0.001);
  // One place is for one's own picture, and one for the button that turns the pages.
  const least = room - 1;
  const perPage = small.length <= least ? least : least - 1;
  const pages = Math.max(1, Math.ceil(small.length / perPage));
  const shown = pages === 1 ? small : pageOf(small, perPage, Math.min(page, pages - 1));
  const place = (/** @type {number} */ at) => {
    const along = GAP + at * (long + GAP);
    return upright
      ? { x: along, y: whole.height - thick - GAP, width: long, height: thick }
      : { x: whole.width - thick - GAP, y: along, width: thick, height: long };
  };
  shown.forEach(({ key }, at) => boxes.set(key, place(at)));
  const main = upright
    ? { ...whole, height: whole.height - thick - GAP }
    : { ...whole, width: whole.width - thick - GAP };
  const cells = fit(large.length, main, large.every(({ screen }) => screen) || large.length === 1);
  large.forEach(({ key }, at) => {
    const box = cells[at];
    if (box) boxes.set(key, box);
  });
  const more = pages > 1 ? place(perPage) : null;
  return { form: "strip", boxes, self: place(room - 1), pages, more };
}

/**
 * On the first page are those who spoke last, in their usual order, so that little moves.
 *
 * @param {readonly Tile[]} tiles
 * @param {number} perPage
 * @param {number} page
 */
function pageOf(tiles, perPage, page) {
  const heard = [...tiles].sort((a, b) => b.remote.spoke - a.remote.spoke);
  const on = new Set(heard.slice(page * perPage, (page + 1) * perPage));
  return tiles.filter((tile) => on.has(tile));
}

/**
 * Equal cells, as many columns as make faces largest; what is left of the last row is shared on both sides.
 *
 * @param {number} count
 * @param {Box} area
 * @param {boolean} [free] cells may be of any form
 * @returns {Box[]}
 */
export function fit(count, area, free = false) {
  let best = { columns: 1, size: -1 };
  for (let columns = 1; columns <= count; columns += 1) {
    const { width, height } = cellOf(count, columns, area);
    const size = Math.min(width, (height * 4) / 3);
    if (size > best.size) best = { columns, size };
  }
  const { columns } = best;
  const rows = Math.ceil(count / columns);
  const cell = cellOf(count, columns, area);
  if (!free) {
    cell.width = Math.min(cell.width, cell.height * WIDEST);
    cell.height = Math.min(cell.height, cell.width / NARROWEST);
  }
  const tall = rows * cell.height + (rows - 1) * GAP;
  return Array.from({ length: count }, (_, at) => {
    const row = Math.floor(at / columns);
    const inRow = Math.min(columns, count - row * columns);
    const wide = inRow * cell.width + (inRow - 1) * GAP;
    return {
      x: area.x + (area.width - wide) / 2 + (at - row * columns) * (cell.width + GAP),
      y: area.y + (area.height - tall) / 2 + row * (cell.height + GAP),
      ...cell,
    };
  });
}

/** @param {number} count @param {number} columns @param {Box} area */
function cellOf(count, columns, { width, height }) {
  const rows = Math.ceil(count / columns);
  return {
    width: Math.max(1, (width - GAP * (columns + 1)) / columns),
    height: Math.max(1, (height - GAP * (rows + 1)) / rows),
  };
}
