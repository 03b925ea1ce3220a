// @ts-check
/**
 * Messages of docs/protocol.md, sections 3, 4 and 9: their types, and a check that is as strict as the
 * server's own (signaling/messages.py; tests/vectors/messages.json holds both to the same answers).
 *
 * @typedef {"host" | "client" | "guest"} Role
 * @typedef {"waiting" | "admitted" | "in_call" | "left" | "declined" | "removed"} Status
 * @typedef {"ended" | "declined" | "removed" | "left" | "taken_over" | "going_away"} ByeReason
 *
 * @typedef {object} ParticipantView
 * @property {string} id
 * @property {string} instance one load of that participant's page
 * @property {string} name
 * @property {Role} role
 * @property {Status} status
 * @property {boolean} connected
 * @property {number} since ms since 1970
 * @property {boolean} groups whether that page can take part in a group
 * @property {string} [onward] to whose room the reception has asked this one to go
 *
 * @typedef {object} Media which way the media of a room goes
 * @property {"p2p" | "sfu"} mode
 * @property {number} generation rises with every change of the way; connections to the forwarder
 *   belong to one generation
 *
 * @typedef {object} RoomView
 * @property {number} version rises with every change
 * @property {Status} you
 * @property {boolean} host_present
 * @property {boolean} locked
 * @property {number | null} place 1-based place in line while waiting
 * @property {ParticipantView[]} participants
 * @property {Media} media
 * @property {string} [onward] to whose room the reception asks oneself to go
 *
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} participant
 * @property {Role} role
 * @property {boolean} resumed
 * @property {number} seq
 * @property {number} server_time ms since 1970
 * @property {number} opens_at
 * @property {number} closes_at
 * @property {string} provider
 * @property {"all" | "relay"} ice_transport_policy
 * @property {"auto" | "p2p" | "sfu"} media_topology
 * @property {RoomView} room
 *
 * @typedef {{type: "room"} & RoomView} RoomMessage
 * @typedef {{type: "signal", seq: number, from: string, data: string}} SignalMessage
 * @typedef {{type: "delivered", to: string, id: number}} DeliveredMessage
 * @typedef {{type: "ok", id: number}} OkMessage
 *
 * @typedef {object} ErrorMessage
 * @property {"error"} type
 * @property {string} code one of section 6
 * @property {string} detail
 * @property {number} [id]
 * @property {string} [field]
 * @property {string} [reason]
 * @property {number} [retry_after] seconds
 * @property {number} [opens_at] ms since 1970
 *
 * @typedef {{type: "closing", closes_at: number}} ClosingMessage
 * @typedef {{type: "bye", reason: ByeReason}} ByeMessage
 * @typedef {{type: "pong"}} PongMessage
 *
 * @typedef {"microphone" | "camera" | "screen" | "screen_audio"} Source
 * @typedef {{participant: string, source: Source}} SourceOf
 * @typedef {SourceOf & {kind: "audio" | "video", layers?: number}} SourceView
 * @typedef {{type: "group_answer", id: number, sdp: string}} GroupAnswerMessage
 * @typedef {{type: "group_sources", generation: number, sources: SourceView[]}} GroupSourcesMessage
 * @typedef {{type: "group_speakers", generation: number, speaking: string[]}} GroupSpeakersMessage
 * @typedef {{type: "group_gone", generation: number,
 *   reason: "silent" | "never_connected" | "wrong_certificate"}} GroupGoneMessage
 * @typedef {{type: "told", text: string, at: number, minutes?: number, by?: "reception"}} ToldMessage
 *   at in ms since 1970
 * @typedef {{type: "mute_asked", from: string}} MuteAskedMessage
 * @typedef {{type: "guest_link", id: number, token: string, closes_at: number}} GuestLinkMessage
 * @typedef {GroupAnswerMessage | GroupSourcesMessage | GroupSpeakersMessage | GroupGoneMessage
 *   | MuteAskedMessage | GuestLinkMessage} GroupServerMessage
 *
 * @typedef {Welcome | RoomMessage | SignalMessage | DeliveredMessage | OkMessage | ErrorMessage
 *   | ClosingMessage | ByeMessage | PongMessage | ToldMessage | GroupServerMessage} ServerMessage
 *
 * @typedef {{type: "hello", token: string, secret: string, instance: string, name?: string,
 *   last_seq?: number, reopen?: boolean, groups?: boolean}} HelloMessage
 * @typedef {{type: "admit" | "decline" | "back_to_waiting" | "remove" | "ask_mute" | "p2p_failed",
 *   id: number, participant: string}} ParticipantCommand
 * @typedef {{type: "lock", id: number, locked: boolean}} LockCommand
 * @typedef {{type: "tell", id: number, text: string, minutes?: number, participant?: string}} TellCommand
 * @typedef {"works" | "refused" | "missing"} DeviceWord
 * @typedef {{type: "show_devices", id: number, camera: DeviceWord, microphone: DeviceWord}} ShowDevices
 * @typedef {{type: "end" | "leave" | "connected" | "invite_guest", id: number}} PlainCommand
 *
 * @typedef {object} Track what a section of an offer is for: either `send` or `receive`
 * @property {string} mid
 * @property {Source} [send]
 * @property {SourceOf} [receive]
 *
 * @typedef {object} Tile how large a source is shown, in device pixels; width 0: not at all
 * @property {string} participant
 * @property {Source} source
 * @property {number} width whole
 * @property {number} height whole
 * @property {boolean} [pinned]
 *
 * @typedef {{type: "group_offer", id: number, generation: number, sdp: string, tracks: Track[]}}
 *   GroupOffer
 * @typedef {{type: "group_want", id: number, generation: number, tiles: Tile[]}} GroupWant
 * @typedef {{type: "group_failed", id: number, generation: number}} GroupFailed
 * @typedef {ParticipantCommand | LockCommand | TellCommand | ShowDevices | PlainCommand | GroupOffer
 *   | GroupWant | GroupFailed} Command
 * @typedef {{type: "signal", id: number, to: string, data: string}} OutgoingSignal
 * @typedef {Command | HelloMessage | OutgoingSignal | {type: "ack", seq: number} | {type: "ping"}}
 *   ClientMessage
 */

export const SUBPROTOCOL = "konsil.v1";

/** A message that does not have the form of sections 3, 4 and 9. */
export class MessageError extends Error {
  /**
   * @param {"bad_message" | "bad_name"} code
   * @param {string} field the one at fault; "" when it is the message as a whole
   */
  constructor(code, field) {
    super(`${code}: ${field}`);
    this.name = "MessageError";
    this.code = code;
    this.field = field;
  }
}

/**
 * Says whether a value has a form; throws where it can say which inner field has not.
 * @typedef {(value: unknown, field: string) => boolean} Form
 * @typedef {{readonly [field: string]: Form}} Fields
 */

/** @type {Form} */
const text = (value) => typeof value === "string" && !/\p{Cs}/u.test(value);
/** @type {Form} */
const flag = (value) => typeof value === "boolean";
/** @type {Form} */
const whole = (value) => Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;
/** @type {Form} */
const place = (value) => value === null || (whole(value, "") && value !== 0);
/** @type {Form} */
const seconds = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;
/** @param {RegExp} pattern @returns {Form} */
const matching = (pattern) => (value) => typeof value === "string" && pattern.test(value);
/** @param {number} least @param {number} most in code points @returns {Form} */
const ofLength = (least, most) => (value) => {
  if (!text(value, "")) return false;
  const length = [.../** @type {string} */ (value)].length;
  return length >= least && length <= most;
};
/** @param {number} most @returns {Form} */
const upTo = (most) => (value) => whole(value, "") && /** @type {number} */ (value) <= most;
/** @param {Form} form @returns {Form} */
const each = (form) => (value, field) => {
  if (!Array.isArray(value)) return false;
  for (const [index, one] of value.entries()) {
    if (!form(one, "")) throw new MessageError("bad_message", `${field}[${index}]`);
  }
  return true;
};
/** @param {...string} values @returns {Form} */
const oneOf = (...values) => (value) => values.includes(/** @type {string} */ (value));

const participant = matching(/^[A-Za-z0-9_-]{22}$/);
const instance = matching(/^[A-Za-z0-9_-]{8,32}$/);
const role = oneOf("host", "client", "guest");
const status = oneOf("waiting", "admitted", "in_call", "left", "declined", "removed");
const signalData = ofLength(1, 60_000);
const words = ofLength(0, 500);
const deviceWord = oneOf("works", "refused", "missing");
/** @type {Form} */
const minutes = (value) => whole(value, "") && Number(value) <= 600;
/** @type {Form} */
const shownName = (value) => {
  if (typeof value !== "string" || !text(value, "")) return false;
  if (cleanName(value) === null) throw new MessageError("bad_name", "name");
  return true;
};

/**
 * An array of which every element has these members.
 * @param {Fields} required @param {Fields} [optional] @param {number} [most] @returns {Form}
 */
const listOf = (required, optional = {}, most = Infinity) => (value, field) => {
  if (!Array.isArray(value) || value.length > most) return false;
  for (const [index, one] of value.entries()) check(one, required, optional, `${field}[${index}]`);
  return true;
};

const generation = upTo(2 ** 31 - 1);
const sdp = ofLength(1, 60_000);
const source = oneOf("microphone", "camera", "screen", "screen_audio");
const mid = matching(/^[A-Za-z0-9_-]{1,16}$/);
const pixels = upTo(16_384);
/** @type {Form} */
const sourceOf = (value, field) => {
  check(value, { participant, source }, {}, field);
  return true;
};
const anyTracks = listOf({ mid }, { send: source, receive: sourceOf }, 128);
/** @type {Form} */
const tracks = (value, field) => {
  if (!anyTracks(value, field)) return false;
  for (const [index, one] of /** @type {Track[]} */ (value).entries()) {
    if (("send" in one) === ("receive" in one)) {
      throw new MessageError("bad_message", `${field}[${index}]`);
    }
  }
  return true;
};
const tiles = listOf({ participant, source, width: pixels, height: pixels }, { pinned: flag }, 128);
/** @type {Form} */
const layers = (value) => whole(value, "") && value !== 0 && /** @type {number} */ (value) <= 16;
const sources = listOf(
  { participant, source, kind: oneOf("audio", "video") }, { layers },
);
/** @type {Form} */
const media = (value, field) => {
  check(value, { mode: oneOf("p2p", "sfu"), generation }, {}, field);
  return true;
};

const onward = { onward: text };
/** @type {Fields} */
const roomView = {
  version: whole, you: status, host_present: flag, locked: flag, place,
  participants: listOf({
    id: participant, instance, name: text, role, status, connected: flag, since: whole, groups: flag,
  }, onward),
  media,
};
/** @type {Form} */
const room = (value, field) => {
  check(value, roomView, onward, field);
  return true;
};

/** @typedef {readonly [required: Fields, optional?: Fields]} Schema */

/** Section 3, and 9.1. @type {{readonly [type: string]: Schema}} */
const FROM_PAGE = {
  hello: [
    { token: ofLength(1, 2048), secret: matching(/^[A-Za-z0-9_-]{22,64}$/), instance },
    { name: shownName, last_seq: whole, reopen: flag, groups: flag },
  ],
  admit: [{ id: whole, participant }],
  decline: [{ id: whole, participant }],
  back_to_waiting: [{ id: whole, participant }],
  remove: [{ id: whole, participant }],
  lock: [{ id: whole, locked: flag }],
  end: [{ id: whole }],
  leave: [{ id: whole }],
  connected: [{ id: whole }],
  signal: [{ id: whole, to: participant, data: signalData }],
  ack: [{ seq: whole }],
  ping: [{}],
  group_offer: [{ id: whole, generation, sdp, tracks }],
  group_want: [{ id: whole, generation, tiles }],
  group_failed: [{ id: whole, generation }],
  p2p_failed: [{ id: whole, participant }],
  tell: [{ id: whole, text: words }, { minutes, participant }],
  show_devices: [{ id: whole, camera: deviceWord, microphone: deviceWord }],
  ask_mute: [{ id: whole, participant }],
  invite_guest: [{ id: whole }],
};

/** Section 4, and 9.2. @type {{readonly [type: string]: Schema}} */
const FROM_SERVER = {
  welcome: [{
    participant, role, resumed: flag, seq: whole, server_time: whole, opens_at: whole,
    closes_at: whole, provider: text, ice_transport_policy: oneOf("all", "relay"),
    media_topology: oneOf("auto", "p2p", "sfu"), room,
  }],
  room: [roomView, onward],
  signal: [{ seq: whole, from: participant, data: signalData }],
  delivered: [{ to: participant, id: whole }],
  ok: [{ id: whole }],
  error: [
    { code: text, detail: text },
    { id: whole, field: text, reason: text, retry_after: seconds, opens_at: whole },
  ],
  closing: [{ closes_at: whole }],
  bye: [{ reason: oneOf("ended", "declined", "removed", "left", "taken_over", "going_away") }],
  pong: [{}],
  group_answer: [{ id: whole, sdp }],
  group_sources: [{ generation, sources }],
  group_speakers: [{ generation, speaking: each(participant) }],
  group_gone: [{ generation, reason: oneOf("silent", "never_connected", "wrong_certificate") }],
  told: [{ text: words, at: whole }, { minutes, by: oneOf("reception") }],
  mute_asked: [{ from: participant }],
  guest_link: [{ id: whole, token: ofLength(1, 2048), closes_at: whole }],
};

/**
 * @param {string} json one text frame from the server
 * @returns {ServerMessage}
 * @throws {MessageError}
 */
export function parseServerMessage(json) {
  return /** @type {ServerMessage} */ (parse(json, FROM_SERVER));
}

/**
 * What the server makes of a page's message; tests hold both sides to the same answers.
 *
 * @param {string} json
 * @returns {ClientMessage}
 * @throws {MessageError}
 */
export function parseClientMessage(json) {
  return /** @type {ClientMessage} */ (parse(json, FROM_PAGE));
}

/**
 * @param {ClientMessage} message
 * @returns {string} its JSON; members that are undefined are left out
 */
export function encodeMessage(message) {
  return JSON.stringify(message);
}

const BLANK_OR_JOINER = /^[\u115f\u1160\u2800\u3164\uffa0]$/u;
const REFUSED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
const VISIBLE = /^[\p{L}\p{N}\p{P}\p{S}]$/u;

/**
 * A name as it will be shown: trimmed, NFC.
 *
 * @param {string} name
 * @returns {string | null} null: it cannot be shown (section 3, `hello`)
 */
export function cleanName(name) {
  const clean = name.trim().normalize("NFC");
  const characters = [...clean];
  if (characters.length < 1 || characters.length > 60) return null;
  // Zero-width joiners are part of the spelling of Persian and Indic names.
  if (REFUSED.test(clean.replace(/[\u200c\u200d]/gu, ""))) return null;
  const visible = characters.some((one) => VISIBLE.test(one) && !BLANK_OR_JOINER.test(one));
  return visible ? clean : null;
}

/**
 * @param {string} json
 * @param {{readonly [type: string]: Schema}} schemas
 * @returns {unknown}
 */
function parse(json, schemas) {
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(json);
  } catch {
    throw new MessageError("bad_message", "");
  }
  if (!isRecord(value)) throw new MessageError("bad_message", "");
  const { type, ...fields } = value;
  const schema = typeof type === "string" && Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (!schema) throw new MessageError("bad_message", "type");
  check(fields, schema[0], schema[1] ?? {}, "");
  return value;
}

/**
 * @param {unknown} value
 * @param {Fields} required
 * @param {Fields} optional
 * @param {string} path of the value, "" for the message itself
 */
function check(value, required, optional, path) {
  if (!isRecord(value)) throw new MessageError("bad_message", path);
  /** @param {string} field */
  const named = (field) => (path === "" ? field : `${path}.${field}`);
  for (const [field, member] of Object.entries(value)) {
    const form = Object.hasOwn(required, field) ? required[field]
      : Object.hasOwn(optional, field) ? optional[field] : undefined;
    // A foreign name is a stranger's text: no more of it than shows what was meant.
    if (!form) throw new MessageError("bad_message", named(field.slice(0, 64)));
    if (!form(member, named(field))) throw new MessageError("bad_message", named(field));
  }
  for (const field of Object.keys(required)) {
    if (!Object.hasOwn(value, field)) throw new MessageError("bad_message", named(field));
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
