// @ts-check
/** Says status changes to a screen reader, without moving the focus, and shows short notes over the page. */

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
  document.addEventListener("fullscreenchange", comeAlong);
  // Does not bubble.
  document.addEventListener("close", comeAlong, true);
}

/** Outside of an open dialog, or of what is in full screen, nothing is seen, and nothing heard either. */
function comeAlong() {
  const place = document.querySelector("dialog[open]") ?? document.fullscreenElement ?? document.body;
  for (const element of [polite, assertive, note]) if (element.parentElement !== place) place.append(element);
}

/** So long an empty region waits for its text, ms: the same text again is a change only after it was empty. */
const MOMENT = 50;
/** After this, ms, what was said is gone from the page, so that nobody reads it as the present state. */
const MEMORY = 5000;
/** @type {Map<Element, ReturnType<typeof setTimeout>>} */
const timers = new Map();
/** What is to be said in a moment, all of it. @type {Map<Element, string[]>} */
const coming = new Map();

/**
 * @param {string} text
 * @param {boolean} [urgent] interrupts what is being read
 */
export function announce(text, urgent = false) {
  const element = urgent ? assertive : polite;
  const others = coming.get(element);
  if (others) {
    if (!others.includes(text)) others.push(text);
    return;
  }
  comeAlong();
  const texts = [text];
  coming.set(element, texts);
  element.textContent = "";
  clearTimeout(timers.get(element));
  // By the clock: a tab that is not looked at paints no frame, and would keep what it was to say.
  timers.set(element, setTimeout(() => {
    coming.delete(element);
    element.textContent = texts.join(" ");
    timers.set(element, setTimeout(() => {
      element.textContent = "";
    }, MEMORY));
  }, MOMENT));
}

/** Takes back all that was said and shown: it may hold words of a call that is over. */
export function hush() {
  for (const element of [polite, assertive]) clearTimeout(timers.get(element));
  coming.clear();
  for (const element of [polite, assertive, note]) element.textContent = "";
  note.hidden = true;
}

/** How long a note stays, ms: long enough to read two lines slowly. */
const NOTE = 7000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let noteTimer;
/** No live region: one that was not shown a moment ago is not heard everywhere, so what it says is announced. */
const note = document.createElement("p");
note.className = "note";
note.hidden = true;

/**
 * Shows a short text over the page for a while, and says it.
 * @param {string} text
 */
export function notify(text) {
  clearTimeout(noteTimer);
  note.textContent = text;
  note.hidden = false;
  comeAlong();
  announce(text);
  noteTimer = setTimeout(() => {
    note.hidden = true;
  }, NOTE);
}
