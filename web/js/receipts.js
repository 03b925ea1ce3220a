// @ts-check
/** Receipts as files to keep: that of the deletion, which both sides may have at the end. */
import { announce, notify } from "./announcer.js";
import { ApiError, askDeletionReceipt } from "./api.js";
import { on, View } from "./dom.js";
import { download } from "./download.js";
import { t } from "./language.js";

/** @typedef {import("./visitstate.js").VisitData} VisitData */

export const JSON_TYPE = "application/json";
/** Between tries while the server has not yet let go of the session, ms. */
const PAUSES = [0, 500, 1500, 4000];

/** @param {"consent" | "deletion"} kind @param {string} room @param {string} file */
export function fileName(kind, room, file) {
  // The day by the receipt itself; nobody's name.
  const day = /"at": "(\d{4}-\d\d-\d\d)/.exec(file)?.[1] ?? "";
  return `konsil-${kind}-${day}-${room.slice(0, 6)}.json`;
}

/**
 * At the end, for both sides: a signed statement that nothing is left.
 * @template {VisitData} S
 * @param {string} token
 * @param {string} room
 * @returns {import("./dom.js").Part<S>}
 */
export function createDeletion(token, room) {
  /** @type {View<S>} */
  const view = new View();
  /** @type {HTMLButtonElement} */
  const button = view.h(
    "button",
    {
      type: "button",
      "data-testid": "deletion-receipt",
      onclick: on(async () => {
        button.disabled = true;
        try {
          const file = await askPatiently(token);
          download(fileName("deletion", room, file), file, JSON_TYPE);
          announce(t("receipt.saved"));
        } catch (error) {
          const there = error instanceof ApiError && error.code === "not_ended";
          notify(t(there ? "receipt.not_ended" : "receipt.failed"));
        }
        button.disabled = false;
      }),
    },
    () => t("receipt.deletion"),
  );
  return view.part(view.h(
    "div",
    { class: "receipts", hidden: (s) => s.over !== "ended" },
    view.h("p", { class: "hint" }, () => t("receipt.deletion_do")),
    button,
  ));
}

/** @param {string} token */
async function askPatiently(token) {
  /** @type {unknown} */
  let last;
  for (const pause of PAUSES) {
    await new Promise((resolve) => {
      setTimeout(resolve, pause);
    });
    try {
      return await askDeletionReceipt(token);
    } catch (error) {
      last = error;
      if (!(error instanceof ApiError) || !(error.passing || error.code === "not_ended")) break;
    }
  }
  throw last;
}
