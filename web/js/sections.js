// @ts-check
/**
 * Which sources of others are received, and in which section of the one connection to the forwarder
 * (docs/protocol.md section 9). Pure.
 *
 * @typedef {import("./protocol.js").SourceOf} SourceOf
 * @typedef {import("./protocol.js").SourceView} SourceView
 * @typedef {import("./protocol.js").Tile} Tile
 * @typedef {import("./frames.js").Kind} Kind
 *
 * @typedef {{slot: number, kind: Kind, of: SourceOf | null}} Section of: null while it is not in use
 */

/**
 * Sounds and pictures received at once. An offer with so many sections, and four of its own, stays
 * below what one message may hold.
 */
export const MOST = Object.freeze({ audio: 24, video: 16 });

/** @param {SourceOf | null} a @param {SourceOf | null} b */
export const sameSource = (a, b) =>
  a === b || (a !== null && b !== null && a.participant === b.participant && a.source === b.source);

/**
 * What to receive of all that there is: sound of those who are listed first, and pictures of those who are
 * shown; a screen before faces.
 *
 * @param {readonly SourceView[]} sources
 * @param {readonly string[]} order participants, the most important first; others come after them
 * @param {ReadonlySet<string>} hidden those of whom no picture is shown
 * @returns {SourceView[]}
 */
export function wantedOf(sources, order, hidden) {
  const rank = (/** @type {SourceView} */ { participant, source }) => {
    const place = order.indexOf(participant);
    return (place < 0 ? order.length : place) - (source.startsWith("screen") ? order.length + 1 : 0);
  };
  const ranked = [...sources].sort((a, b) => rank(a) - rank(b));
  const seen = (/** @type {SourceView} */ { participant, source }) =>
    source === "screen" || !hidden.has(participant);
  return [
    ...ranked.filter(({ kind }) => kind === "audio").slice(0, MOST.audio),
    ...ranked.filter((one) => one.kind === "video" && seen(one)).slice(0, MOST.video),
  ];
}

/**
 * Gives every wanted source a section: the one it has, else one that has become free, else a new one.
 *
 * @param {readonly Section[]} sections
 * @param {readonly SourceView[]} wanted
 * @param {() => number} newSlot
 * @returns {Section[]} in the order of before, new ones last
 */
export function assign(sections, wanted, newSlot) {
  const kept = sections.map((section) =>
    wanted.some((one) => sameSource(one, section.of)) ? section : { ...section, of: null },
  );
  for (const { participant, source, kind } of wanted) {
    const of = { participant, source };
    if (kept.some((section) => sameSource(section.of, of))) continue;
    const free = kept.findIndex((section) => section.of === null && section.kind === kind);
    if (free >= 0) kept[free] = { .../** @type {Section} */ (kept[free]), of };
    else kept.push({ slot: newSlot(), kind, of });
  }
  return kept;
}

/**
 * @param {readonly Section[]} a
 * @param {readonly Section[]} b
 */
export function sameSections(a, b) {
  return a.length === b.length && a.every((section, at) => sameSource(section.of, b[at]?.of ?? null));
}

/**
 * @param {readonly Tile[]} a
 * @param {readonly Tile[]} b
 */
export function sameTiles(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
