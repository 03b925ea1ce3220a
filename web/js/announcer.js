// @ts-check
/** Says status changes to a screen reader, without moving the focus. */

const polite = region("polite");
const assertive = region("assertive");

/** @param {"polite" | "assertive"} manner */
function region(manner) {
  const element = document.createElement("div");
  element.className = "unseen";
  element.setAttribute("aria-live", manner);
  element.setAttribute("aria-atomic", "true");
  return element;
}

/** @param {HTMLElement} parent */
export function mountAnnouncer(parent) {
  parent.append(polite, assertive, note);
}

/** After this, ms, what was said is gone from the page, so that nobody reads it as the present state. */
const MEMORY = 5000;
/** @type {Map<Element, ReturnType<typeof setTimeout>>} */
const timers = new Map();

/** Counts how often all was taken back; what was to be said before is not. */
let hushed = 0;

/**
 * @param {string} text
 * @param {boolean} [urgent] interrupts what is being read
 */
export function announce(text, urgent = false) {
  const element = urgent ? assertive : polite;
  const before = hushed;
  // The same text again is a change only when the region was empty in between.
  element.textContent = "";
  clearTimeout(timers.get(element));
  requestAnimationFrame(() => {
    if (before === hushed) element.textContent = text;
  });
  timers.set(element, setTimeout(() => {
    element.textContent = "";
  }, MEMORY));
}

/** Takes back all that was said and shown: it may hold words of a call that is over. */
export function hush() {
  hushed += 1;
  for (const element of [polite, assertive, note]) element.textContent = "";
  note.hidden = true;
}

/** How long a note stays, ms: long enough to read two lines slowly. */
const NOTE = 7000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let noteTimer;
const note = document.createElement("p");
note.className = "note";
note.hidden = true;
note.setAttribute("role", "status");

/**
 * Shows a short text over the page for a while, and says it.
 * @param {string} text
 */
export function notify(text) {
  clearTimeout(noteTimer);
  note.textContent = text;
  note.hidden = false;
  noteTimer = setTimeout(() => {
    note.hidden = true;
  }, NOTE);
}
