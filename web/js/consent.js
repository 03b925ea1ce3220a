// @ts-check
/**
 * The client's consent: which text was agreed to, signed by the server, for the provider's records. The
 * receipt stays in this tab and goes to the host's page, sealed; the server keeps none.
 */
import { ApiError, askConsentReceipt } from "./api.js";
import { utf8 } from "./bytes.js";
import { currentLanguage, t } from "./language.js";
import { keep, recall } from "./tabmemory.js";

/** Between tries, ms. */
const PAUSES = [1000, 5000, 20_000, 60_000];
const KEY = "consent";

/** What was shown and agreed to; signaling/consent_texts.py puts the same together. */
function shownText() {
  return [t("setup.notice"), t("setup.consent")].join("\n");
}

/** @param {string} text @returns {Promise<string>} SHA-256, hexadecimal */
async function digestOf(text) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The person has just ticked the box and gone on. Does not keep anybody waiting.
 * @param {{options: {link: {token: string}}, memory: {secret: string, fragment: string},
 *   handReceipt: (receipt: string) => void}} visit
 */
export async function recordConsent(visit) {
  const { token } = visit.options.link;
  const { secret } = visit.memory;
  const language = currentLanguage();
  const text = shownText();
  for (const pause of [0, ...PAUSES]) {
    if (pause > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, pause);
      });
    }
    try {
      const receipt = await askConsentReceipt(token, secret, language, await digestOf(text));
      keep(KEY, JSON.stringify({ fragment: visit.memory.fragment, receipt }));
      visit.handReceipt(receipt);
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.passing) return;
    }
  }
}

/** It has been handed over, or nobody is left who wants it. */
export function forgetConsent() {
  keep(KEY, null);
}

/**
 * After a reload: what was signed before.
 * @param {import("./visit.js").Visit} visit
 */
export function recallConsent(visit) {
  try {
    const { fragment, receipt } = JSON.parse(recall(KEY) ?? "{}");
    if (fragment === visit.memory.fragment && typeof receipt === "string") visit.handReceipt(receipt);
  } catch {
    // Not ours; the host's page goes without.
  }
}
