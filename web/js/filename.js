// @ts-check
/** Names of files that somebody else has chosen: made harmless, shown with size and type. Pure. */

/** Longest name, in code points and in bytes of UTF-8; file systems take 255 bytes. */
const MOST_POINTS = 120;
const MOST_BYTES = 200;
/** Longest ending that is kept when a name is cut, with its dot. */
const MOST_ENDING = 12;

/** Of Windows, whatever the ending. */
const RESERVED = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/** What starts a program or a script when it is opened. */
const PROGRAMS = new Set([
  "apk", "app", "appimage", "bat", "bin", "chm", "cmd", "com", "cpl", "deb", "dll", "dmg", "docm",
  "exe", "gadget", "hta", "htm", "html", "inf", "iso", "jar", "js", "jse", "lnk", "mht", "msc", "msi",
  "msix", "pif", "pkg", "pptm", "ps1", "py", "reg", "rpm", "run", "scf", "scr", "sh", "svg", "url",
  "vb", "vbe", "vbs", "wsf", "xhtml", "xlsm", "xml",
]);

const encoder = new TextEncoder();

/**
 * The same name without anything that could lead elsewhere, hide its ending or not be written.
 *
 * @param {string} name
 * @returns {string} never empty; the same again when it is made harmless once more
 */
export function safeName(name) {
  let safe = name.normalize("NFC")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, "")
    .replace(/[\\/:*?"<>|]/g, "_")
    .replace(/\p{Zs}+/gu, " ")
    .replace(/^[. ]+/, "");
  safe = shorten(safe).replace(/[. ]+$/, "");
  if (RESERVED.test(safe)) safe = shorten(`_${safe}`).replace(/[. ]+$/, "");
  return safe === "" ? "file" : safe;
}

/** @param {string} name */
export function isSafeName(name) {
  return name.length <= 2 * MOST_POINTS && safeName(name) === name;
}

/** @param {string} name */
function shorten(name) {
  if (fits(name)) return name;
  const dot = name.lastIndexOf(".");
  const ending = dot > 0 && [...name.slice(dot)].length <= MOST_ENDING ? name.slice(dot) : "";
  const stem = [...name.slice(0, name.length - ending.length)];
  while (!fits(stem.join("") + ending)) stem.pop();
  return stem.join("") + ending;
}

/** @param {string} name */
function fits(name) {
  return [...name].length <= MOST_POINTS && encoder.encode(name).length <= MOST_BYTES;
}

/** @param {string} name @returns {string} "pdf", or "" */
function endingOf(name) {
  return /\.([A-Za-z0-9]{1,11})$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

/**
 * @param {string} name
 * @param {string} kind media type, or ""
 * @returns {string} what to call the type of a file: "PDF", "PNG"; "" if nothing is known of it
 */
export function typeOf(name, kind) {
  const ending = endingOf(name);
  if (ending !== "") return ending.toUpperCase();
  return (kind.split("/")[1] ?? "").replace(/^x-/, "").toUpperCase();
}

/** @param {string} name whether opening it could run something */
export function isProgram(name) {
  return PROGRAMS.has(endingOf(name));
}

/**
 * @param {string} kind as a browser says it
 * @returns {string} a media type that the wire takes, or ""
 */
export function safeKind(kind) {
  const bare = (kind.split(";")[0] ?? "").trim().toLowerCase();
  return isSafeKind(bare) ? bare : "";
}

/** @param {string} kind RFC 6838 section 4.2, or "" */
export function isSafeKind(kind) {
  return kind === "" || /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/.test(kind);
}

const UNITS = Object.freeze(["byte", "kilobyte", "megabyte", "gigabyte"]);

/**
 * @param {string} locale
 * @param {number} bytes
 * @returns {string} as file managers say it, in thousands: "1.4 MB"
 */
export function sizeWords(locale, bytes) {
  let step = 0;
  let count = bytes;
  while (count >= 999.5 && step < UNITS.length - 1) {
    count /= 1000;
    step += 1;
  }
  const digits = step > 0 && count < 99.5 ? 1 : 0;
  return new Intl.NumberFormat(locale, {
    style: "unit", unit: /** @type {string} */ (UNITS[step]), unitDisplay: step === 0 ? "long" : "short",
    maximumFractionDigits: digits,
  }).format(count);
}
