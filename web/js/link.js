// @ts-check
/**
 * The link's fragment, `#token~secret`: a token for the server and 16 random bytes for the other
 * page alone. The fragment never leaves the browser by itself; the secret never does at all. Pure.
 */

import { fromBase64url, fromUtf8 } from "./bytes.js";

/**
 * @typedef {{
 *   token: string,
 *   secret: import("./bytes.js").Bytes | null,
 *   room: string,
 * }} Link  `room` is "" in a provider's token
 */

/** @typedef {{ok: true, link: Link} | {ok: false, code: "link_missing" | "link_incomplete"}} Parsed */

const TOKEN = /^[\w-]+\.([\w-]+)\.[\w-]+$/;
const SECRET_LENGTH = 16;

/**
 * Takes a fragment apart. What mail programs do to links (white space, a trailing dot or bracket,
 * percent signs) is undone; what has lost characters is called incomplete, so that the words on
 * the page can say what to do.
 *
 * @param {string} fragment with or without `#`
 * @returns {Parsed}
 */
export function parseFragment(fragment) {
  let text = fragment.replace(/^#/, "");
  try {
    text = decodeURIComponent(text);
  } catch {
    return { ok: false, code: "link_incomplete" };
  }
  text = text.replace(/\s+/g, "").replace(/[.,;:!?)\]>"']+$/, "");
  if (text === "") return { ok: false, code: "link_missing" };
  const [token = "", secretText, ...more] = text.split("~");
  const room = roomOf(token);
  const secret = secretText === undefined ? null : fromBase64url(secretText);
  const lost = secretText !== undefined && secret?.length !== SECRET_LENGTH;
  if (room === null || lost || more.length > 0) return { ok: false, code: "link_incomplete" };
  return { ok: true, link: { token, secret, room } };
}

/**
 * The room a token is for; the server alone judges whether the token is good.
 * @param {string} token
 * @returns {string | null} null where it is no token
 */
export function roomOf(token) {
  return claimOf(token, "room");
}

/**
 * The provider a token is of, by id.
 * @param {string} token
 * @returns {string | null}
 */
export function subjectOf(token) {
  return claimOf(token, "sub");
}

/** @param {string} token @param {string} name @returns {string | null} */
export function claimOf(token, name) {
  const payload = TOKEN.exec(token)?.[1];
  if (payload === undefined) return null;
  try {
    const claims = JSON.parse(fromUtf8(fromBase64url(payload) ?? new Uint8Array()));
    return typeof claims?.[name] === "string" ? claims[name] : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} base e.g. `https://praxis.example/join`
 * @param {string} token
 * @param {string} secret
 */
export function makeLink(base, token, secret) {
  return `${base}#${token}~${secret}`;
}
