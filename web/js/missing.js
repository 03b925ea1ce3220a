// @ts-check
/**
 * Parts of the page that did not come. Many browsers keep that a module did not come, and fail every
 * further try at once: only the page loaded anew has it.
 */
import { announce } from "./announcer.js";
import { on, View } from "./dom.js";
import { Emitter } from "./emitter.js";
import { t } from "./language.js";
import { keep, recall } from "./tabmemory.js";

/** Between looks whether the server is there again, ms; doubled up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** @type {Set<string>} */
const missing = new Set();
/** @type {Emitter<{change: []}>} */
const changes = new Emitter();

/** @param {string} part @param {boolean} is */
export function setMissing(part, is) {
  if (missing.has(part) === is) return;
  if (is) missing.add(part);
  else missing.delete(part);
  changes.emit("change");
}

/** Whether the page would come if it were loaded anew; who loads it while the server is away loses it. */
export async function reachable() {
  const answer = await fetch(location.pathname, { cache: "no-store" }).catch(() => null);
  return answer?.ok ?? false;
}

/** @param {unknown} error @returns {error is TypeError} that is how a browser says that a module did not come */
export function notCome(error) {
  return error instanceof TypeError;
}

/**
 * Loads what there is no call without. If it does not come, once more when the server is there again; if it
 * then does not come either, the page anew, once: it comes back to the call by itself.
 *
 * @template T
 * @param {string} part
 * @param {() => Promise<T>} load
 * @param {() => boolean} wanted
 * @returns {Promise<T | null>} null: it is no longer wanted, or cannot be had
 */
export async function loadSurely(part, load, wanted) {
  const kept = `anew.${part}`;
  for (let pause = FIRST_PAUSE, there = false; wanted();) {
    try {
      const loaded = await load();
      keep(kept, null);
      setMissing(part, false);
      return loaded;
    } catch (error) {
      if (!notCome(error)) throw error;
    }
    if (there) {
      if (recall(kept) === null) {
        keep(kept, "yes");
        location.reload();
      } else {
        setMissing(part, true);
      }
      return null;
    }
    while (wanted() && !(there = await reachable())) {
      await new Promise((resolve) => {
        setTimeout(resolve, pause);
      });
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }
  return null;
}

/**
 * Says that a part is missing, and has a button for the page anew.
 *
 * @param {() => boolean} [shown]
 * @returns {import("./dom.js").Part<any>}
 */
export function createMissing(shown = () => missing.size > 0) {
  /** @type {View<any>} */
  const view = new View();
  const element = view.h(
    "div",
    { class: "banner question", "data-testid": "page-part-missing", hidden: () => !shown() },
    view.h("p", {}, () => t("part.missing")),
    view.h(
      "button",
      { type: "button", class: "primary", "data-testid": "page-anew", onclick: on(() => location.reload()) },
      () => t("part.anew"),
    ),
  );
  const show = () => {
    element.hidden = !shown();
    if (!element.hidden && element.isConnected) announce(t("part.missing"));
  };
  return view.part(element, changes.on("change", show));
}
