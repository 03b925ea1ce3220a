// @ts-check
/** /join, the client's page: puts state, visit and screens together. */
import { announce } from "./announcer.js";
import { announcementsBetween } from "./announcements.js";
import { createCall } from "./callview.js";
import { CheckGate } from "./checkgate.js";
import { forgetConsent, recallConsent, recordConsent } from "./consent.js";
import { View } from "./dom.js";
import { createEarly } from "./earlyview.js";
import { JOIN_START, reduceJoin } from "./joinstate.js";
import { callAttention, play, readySound } from "./knock.js";
import { t } from "./language.js";
import { takeFragment } from "./fragment.js";
import { createLoading, createOver, createProblem, createTrouble } from "./messageview.js";
import { notifyAway } from "./notification.js";
import { startPage } from "./page.js";
import { createDeletion } from "./receipts.js";
import { createSetup } from "./setupview.js";
import { createStore } from "./store.js";
import { forgetTold } from "./told.js";
import { Visit } from "./visit.js";
import { createWaiting } from "./waitingview.js";
import { keepAwake } from "./wakelock.js";

/**
 * @typedef {import("./joinstate.js").JoinState} JoinState
 * @typedef {import("./joinstate.js").JoinPhase} JoinPhase
 * @typedef {import("./i18n.js").Key} Key
 */

/** @type {Readonly<Record<JoinPhase, Key>>} */
const TITLES = Object.freeze({
  loading: "title.join", trouble: "title.trouble", early: "title.early", ready: "title.join",
  entering: "title.waiting", waiting: "title.waiting", call: "title.call", problem: "title.problem",
  over: "title.over",
});

const store = createStore(reduceJoin, JOIN_START);
const parsed = takeFragment("join");

if (parsed.ok) {
  const visit = new Visit({
    page: "join", fragment: parsed.fragment, link: parsed.link, dispatch: store.dispatch,
    onstream: () => void page.then(({ refresh }) => refresh()),
  });
  const { devices } = visit;
  const check = new CheckGate(parsed.link.token);
  recallConsent(visit);

  const enter = (name = visit.memory.name) => {
    if (store.state.devices.microphone === "idle") void devices.open();
    store.dispatch({ type: "enter" });
    void visit.enter({ name });
  };
  const again = () => {
    store.dispatch({ type: "retry" });
    void visit.check();
  };
  const leave = () => void visit.leave();
  const remedies = { again, enter: () => enter(), reopen: again };
  const tile = {
    streams: visit.streams,
    retry: (/** @type {string} */ id) => visit.retryPeer(id),
    compared: (/** @type {string} */ participant) => store.dispatch({ type: "peer_compared", participant }),
    pin: (/** @type {string} */ participant) => store.dispatch({ type: "peer_pin", participant }),
    differ: () => void visit.leave("unsafe"),
  };
  const waiting = () => createWaiting({ devices, check, leave, visit });

  const page = startPage({
    store,
    quiet: () => visit.quiet,
    // From the click to the waiting room is one screen, not two that flicker.
    screenOf: ({ phase }) => (phase === "entering" ? "waiting" : phase),
    screens: {
      loading: createLoading,
      trouble: () => createTrouble(again),
      early: createEarly,
      ready: () => createSetup({
        devices, check, name: visit.memory.name,
        join: (name) => {
          void recordConsent(visit);
          enter(name);
        },
      }),
      waiting,
      call: () => createCall(new View(), {
        devices, chat: visit.chat, tile, group: visit.group.actions, leave, more: [], alone: aloneWords,
      }),
      problem: () => createProblem("join", remedies),
      over: () => createOver("join", remedies, [createDeletion(parsed.link.token, parsed.link.room)]),
    },
    titleOf: (state) => t(TITLES[state.phase]),
    ahead: ({ phase }) => (phase === "waiting" ? "call" : ""),
    ticks: ({ phase, told }) =>
      phase === "early" || phase === "trouble" || (phase === "waiting" && told?.minutes !== undefined),
  });

  // The link is asked about while the words are still on their way; nothing can be said before.
  let speaking = false;
  void page.then(() => {
    speaking = true;
  });
  store.subscribe((state, before) => {
    if (state.phase !== before.phase) changePhase(state.phase, before.phase);
    if (!speaking) return;
    for (const { key, values, urgent } of announcementsBetween(before, state)) {
      announce(t(key, values), urgent);
    }
  });

  /**
   * @param {JoinPhase} phase
   * @param {JoinPhase} before
   */
  function changePhase(phase, before) {
    if (phase !== "entering" && phase !== "waiting") check.stop();
    keepAwake(phase === "waiting" || phase === "call" || phase === "early");
    if (phase === "ready" && before !== "entering") {
      if (visit.memory.entered) {
        enter();
      } else {
        void devices.open();
        void visit.prepare();
      }
    } else if (phase === "call" && before === "waiting") {
      void visit.calm().then(() => {
        play("admitted");
        callAttention(t("title.admitted"));
        notifyAway(t("title.admitted"));
      });
    } else if (phase === "problem") {
      visit.remember({ entered: false });
      devices.close();
    } else if (phase === "over") {
      forgetTold();
      if (store.state.over === "ended") forgetConsent();
    }
  }

  readySound();
  if (visit.memory.entered) {
    // A reload in the middle: everything at once, so that the way back is short.
    void devices.open();
    void visit.prepare();
  }
  void visit.check();
} else {
  // Most people come with a link and need no field for a code.
  const view = parsed.code === "link_missing"
    ? (await import("./codeentry.js")).createCodeEntry()
    : createProblem("join", { again: () => {}, enter: () => {}, reopen: () => {} });
  store.dispatch({ type: "refused", code: parsed.code });
  void startPage({
    store, screenOf: () => "problem", screens: { problem: () => view },
    titleOf: () => t("title.problem"),
  });
}

/** @param {import("./visitstate.js").VisitData} state */
function aloneWords(state) {
  const provider = state.appointment?.provider ?? "";
  return t(state.room?.host_present ? "call.alone_connecting" : "call.alone", { provider });
}
