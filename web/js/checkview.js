// @ts-check
/** What the check of the line shows: how far it is, what came out, what to do, and a report to copy. */
import { on, View } from "./dom.js";
import { onLanguage, t } from "./language.js";
import { browserOf, reportOf, troublesOf, verdictOf, WAYS } from "./lineverdict.js";

/**
 * @typedef {import("./i18n.js").Key} Key
 * @typedef {import("./linecheck.js").LineCheck} LineCheck
 * @typedef {import("./lineverdict.js").Findings} Findings
 * @typedef {import("./lineverdict.js").Reach} Reach
 * @typedef {import("./lineverdict.js").Trouble} Trouble
 * @typedef {import("./lineverdict.js").Verdict} Verdict
 * @typedef {import("./lineverdict.js").Way} Way
 * @typedef {{element: HTMLElement, focus: () => void, remove: () => void}} Shown
 */

/** @type {Readonly<Record<Verdict, Key>>} */
const VERDICTS = Object.freeze({
  full: "check.full", sound: "check.sound", poor: "check.poor", cut: "check.cut", unsure: "check.unsure",
});
/** @type {Readonly<Record<Trouble, Key>>} */
const TROUBLES = Object.freeze({
  no_socket: "check.no_socket", no_relay: "check.no_relay", no_udp: "check.no_udp", slow: "check.slow",
  lossy: "check.lossy", far: "check.far", no_measure: "check.no_measure",
});
/** @type {Readonly<Record<Way, Key>>} */
const NAMES = Object.freeze({ udp: "check.udp", tcp: "check.tcp", tls: "check.tls" });
/** @type {Readonly<Record<Reach, Key>>} */
const REACH = Object.freeze({
  open: "check.open", answers: "check.answers", shut: "check.shut", unknown: "check.unknown",
  absent: "check.unknown",
});
/** @type {Readonly<Partial<Record<import("./linecheck.js").Phase, Key>>>} */
const PHASES = Object.freeze({
  ways: "check.ways", line: "check.line", stopped: "check.stopped", failed: "check.failed",
});

/** @param {Findings} found @returns {Array<[name: Key, value: string]>} */
function factsOf({ socket, ways, line }) {
  /** @type {Array<[Key, string]>} */
  const facts = [["check.server", t(socket ? "check.open" : "check.shut")]];
  for (const way of WAYS) if (ways[way] !== "absent") facts.push([NAMES[way], t(REACH[ways[way]])]);
  if (line !== null) {
    facts.push(
      ["check.rate", t("check.rate_is", { kbit: Math.round(line.kbit) })],
      ["check.loss", t("check.loss_is", { percent: Math.round(line.loss * 1000) / 10 })],
      ["check.trip", t("check.trip_is", { ms: Math.round(line.trip) })],
    );
  }
  return facts;
}

/**
 * @param {LineCheck} check
 * @param {boolean} host
 * @returns {Shown}
 */
export function createCheckView(check, host) {
  /** @type {View<LineCheck>} */
  const view = new View();
  const shown = (/** @type {LineCheck} */ { phase, found }) => (phase === "done" ? found : null);
  const verdict = (/** @type {LineCheck} */ state) => {
    const found = shown(state);
    return found === null ? null : verdictOf(found);
  };
  const report = view.h(
    "pre",
    { class: "check-report", "data-testid": "check-report", tabindex: "0", translate: "no", dir: "ltr" },
    (state) => {
      const found = shown(state);
      return found === null ? "" : reportOf(found, browserOf(navigator.userAgent), state.at);
    },
  );
  const copied = view.h("p", { class: "hint", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(report.textContent ?? "");
      copied.textContent = t("check.copied");
    } catch {
      // No clipboard without https or permission: selected, it can be copied by hand.
      getSelection()?.selectAllChildren(report);
      copied.textContent = t("check.copy_by_hand");
    }
  };

  const advice = view.h("ul", { class: "check-advice", hidden: (s) => troubles(s).length === 0 });
  const troubles = (/** @type {LineCheck} */ state) => {
    const found = shown(state);
    return found === null ? [] : troublesOf(found);
  };
  view.each(advice, troubles, (trouble) => trouble, (trouble) => {
    /** @type {View<Trouble>} */
    const item = new View();
    const element = item.h("li", { "data-trouble": trouble }, (it) => t(TROUBLES[it]));
    return { element, update: () => item.update(trouble) };
  });

  const facts = view.h("dl", { class: "check-facts" });
  view.bind(
    (s) => JSON.stringify(shown(s) === null ? [] : factsOf(/** @type {Findings} */ (s.found)).map(([key, value]) => [t(key), value])),
    (text) => {
      facts.replaceChildren(...JSON.parse(text).map((/** @type {[string, string]} */ [name, value]) =>
        view.h("div", {}, view.h("dt", {}, name), view.h("dd", {}, value))));
    },
  );

  // One and the same, so that the keyboard's place stays.
  const button = view.h(
    "button",
    {
      type: "button",
      "data-testid": "check-button",
      onclick: on(() => (check.running ? check.stop() : void check.start())),
    },
    (s) => t(s.running ? "check.stop" : "check.again"),
  );
  const element = view.h(
    "div",
    { class: "check-body" },
    view.h("h2", { id: "check-title" }, () => t("check.title")),
    view.h("p", { class: "hint" }, () => t(host ? "check.hint_host" : "check.hint")),
    view.h(
      "p",
      {
        class: "check-result",
        role: "status",
        "data-testid": "check-result",
        "data-phase": (s) => s.phase,
        "data-verdict": (s) => verdict(s) ?? "",
        hidden: (s) => s.phase === "idle",
      },
      (s) => {
        const result = verdict(s);
        if (result !== null) return t(VERDICTS[result]);
        const key = PHASES[s.phase];
        return key === undefined ? "" : t(key);
      },
    ),
    advice,
    view.h(
      "details",
      { class: "check-details", hidden: (s) => shown(s) === null },
      view.h("summary", {}, () => t("check.facts")),
      view.h(
        "div",
        { class: "check-more" },
        facts,
        view.h("p", { class: "hint" }, () => t("check.report")),
        report,
        view.h(
          "button",
          { type: "button", "data-testid": "check-copy", onclick: on(() => void copy()) },
          () => t("check.copy"),
        ),
        copied,
      ),
    ),
    button,
  );
  const update = () => view.update(check);
  const away = [check.on("change", update), onLanguage(update)];
  update();
  return {
    element,
    focus: () => button.focus(),
    remove: () => {
      for (const off of away) off();
    },
  };
}
