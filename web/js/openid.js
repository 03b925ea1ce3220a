// @ts-check
/**
 * Signing in by way of an OpenID provider, as far as the page goes: it makes the code verifier (RFC 7636),
 * keeps it in this tab, and hands it over with what it is sent back with. So a code is good in this tab
 * alone. Loaded when somebody goes there or comes back.
 */
import { ApiError, request } from "./api.js";
import { toBase64url, utf8 } from "./bytes.js";
import { keep, recall } from "./tabmemory.js";

/** Of the verifier, bytes: 43 characters. */
const VERIFIER_LENGTH = 32;
const KEPT = "openid";

/** Leaves the page for the OpenID provider's. */
export async function leaveFor() {
  const verifier = toBase64url(crypto.getRandomValues(new Uint8Array(VERIFIER_LENGTH)));
  const digest = await crypto.subtle.digest("SHA-256", utf8(verifier));
  const challenge = toBase64url(new Uint8Array(digest));
  const asked = await request("sign-in/openid/request", null, { challenge });
  const { url, state } = /** @type {{url: string, state: string}} */ (asked);
  keep(KEPT, JSON.stringify({ verifier, state }));
  // The address is the server's, from what its operator has set; never anything but a web page.
  if (!/^https?:\/\//.test(url)) throw new ApiError("openid_unavailable");
  location.assign(url);
}

/**
 * @param {URLSearchParams} given
 * @returns {Promise<import("./api.js").DeskView>} with who is signed in by it
 */
export async function comeBack(given) {
  const kept = recall(KEPT);
  keep(KEPT, null);
  const { verifier, state } = /** @type {{verifier: string, state: string}} */ (JSON.parse(kept ?? "{}"));
  if (verifier === undefined || state !== given.get("state")) throw new ApiError("openid_refused");
  const code = given.get("code");
  // Whoever thinks better of it there comes back with an error in place of a code.
  if (code === null) throw new ApiError("openid_unused");
  const answer = await request("sign-in/openid", null, { code, state, verifier, issuer: given.get("iss") ?? "" });
  return /** @type {import("./api.js").DeskView} */ (answer);
}
