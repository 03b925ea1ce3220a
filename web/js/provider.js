// @ts-check
/**
 * /provider, the provider's desk: signs in, makes consultations, shows who waits. The links' secret is
 * made here and stays here.
 */
import { announce, notify } from "./announcer.js";
import { ApiError, askDesk, askQueue, askSignInLink, createConsultation, signIn, signOut } from "./api.js";
import { toBase64url } from "./bytes.js";
import { MINUTES } from "./consultationview.js";
import { takeFragment } from "./fragment.js";
import { createInvitation } from "./invitationview.js";
import { callAttention, play, readySound } from "./knock.js";
import { t } from "./language.js";
import { makeLink, parseFragment, subjectOf } from "./link.js";
import { createDeskHome } from "./officeview.js";
import { OwnList } from "./ownlist.js";
import { startPage } from "./page.js";
import { newcomers, PROVIDER_START, reduceProvider, refusalOf, waitingInAll } from "./providerstate.js";
import { createSignedOut, createSigningIn } from "./signinview.js";
import { createStore } from "./store.js";

/** @typedef {import("./ownlist.js").Planned} Planned */

/** The link's secret, bytes (protocol section 7). */
const SECRET_LENGTH = 16;
/** How often the sign-in is kept alive, ms: well within the hour that it lives unused. */
const ALIVE = 5 * 60_000;
/** How often queues are asked for, ms: while the page is looked at, and else. */
const QUEUES = Object.freeze({ seen: 5000, unseen: 20_000 });
/** Rooms whose queue is shown at a time. */
const QUEUES_MOST = 8;

/** @type {Readonly<Record<string, import("./i18n.js").Key>>} */
const PASSKEY_WORDS = Object.freeze({
  passkey_unused: "passkey.unused",
  already_used: "passkey.known",
  passkeys_full: "passkey.full",
});

const store = createStore(reduceProvider, PROVIDER_START);
/** Good for one try. */
let returned = takeReturn();
const parsed = takeFragment("provider");
// This one signs in: it does not stay where it could be read over a shoulder or bookmarked.
if (location.hash !== "") history.replaceState(null, "", location.pathname);
/** @type {OwnList | null} */
let own = null;

/**
 * What an OpenID provider has sent somebody back with. It goes from the address at once.
 * @returns {URLSearchParams | null}
 */
function takeReturn() {
  for (const text of [location.search, location.hash]) {
    const given = new URLSearchParams(text.slice(1));
    if (!given.has("state") || !(given.has("code") || given.has("error"))) continue;
    history.replaceState(null, "", location.pathname);
    return given;
  }
  return null;
}

/** With the link, with the cookie of an earlier one, or with what an OpenID provider has said. */
async function open() {
  try {
    const desk = await enterSomehow();
    store.dispatch({ type: "ways", ways: desk.ways });
    if (desk.provider !== null) welcome(desk.provider);
    else store.dispatch({ type: "refused", code: parsed.ok ? "already_used" : parsed.code });
  } catch (error) {
    store.dispatch({ type: "refused", code: error instanceof ApiError ? error.code : "internal" });
    // Where the link does not do, another way may.
    askDesk().then(({ ways }) => store.dispatch({ type: "ways", ways }), () => {});
  }
}

async function enterSomehow() {
  const given = returned;
  returned = null;
  if (given !== null) return (await import("./openid.js")).comeBack(given);
  return parsed.ok ? enter(parsed.link.token) : askDesk();
}

async function goToOpenId() {
  store.dispatch({ type: "retry" });
  try {
    const { leaveFor } = await import("./openid.js");
    await leaveFor();
  } catch (error) {
    store.dispatch({ type: "refused", code: error instanceof ApiError ? error.code : "internal" });
  }
}

async function openWithPasskey() {
  store.dispatch({ type: "retry" });
  try {
    const { signInWithPasskey } = await import("./passkeys.js");
    const { provider } = await signInWithPasskey();
    if (provider !== null) welcome(provider);
  } catch (error) {
    store.dispatch({ type: "refused", code: error instanceof ApiError ? error.code : "internal" });
  }
}

/** @param {string} token */
async function enter(token) {
  try {
    return await signIn(token);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "already_used") throw error;
    // The same link opened again where it has signed in already: no reason to send anybody away.
    const desk = await askDesk();
    if (desk.provider?.id !== subjectOf(token)) throw error;
    return desk;
  }
}

/** @param {import("./api.js").Provider} provider */
function welcome(provider) {
  own = new OwnList(provider.id);
  store.dispatch({ type: "signed_in", provider });
  tellList();
  void showQueues();
  if (store.state.ways.passkey) void changePasskeys((passkeys) => passkeys.askPasskeys(), null);
}

/**
 * @param {(module: typeof import("./passkeys.js")) => Promise<readonly import("./passkeys.js").Passkey[]>} change
 * @param {import("./i18n.js").Key | null} done what to say then
 */
async function changePasskeys(change, done) {
  try {
    const passkeys = await change(await import("./passkeys.js"));
    store.dispatch({ type: "passkeys", passkeys });
    if (done !== null) notify(t(done));
  } catch (error) {
    const code = error instanceof ApiError ? error.code : "internal";
    if (code === "not_signed_in") store.dispatch({ type: "refused", code });
    else notify(t(PASSKEY_WORDS[code] ?? "provider.failed"));
  }
}

function tellList() {
  // A list that another tab changes is shown to nobody who has signed out.
  if (own !== null && store.state.provider !== null) store.dispatch({ type: "list", list: own.list, kept: own.kept });
}

/** @param {import("./consultationview.js").Wish} wish */
async function create({ startsAt, minutes, opensBefore, links, note }) {
  const fits = Number.isInteger(minutes) && minutes >= MINUTES.least && minutes <= MINUTES.most;
  if (!fits || Number.isNaN(startsAt) || !Number.isInteger(opensBefore) || !Number.isInteger(links)) {
    store.dispatch({ type: "failed", code: "bad_request" });
    return;
  }
  if (own?.full) {
    store.dispatch({ type: "failed", code: "list_full" });
    return;
  }
  store.dispatch({ type: "create" });
  try {
    const made = await createConsultation({
      starts_at: startsAt === null ? "now" : new Date(startsAt).toISOString(),
      minutes,
      opens_before: opensBefore,
      links,
    });
    const secret = toBase64url(crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)));
    /** @type {Planned} */
    const planned = {
      room: made.room,
      note,
      hostLink: makeLink(`${location.origin}/host`, made.host_token, secret),
      clientLinks: made.client_tokens.map((token) => makeLink(`${location.origin}/join`, token, secret)),
      startsAt: made.starts_at,
      opensAt: made.opens_at,
      closesAt: made.closes_at,
    };
    own?.change((list) => [...list, planned]);
    tellList();
    store.dispatch({ type: "made", made: planned });
  } catch (error) {
    store.dispatch(refusalOf(error instanceof ApiError ? error.code : "internal"));
  }
}

async function makeNextLink() {
  try {
    const { token } = await askSignInLink();
    store.dispatch({ type: "next_link", link: `${location.origin}/provider#${token}` });
  } catch (error) {
    store.dispatch(refusalOf(error instanceof ApiError ? error.code : "internal"));
  }
}

/**
 * @param {boolean} everywhere
 * @param {boolean} [passkeys] remove them, too
 */
async function leave(everywhere, passkeys = false) {
  try {
    await signOut(everywhere, passkeys);
    store.dispatch({ type: "refused", code: "signed_out" });
  } catch {
    notify(t("provider.failed"));
  }
}

/** @param {Planned} planned */
function forget(planned) {
  own?.change((list) => list.filter(({ room }) => room !== planned.room));
  tellList();
}

/** @param {boolean} kept */
function keepList(kept) {
  own?.setKept(kept);
  tellList();
}

addEventListener("storage", ({ key }) => {
  const change = own?.follow(key) ?? "same";
  if (change === "same") return;
  tellList();
  if (change === "gone" && store.state.provider !== null) notify(t("own.gone"));
});

/** Those whose room is open, or was until a moment ago. */
function openRooms() {
  const now = Date.now();
  return store.state.list
    .filter(({ opensAt, closesAt }) => opensAt <= now && now < closesAt)
    .slice(0, QUEUES_MOST);
}

let asking = false;
async function showQueues() {
  if (asking || own === null) return;
  asking = true;
  const rooms = openRooms();
  const answers = await Promise.all(rooms.map(async ({ room, hostLink }) => {
    const link = parseFragment(new URL(hostLink).hash);
    try {
      return [room, link.ok ? await askQueue(link.link.token) : null];
    } catch {
      return [room, null];
    }
  }));
  store.dispatch({ type: "queues", queues: Object.fromEntries(answers) });
  asking = false;
}

function keepShowing() {
  setTimeout(() => {
    const again = openRooms().length > 0 || Object.keys(store.state.queues).length > 0;
    void (again ? showQueues() : Promise.resolve()).finally(keepShowing);
  }, document.visibilityState === "visible" ? QUEUES.seen : QUEUES.unseen);
}

store.subscribe((state, before) => {
  const [first] = newcomers(before, state);
  if (first === undefined) return;
  const words = t("own.waiting", { names: first.name });
  announce(words);
  play("knock");
  callAttention(words);
});

setInterval(() => {
  if (own === null || !["form", "busy"].includes(store.state.phase)) return;
  askDesk().then(
    ({ provider }) => {
      if (provider === null) store.dispatch({ type: "refused", code: "not_signed_in" });
    },
    // Out of reach for a moment; the next action will tell.
    () => {},
  );
}, ALIVE);

readySound();
void startPage({
  store,
  words: "desk",
  screenOf: ({ phase }) => (phase === "busy" ? "form" : phase),
  screens: {
    opening: createSigningIn,
    form: () =>
      createDeskHome({
        create: (wish) => void create(wish),
        show: (made) => store.dispatch({ type: "made", made }),
        forget,
        keepList,
        makeNextLink: () => void makeNextLink(),
        signOut: (everywhere, passkeys) => void leave(everywhere, passkeys),
        addPasskey: () => void changePasskeys((passkeys) => passkeys.addPasskey(), "passkey.added"),
        removePasskey: (id) =>
          void changePasskeys((passkeys) => passkeys.removePasskey(id), "passkey.removed"),
      }),
    made: () => createInvitation(() => store.dispatch({ type: "another" })),
    problem: () =>
      createSignedOut({
        again: () => {
          store.dispatch({ type: "retry" });
          void open();
        },
        passkey: () => void openWithPasskey(),
        openid: () => void goToOpenId(),
      }),
  },
  titleOf: (state) => {
    const count = waitingInAll(state).length;
    return count > 0 ? `(${count}) ${t("title.provider")}` : t("title.provider");
  },
  ticks: ({ phase }) => phase === "form",
});
void open();
keepShowing();
