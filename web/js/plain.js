// @ts-check
/** Pages of words alone: the start page for somebody without a link, and "no such page". */
import { View } from "./dom.js";
import { t } from "./language.js";
import { startPage } from "./page.js";

/** @typedef {{readonly page: "index" | "missing"}} PlainState */

/** @type {PlainState} */
const state = Object.freeze({
  page: document.body.dataset["page"] === "missing" ? "missing" : "index",
});

/** @returns {import("./dom.js").Part<PlainState>} */
function createIndex() {
  /** @type {View<PlainState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message start" },
      view.h("h1", { tabindex: "-1" }, () => t("index.title")),
      view.h("p", {}, () => t("index.what")),
      view.h("p", {}, () => t("index.private")),
      view.h("p", {}, () => t("index.link")),
    ),
  );
}

/** @returns {import("./dom.js").Part<PlainState>} */
function createMissing() {
  /** @type {View<PlainState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message", "data-testid": "error-message", "data-code": "not_found" },
      view.h("h1", { tabindex: "-1" }, () => t("missing.title")),
      view.h("p", {}, () => t("missing.text")),
      view.h("a", { class: "button primary", href: "/" }, () => t("missing.home")),
    ),
  );
}

void startPage({
  store: { state, subscribe: () => {} },
  screenOf: ({ page }) => page,
  screens: { index: createIndex, missing: createMissing },
  titleOf: ({ page }) => t(page === "index" ? "title.index" : "title.missing"),
});
