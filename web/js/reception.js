// @ts-check
/**
 * /reception: who waits for whom. It asks with links that were handed to it, speaks with those who wait, and
 * has no socket, no key and no way into a call. The links stay in this tab.
 */
import { announce, notify } from "./announcer.js";
import { ApiError, request } from "./api.js";
import { callAttention, play, readySound } from "./knock.js";
import { t } from "./language.js";
import { startPage } from "./page.js";
import {
  everybodyWaiting, isFinal, newcomers, RECEPTION_START, reduceReception, tokensOf,
} from "./receptionstate.js";
import { createDesks, createEmpty } from "./receptionview.js";
import { createStore } from "./store.js";
import { keep, recall } from "./tabmemory.js";

/** @typedef {import("./receptionstate.js").ReceptionView} ReceptionView */

const KEY = "reception";
/** How often it is asked who waits, ms: while the page is looked at, and else. */
const LOOKS = Object.freeze({ seen: 3000, unseen: 10_000 });

const store = createStore(reduceReception, RECEPTION_START);

/** @param {string} text what may hold links */
function takeIn(text) {
  const tokens = tokensOf(text);
  if (tokens.length === 0) {
    store.dispatch({ type: "bad_link" });
    return false;
  }
  store.dispatch({ type: "links", tokens });
  void look();
  return true;
}

function takeFragment() {
  const fragment = location.hash.slice(1);
  if (fragment === "") return;
  // It shows who waits: it does not stay where it could be read over a shoulder or bookmarked.
  history.replaceState(null, "", location.pathname);
  takeIn(fragment);
}

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  await Promise.all(store.state.desks.map(async ({ token, problem }) => {
    if (isFinal(problem)) return;
    try {
      const view = /** @type {ReceptionView} */ (await request("reception", token));
      store.dispatch({ type: "seen", token, view, now: Date.now() });
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "internal";
      store.dispatch({ type: "unseen", token, code });
    }
  }));
  looking = false;
}

function keepLooking() {
  setTimeout(() => {
    void look().finally(keepLooking);
  }, document.visibilityState === "visible" ? LOOKS.seen : LOOKS.unseen);
}

/**
 * @param {string} path
 * @param {string} token
 * @param {object} body
 * @returns {Promise<any>} null where it was refused, which has been said then
 */
async function act(path, token, body) {
  try {
    const answer = await request(path, token, body);
    void look();
    return answer;
  } catch (error) {
    const code = error instanceof ApiError ? error.code : "internal";
    const words = code === "not_found" ? t("reception.gone")
      : code === "room_full" || code === "room_locked" || code === "room_ended" ? t("reception.no_place")
        : t("reception.not_done");
    notify(words);
    void look();
    return null;
  }
}

store.subscribe((state, before) => {
  if (state.desks !== before.desks) {
    keep(KEY, state.desks.length > 0 ? state.desks.map(({ token }) => token).join("+") : null);
  }
  const known = before.desks.some(({ asked }) => asked);
  const [first] = newcomers(before, state);
  if (!known || first === undefined) return;
  const words = t("reception.came", { name: first.name });
  announce(words);
  play("knock");
  callAttention(words);
});

readySound();
void startPage({
  store,
  words: "reception",
  screenOf: ({ phase }) => phase,
  screens: {
    empty: () => createEmpty(takeIn),
    open: () => createDesks({
      takeIn,
      forget: (provider) => store.dispatch({ type: "forget", provider }),
      tell: async (token, room, participant, text) => {
        const answer = await act("reception/tell", token, { room, participant, text });
        if (answer === null) return false;
        notify(answer.reached > 0 ? t("reception.told") : t("reception.not_there"));
        return answer.reached > 0;
      },
      passOn: async (token, room, participant, place) => {
        const body = place === null ? { room, participant, to: null }
          : { room, participant, to: place.room.room, token: place.token };
        if (await act("reception/pass-on", token, body) === null) return;
        notify(place === null ? t("reception.taken_back") : t("reception.asked", { name: place.desk.name }));
      },
    }),
  },
  titleOf: (state) => {
    const count = everybodyWaiting(state).length;
    return count > 0 ? `(${count}) ${t("reception.page")}` : t("reception.page");
  },
  ticks: ({ phase }) => phase === "open",
});
const kept = recall(KEY);
if (kept !== null) takeIn(kept);
takeFragment();
addEventListener("hashchange", takeFragment);
keepLooking();
