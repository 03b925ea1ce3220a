// @ts-check
/** /provider, where a provider makes consultations. The links' secret is made here and stays here. */
import { ApiError, createConsultation } from "./api.js";
import { toBase64url } from "./bytes.js";
import { createForm, createLinks, MINUTES } from "./consultationview.js";
import { View } from "./dom.js";
import { takeFragment } from "./fragment.js";
import { icon } from "./icons.js";
import { t } from "./language.js";
import { makeLink } from "./link.js";
import { startPage } from "./page.js";
import { PROVIDER_START, reduceProvider, refusalOf } from "./providerstate.js";
import { createStore } from "./store.js";

/** @typedef {import("./providerstate.js").ProviderState} ProviderState */

/** The link's secret, bytes (protocol section 7). */
const SECRET_LENGTH = 16;

const store = createStore(reduceProvider, PROVIDER_START);
const parsed = takeFragment("provider");
if (parsed.ok) {
  // This one signs in: it does not stay where it could be read over a shoulder or bookmarked.
  history.replaceState(null, "", location.pathname);
} else {
  store.dispatch({ type: "refused", code: parsed.code });
}

/** @param {import("./consultationview.js").Wish} wish */
async function create({ startsAt, minutes }) {
  if (!parsed.ok) return;
  const fits = Number.isInteger(minutes) && minutes >= MINUTES.least && minutes <= MINUTES.most;
  if (!fits || Number.isNaN(startsAt)) {
    store.dispatch({ type: "failed", code: "bad_request" });
    return;
  }
  store.dispatch({ type: "create" });
  try {
    const made = await createConsultation(parsed.link.token, {
      starts_at: startsAt === null ? "now" : new Date(startsAt).toISOString(),
      minutes,
    });
    const secret = toBase64url(crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)));
    store.dispatch({
      type: "made",
      made: {
        clientLink: makeLink(`${location.origin}/join`, made.client_token, secret),
        hostLink: makeLink(`${location.origin}/host`, made.host_token, secret),
        startsAt: made.starts_at,
        closesAt: made.closes_at,
      },
    });
  } catch (error) {
    store.dispatch(refusalOf(error instanceof ApiError ? error.code : "internal"));
  }
}

/** @returns {import("./dom.js").Part<ProviderState>} */
function createProblem() {
  /** @type {View<ProviderState>} */
  const view = new View();
  return view.part(
    view.h(
      "section",
      { class: "card message", "data-testid": "error-message", "data-code": (s) => s.problem },
      icon("lock"),
      view.h("h1", { tabindex: "-1" }, (s) =>
        t(s.problem === "link_missing" ? "provider.sign_in" : "provider.bad_link"),
      ),
      view.h("p", {}, () => t("provider.sign_in_do")),
    ),
  );
}

void startPage({
  store,
  screenOf: ({ phase }) => (phase === "busy" ? "form" : phase),
  screens: {
    form: () => createForm((wish) => void create(wish)),
    made: () => createLinks(() => store.dispatch({ type: "another" })),
    problem: createProblem,
  },
  titleOf: () => t("title.provider"),
});
