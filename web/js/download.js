// @ts-check
/** Saves a file that was made in the page. */

/** How long the browser may take to fetch it from the page, ms. */
const PATIENCE = 60_000;

/**
 * @param {string} name
 * @param {string} text
 * @param {string} type MIME
 */
export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.hidden = true;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), PATIENCE);
}
