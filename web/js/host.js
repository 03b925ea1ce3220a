// @ts-check
/** /host, the provider's page for one consultation: puts state, visit and screens together. */
import { announce, notify } from "./announcer.js";
import { announcementsBetween } from "./announcements.js";
import { CheckGate } from "./checkgate.js";
import { createCodeBox } from "./codebox.js";
import { createConsentList, Receipts } from "./consentreceipts.js";
import { createDesk } from "./deskview.js";
import { createEarly } from "./earlyview.js";
import { takeFragment } from "./fragment.js";
import { HOST_START, knocksBetween, reduceHost, talking, waitingOf } from "./hoststate.js";
import { callAttention, play, readySound } from "./knock.js";
import { t } from "./language.js";
import { createLoading, createOver, createProblem, createTrouble } from "./messageview.js";
import { startPage } from "./page.js";
import { createDeletion } from "./receipts.js";
import { createStore } from "./store.js";
import { createTellBox } from "./tellbox.js";
import { Visit } from "./visit.js";
import { keepAwake } from "./wakelock.js";

/**
 * @typedef {import("./hoststate.js").HostState} HostState
 * @typedef {import("./hoststate.js").HostPhase} HostPhase
 * @typedef {import("./i18n.js").Key} Key
 */

/** @type {Readonly<Record<HostPhase, Key>>} */
const TITLES = Object.freeze({
  loading: "title.host", trouble: "title.trouble", early: "title.early", entering: "title.host",
  desk: "title.host", problem: "title.problem", over: "title.over",
});

/** @type {ReadonlyMap<string, Key>} */
const FAULTS = new Map([["unknown_participant", "desk.gone"], ["group_unsupported", "desk.unsupported"],
  ["room_full", "desk.full"]]);

/** Longest wait for the server's word that the room has ended, ms. */
const END_PATIENCE = 8000;

const store = createStore(reduceHost, HOST_START);
const parsed = takeFragment("host");

if (parsed.ok) {
  const { token, room } = parsed.link;
  const receipts = new Receipts(room, () => void page.then(({ refresh }) => refresh()));
  const visit = new Visit({
    page: "host", fragment: parsed.fragment, link: parsed.link, dispatch: store.dispatch,
    onreceipt: ({ participant, receipt }) => {
      const name = store.state.room?.participants.find(({ id }) => id === participant)?.name ?? "";
      receipts.take(participant, name, receipt);
    },
    onstream: () => void page.then(({ refresh }) => refresh()),
  });
  const { devices } = visit;
  const check = new CheckGate(token, true);

  const enter = (reopen = false) => {
    store.dispatch({ type: "enter" });
    go(reopen);
  };
  const go = (reopen = false) => {
    if (store.state.devices.microphone === "idle") void devices.open();
    void visit.enter({ reopen });
  };
  const again = () => {
    store.dispatch({ type: "retry" });
    void visit.check();
  };
  /** @type {import("./waitinglist.js").PanelOptions["act"]} */
  const act = async (verb, participant) => {
    // That goes to the page itself; a server knows nothing of hands.
    if (verb === "lower_hand") return visit.chat.tools?.lowerHand(participant);
    const code = await visit.command(verb, { participant });
    if (code !== "") notify(t(FAULTS.get(code) ?? "desk.not_done"));
    else if (verb === "ask_mute") {
      const name = store.state.call.find(({ id }) => id === participant)?.name ?? "";
      notify(t("desk.asked_mute", { name }));
    }
  };
  const lock = async (/** @type {boolean} */ locked) => {
    if ((await visit.command("lock", { locked })) !== "") notify(t("desk.not_done"));
  };
  const end = async () => {
    const late = new Promise((resolve) => {
      setTimeout(resolve, END_PATIENCE, "late");
    });
    if ((await Promise.race([visit.command("end"), late])) !== "" && store.state.phase === "desk") {
      notify(t("end.failed"));
    }
  };
  const remedies = { again, enter: () => enter(), reopen: () => enter(true) };
  const tile = {
    streams: visit.streams,
    retry: (/** @type {string} */ id) => visit.retryPeer(id),
    compared: (/** @type {string} */ participant) => store.dispatch({ type: "peer_compared", participant }),
    pin: (/** @type {string} */ participant) => store.dispatch({ type: "peer_pin", participant }),
    differ: (/** @type {string} */ participant) => {
      notify(t("security.differed"));
      void act("remove", participant);
    },
  };

  const page = startPage({
    store,
    words: "host",
    quiet: () => visit.quiet,
    screenOf: ({ phase }) => (phase === "entering" ? "loading" : phase),
    screens: {
      loading: createLoading,
      trouble: () => createTrouble(again),
      early: createEarly,
      desk: () => createDesk({
        tools: () => [
          createTellBox((words) => visit.tell(words)),
          createCodeBox(token),
          check.part(talking),
          createConsentList(receipts, room),
        ],
        devices, chat: visit.chat, tile, act, end, leave: () => void visit.leave(), lock: (on) => void lock(on),
        group: visit.group.actions, invite: () => visit.inviteGuest(),
      }),
      problem: () => createProblem("host", remedies),
      over: () => createOver("host", remedies, [createConsentList(receipts, room), createDeletion(token, room)]),
    },
    titleOf: (state) => {
      const count = waitingOf(state).length;
      const title = t(TITLES[state.phase], { provider: state.appointment?.provider ?? "" });
      return count > 0 ? `(${count}) ${title}` : title;
    },
    ticks: (state) => state.phase === "early" || state.phase === "trouble" || state.phase === "desk",
  });

  // The link is asked about while the words are still on their way; nothing can be said before.
  let speaking = false;
  void page.then(() => {
    speaking = true;
  });
  store.subscribe((state, before) => {
    if (state.phase !== before.phase) changePhase(state.phase, before.phase);
    // Who was waiting before this page came is seen; only who comes now is heard.
    if (before.room !== null) tellKnocks(state, before);
    if (!speaking) return;
    for (const { key, values, urgent } of announcementsBetween(before, state)) {
      announce(t(key, values), urgent);
    }
  });

  /**
   * @param {HostState} state
   * @param {HostState} before
   */
  function tellKnocks(state, before) {
    const [first] = knocksBetween(before, state);
    if (first === undefined) return;
    const words = t("desk.knock", { name: first.name });
    announce(words);
    if (talking(state)) return;
    play("knock");
    callAttention(words);
  }

  /**
   * @param {HostPhase} phase
   * @param {HostPhase} before
   */
  function changePhase(phase, before) {
    keepAwake(phase === "desk");
    if (phase === "entering" && before !== "problem" && before !== "over") go();
    else if (phase === "problem") devices.close();
  }

  readySound();
  void visit.check();
} else {
  const view = createProblem("host", { again: () => {}, enter: () => {}, reopen: () => {} });
  store.dispatch({ type: "refused", code: parsed.code });
  void startPage({
    store, words: "host", screenOf: () => "problem", screens: { problem: () => view },
    titleOf: () => t("title.problem"),
  });
}
