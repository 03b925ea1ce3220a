// @ts-check
/** The HTTP API, version 1, as far as the pages use it. Tokens travel in the Authorization header. */

/**
 * @typedef {object} LinkView
 * @property {import("./protocol.js").Role} role
 * @property {string} room
 * @property {string} provider
 * @property {number} opens_at ms since 1970
 * @property {number} closes_at ms since 1970
 * @property {number} server_time ms since 1970
 * @property {boolean} call_quality whether the server wants to know how the call was
 *
 * @typedef {{room: string, host_token: string, client_token: string, client_tokens: string[],
 *   starts_at: number, opens_at: number, closes_at: number}} Consultation times in ms since 1970
 * @typedef {{starts_at: string, minutes: number, opens_before: number, links: number}} Wish
 * @typedef {{id: string, name: string}} Provider
 * @typedef {{passkey: boolean, openid: string | null}} Ways  to sign in besides with a link; openid: its name
 * @typedef {{provider: Provider | null, ends_at: number | null, ways: Ways, server_time: number}} DeskView
 * @typedef {{name: string, since: number, connected: boolean}} Waiting  since in ms since 1970
 * @typedef {{open: boolean, host_present: boolean, inside: number, waiting: Waiting[],
 *   server_time: number}} Queue
 * @typedef {{code: string | null, used: boolean, expires_at: number | null}} CodeView  ms since 1970
 * @typedef {{ice_servers: RTCIceServer[], ttl: number}} IceView  ttl in s
 */

/** No answer within this is none, ms. */
const PATIENCE = 10_000;

/** An answer other than success; `code` as in protocol section 6, or `unreachable`. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {{detail?: string, field?: string, opensAt?: number, retryAfter?: number, serverTime?: number}} [more]
   */
  constructor(code, more = {}) {
    super(more.detail ?? code);
    this.name = "ApiError";
    this.code = code;
    this.field = more.field ?? "";
    this.opensAt = more.opensAt ?? 0;
    /** @type {number} s; 0 where the server named none */
    this.retryAfter = more.retryAfter ?? 0;
    /** @type {number} ms since 1970; 0 where unknown */
    this.serverTime = more.serverTime ?? 0;
  }

  /** Whether the same request may succeed a moment later. */
  get passing() {
    return PASSING.has(this.code);
  }
}

const PASSING = new Set([
  "unreachable",
  "store_unavailable",
  "slow_down",
  "going_away",
  "internal",
]);

/**
 * @param {string} token
 * @returns {Promise<LinkView>}
 */
export async function askLink(token) {
  return /** @type {LinkView} */ (await request("link", token));
}

/**
 * @param {string} token
 * @param {string} secret by which the participant is known; only those admitted are answered
 * @returns {Promise<IceView>}
 */
export async function askIceServers(token, secret) {
  const headers = { "Konsil-Participant": secret };
  return /** @type {IceView} */ (await request("ice-servers", token, undefined, headers));
}

/**
 * For a provider who has signed in.
 * @param {Wish} wish
 * @returns {Promise<Consultation>}
 */
export async function createConsultation(wish) {
  return /** @type {Consultation} */ (await request("consultations", null, wish));
}

/**
 * Exchanges a sign-in link for the cookie, which no script can read.
 * @param {string} token a provider's
 * @returns {Promise<DeskView>}
 */
export async function signIn(token) {
  return /** @type {DeskView} */ (await request("sign-in", token, {}));
}

/** @returns {Promise<DeskView>} who is signed in; keeps the sign-in alive */
export async function askDesk() {
  return /** @type {DeskView} */ (await request("desk", null));
}

/** @returns {Promise<{token: string, closes_at: number}>} of another sign-in link */
export async function askSignInLink() {
  return /** @type {{token: string, closes_at: number}} */ (await request("sign-in-links", null, {}));
}

/**
 * @param {boolean} everywhere in every browser
 * @param {boolean} passkeys remove them, too
 */
export async function signOut(everywhere, passkeys) {
  await request("sign-out", null, { everywhere, passkeys });
}

/**
 * @param {string} token a host's
 * @returns {Promise<Queue>}
 */
export async function askQueue(token) {
  return /** @type {Queue} */ (await request("queue", token));
}

/**
 * @param {string} token a host's
 * @returns {Promise<CodeView>} a new code for its room
 */
export async function makeCode(token) {
  return /** @type {CodeView} */ (await request("codes", token, {}));
}

/**
 * @param {string} token a host's
 * @returns {Promise<CodeView>}
 */
export async function askCode(token) {
  return /** @type {CodeView} */ (await request("codes", token));
}

/**
 * @param {string} code nine digits
 * @returns {Promise<string>} a client's token
 */
export async function redeemCode(code) {
  return /** @type {{token: string}} */ (await request("codes/redeem", null, { code })).token;
}

/**
 * @param {string} token a client's
 * @param {string} secret the participant's
 * @param {string} language
 * @param {string} digest SHA-256 of the text agreed to, hexadecimal
 * @returns {Promise<string>} the receipt's text, to be kept as it is
 */
export async function askConsentReceipt(token, secret, language, digest) {
  const headers = { "Konsil-Participant": secret };
  const body = { language, text_sha256: digest };
  return askText("receipts/consent", token, body, headers);
}

/**
 * @param {string} token of the session
 * @returns {Promise<string>} the receipt's text
 */
export async function askDeletionReceipt(token) {
  return askText("receipts/deletion", token);
}

/** @param {string} receipt @returns {Promise<boolean>} whether the server has signed it */
export async function verifyReceipt(receipt) {
  const answer = await request("receipts/verify", null, { receipt });
  return /** @type {{verified: boolean}} */ (answer).verified;
}

/**
 * @param {string} path
 * @param {string | null} token null: the cookie says who asks
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<unknown>}
 */
export async function request(path, token, body, headers) {
  const response = await send(path, token, body, headers);
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw problemOf(response, answer);
}

/**
 * The answer as it is: a receipt verifies byte for byte.
 * @param {string} path
 * @param {string} token
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 */
async function askText(path, token, body, headers) {
  const response = await send(path, token, body, headers);
  if (response.ok) return response.text();
  throw problemOf(response, await response.json().catch(() => null));
}

/**
 * @param {string} path
 * @param {string | null} token
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 */
async function send(path, token, body, headers = {}) {
  try {
    return await fetch(`/api/v1/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    throw new ApiError("unreachable");
  }
}

/**
 * @param {Response} response
 * @param {any} problem an RFC 9457 document, or null where a proxy in between has answered
 */
function problemOf(response, problem) {
  const code = typeof problem?.code === "string" ? problem.code : "unreachable";
  const header = Number(response.headers.get("Retry-After") ?? 0);
  return new ApiError(code, {
    detail: String(problem?.detail ?? response.status),
    field: String(problem?.field ?? ""),
    opensAt: Number(problem?.opens_at ?? 0),
    retryAfter: Number(problem?.retry_after ?? (Number.isFinite(header) ? header : 0)),
    serverTime: Date.parse(response.headers.get("Date") ?? "") || 0,
  });
}
