// @ts-check
/**
 * Passkeys in the browser (Web Authentication Level 3): adding one, signing in with one. Loaded when one
 * is wanted. What an authenticator gives is handed on as it is; the server does the looking.
 */
import { ApiError, request } from "./api.js";
import { fromBase64url, toBase64url, utf8 } from "./bytes.js";

/**
 * @typedef {{id: string, added: string}} Passkey  added: the day, YYYY-MM-DD
 * @typedef {{passkeys: Passkey[], most: number}} PasskeyView
 * @typedef {{challenge: string, rp: string}} Challenge
 * @typedef {Challenge & {user: import("./api.js").Provider, algorithms: number[], known: string[]}} NewChallenge
 */

/** How long somebody may look for their telephone, ms; the challenge is good for as long. */
const PATIENCE = 5 * 60_000;

/** @returns {Promise<import("./api.js").DeskView>} with who is signed in by it */
export async function signInWithPasskey() {
  const asked = /** @type {Challenge} */ (await request("sign-in/passkey/challenge", null, {}));
  const given = await ceremony(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: utf8(asked.challenge),
        rpId: asked.rp,
        // None named: the authenticator knows who it has a passkey of, and we do not ask for a name.
        allowCredentials: [],
        userVerification: "required",
        timeout: PATIENCE,
      },
    }),
  );
  const response = /** @type {AuthenticatorAssertionResponse} */ (given.response);
  const answer = await request("sign-in/passkey", null, {
    id: given.id,
    // Of whatever made it: a passkey of this name that is not ours is refused, and does not throw here.
    user: new TextDecoder().decode(response.userHandle ?? new ArrayBuffer(0)).slice(0, 64),
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
  });
  return /** @type {import("./api.js").DeskView} */ (answer);
}

/** @returns {Promise<readonly Passkey[]>} all there are then */
export async function addPasskey() {
  const asked = /** @type {NewChallenge} */ (await request("passkeys/challenge", null, {}));
  const given = await ceremony(() =>
    navigator.credentials.create({
      publicKey: {
        challenge: utf8(asked.challenge),
        rp: { id: asked.rp, name: "Konsil" },
        user: { id: utf8(asked.user.id), name: asked.user.name, displayName: asked.user.name },
        pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: asked.known.map((id) => ({
          type: "public-key",
          id: fromBase64url(id) ?? new Uint8Array(),
        })),
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
        attestation: "none",
        timeout: PATIENCE,
      },
    }),
  );
  const response = /** @type {AuthenticatorAttestationResponse} */ (given.response);
  const answer = await request("passkeys", null, {
    id: given.id,
    client_data: text(response.clientDataJSON),
    attestation: text(response.attestationObject),
  });
  return /** @type {PasskeyView} */ (answer).passkeys;
}

/** @returns {Promise<readonly Passkey[]>} */
export async function askPasskeys() {
  return /** @type {PasskeyView} */ (await request("passkeys", null)).passkeys;
}

/**
 * @param {string} id
 * @returns {Promise<readonly Passkey[]>} what is left
 */
export async function removePasskey(id) {
  return /** @type {PasskeyView} */ (await request("passkeys/remove", null, { id })).passkeys;
}

/**
 * @param {() => Promise<Credential | null>} begin
 * @returns {Promise<PublicKeyCredential>}
 */
async function ceremony(begin) {
  try {
    const given = await begin();
    if (given instanceof PublicKeyCredential) return given;
  } catch (error) {
    if (error instanceof DOMException && error.name === "InvalidStateError") throw new ApiError("already_used");
  }
  // Refused, cancelled, too late, or none there: a browser does not tell which, so that no page learns it.
  throw new ApiError("passkey_unused");
}

/** @param {ArrayBuffer} buffer */
function text(buffer) {
  return toBase64url(new Uint8Array(buffer));
}
