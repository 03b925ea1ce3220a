// @ts-check
/** Single letters as switches during a call; a person may turn them off (WCAG 2.1.4). */
import { keep, recall } from "./tabmemory.js";

/**
 * @typedef {"microphone" | "camera" | "hand" | "chat" | "floating" | "fullscreen" | "help"} KeyName
 */

/** Escape closes what lies over the picture, whatever is chosen here. @type {Readonly<Record<KeyName, string>>} */
export const KEYS = Object.freeze({
  microphone: "m", camera: "v", hand: "h", chat: "c", floating: "p", fullscreen: "f", help: "?",
});

/** Elements in which letters are text, or have another meaning. */
const TYPING = "input, select, textarea, dialog, [contenteditable]";

/**
 * Which switch a key means.
 *
 * @param {Pick<KeyboardEvent, "key" | "repeat" | "ctrlKey" | "metaKey" | "altKey" | "isComposing">} event
 * @param {boolean} typing the focus is where letters are text
 * @returns {KeyName | null}
 */
export function keyName(event, typing) {
  if (typing || event.repeat || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.toLowerCase();
  return /** @type {KeyName[]} */ (Object.keys(KEYS)).find((name) => KEYS[name] === key) ?? null;
}

export const keysOn = () => recall("keys") !== "off";

/** @param {boolean} on remembered for this tab */
export function setKeys(on) {
  keep("keys", on ? null : "off");
}

/**
 * @param {Partial<Record<KeyName, () => void>>} actions
 * @param {() => boolean} shown a call that is built ahead does not listen yet
 * @returns {() => void} stops it
 */
export function listenToKeys(actions, shown) {
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    if (!keysOn() || !shown() || event.defaultPrevented) return;
    // A dialog that is open has the keyboard for itself, wherever the focus is.
    const typing = document.querySelector("dialog[open]") !== null
      || (event.target instanceof HTMLElement && event.target.closest(TYPING) !== null);
    const name = keyName(event, typing);
    const action = name && actions[name];
    if (!action) return;
    event.preventDefault();
    action();
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}
