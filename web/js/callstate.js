// @ts-check
/**
 * The people on the other side, as state: who they are, how the connection to each one stands, and
 * what is known of its safety. Pure; media streams are kept elsewhere.
 *
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").Role} Role
 * @typedef {import("./peer.js").PeerState} PeerState
 * @typedef {import("./peer.js").RefusalReason} RefusalReason
 *
 * @typedef {object} Remote
 * @property {string} id
 * @property {string} name
 * @property {Role} role
 * @property {boolean} present false: its socket is gone, it may come back
 * @property {PeerState} connection
 * @property {"direct" | "relay" | "sfu" | null} path null until media flows
 * @property {boolean} audio its microphone is on
 * @property {boolean} video its camera is on
 * @property {{verified: "link" | "code", code: string} | null} security
 * @property {boolean} compared a person has said that the codes are the same
 * @property {RefusalReason | null} refused
 * @property {boolean} speaking in a group
 * @property {number} spoke rises with whoever has spoken last; 0: not yet
 * @property {"good" | "weak" | "bad"} quality of what comes from this one
 * @property {boolean} screen shows a screen
 * @property {boolean} pinned is to stay large
 * @property {number} hand its place among the hands that are raised, from 1; 0: not raised
 * @property {"" | "thin" | "chosen" | "own"} sound why there is only sound: its line, its wish, or our own
 *
 * @typedef {readonly Remote[]} Call  in the order in which they came
 *
 * @typedef {{type: "peer_connection", participant: string, state: PeerState}} ConnectionEvent
 * @typedef {{type: "peer_path", participant: string, path: "direct" | "relay" | "sfu"}} PathEvent
 * @typedef {{type: "peer_media", participant: string, audio: boolean, video: boolean}} MediaEvent
 * @typedef {{type: "peer_security", participant: string, verified: "link" | "code", code: string}} SecurityEvent
 * @typedef {{type: "peer_refused", participant: string, reason: RefusalReason}} RefusedEvent
 * @typedef {{type: "peer_compared", participant: string}} ComparedEvent
 * @typedef {{type: "peer_retry", participant: string}} RetryEvent
 * @typedef {{type: "peer_speakers", speaking: readonly string[]}} SpeakersEvent loudest first
 * @typedef {{type: "peer_quality", participant: string, quality: Remote["quality"]}} QualityEvent
 * @typedef {{type: "peer_screen", participant: string, screen: boolean}} ScreenEvent
 * @typedef {{type: "peer_pin", participant: string}} PinEvent pins or releases
 * @typedef {{type: "peer_told", participant: string, told: Partial<Pick<Remote, "hand" | "sound">>}} ToldEvent
 * @typedef {ConnectionEvent | PathEvent | MediaEvent | SecurityEvent | RefusedEvent | ComparedEvent
 *   | RetryEvent | QualityEvent | ScreenEvent | PinEvent | ToldEvent} PeerEvent
 * @typedef {PeerEvent | SpeakersEvent} CallEvent
 */

/** @type {ReadonlySet<string>} */
export const CALL_EVENTS = new Set([
  "peer_connection",
  "peer_path",
  "peer_media",
  "peer_security",
  "peer_refused",
  "peer_compared",
  "peer_retry",
  "peer_speakers",
  "peer_quality",
  "peer_screen",
  "peer_pin",
  "peer_told",
]);

/**
 * Takes a new view of the room: who came is added, who went is dropped, who stayed keeps its state.
 * @param {Call} call
 * @param {RoomView} view
 * @param {string} self own participant id
 * @returns {Call}
 */
export function peopleOf(call, view, self) {
  if (view.you !== "admitted" && view.you !== "in_call") return [];
  return view.participants
    .filter((p) => p.id !== self && (p.status === "admitted" || p.status === "in_call"))
    .map((p) => {
      const known = call.find((remote) => remote.id === p.id) ?? newcomer(p.id, p.role);
      return { ...known, name: p.name, present: p.connected };
    });
}

/**
 * @param {string} id
 * @param {Role} role
 * @returns {Remote}
 */
function newcomer(id, role) {
  return {
    id,
    role,
    name: "",
    present: true,
    connection: "connecting",
    path: null,
    audio: true,
    video: true,
    security: null,
    compared: false,
    refused: null,
    speaking: false,
    spoke: 0,
    quality: "good",
    screen: false,
    pinned: false,
    hand: 0,
    sound: "",
  };
}

/**
 * @param {Call} call
 * @param {CallEvent} event
 * @returns {Call}
 */
export function reduceCall(call, event) {
  if (event.type === "peer_speakers") return hear(call, event.speaking);
  return call.map((remote) =>
    remote.id === event.participant ? { ...remote, ...change(remote, event) } : remote,
  );
}

/**
 * @param {Call} call
 * @param {readonly string[]} speaking
 * @returns {Call}
 */
function hear(call, speaking) {
  let last = Math.max(0, ...call.map(({ spoke }) => spoke));
  return call.map((remote) => {
    const now = speaking.includes(remote.id);
    if (now === remote.speaking) return remote;
    if (!now) return { ...remote, speaking: false };
    last += 1;
    return { ...remote, speaking: true, spoke: last };
  });
}

/**
 * @param {Remote} remote
 * @param {PeerEvent} event
 * @returns {Partial<Remote>}
 */
function change(remote, event) {
  switch (event.type) {
    case "peer_connection":
      // A refused exchange closes its connection; the refusal is what the person must be told.
      return { connection: event.state };
    case "peer_path":
      return { path: event.path };
    case "peer_media":
      return { audio: event.audio, video: event.video, speaking: remote.speaking && event.audio };
    case "peer_security": {
      const same = remote.security?.code === event.code;
      return {
        security: { verified: event.verified, code: event.code },
        compared: remote.compared && same,
        refused: null,
      };
    }
    case "peer_refused":
      return { refused: event.reason, path: null, security: null, compared: false };
    case "peer_compared":
      return { compared: true };
    case "peer_retry":
      return { refused: null, connection: "connecting" };
    case "peer_quality":
      return { quality: event.quality };
    case "peer_screen":
      return { screen: event.screen };
    case "peer_pin":
      return { pinned: !remote.pinned };
    case "peer_told":
      return event.told;
  }
}

/** @typedef {"refused" | "away" | "connecting" | "interrupted" | "failed" | "fine"} Health */

/**
 * The one thing to tell about the connection to somebody.
 * @param {Remote} remote
 * @returns {Health}
 */
export function healthOf(remote) {
  if (remote.refused !== null) return "refused";
  switch (remote.connection) {
    case "connected":
      return "fine";
    case "disconnected":
      return remote.present ? "interrupted" : "away";
    case "failed":
      return remote.present ? "failed" : "away";
    case "connecting":
    case "closed":
      return remote.present ? "connecting" : "away";
  }
}

/** Whether the code of this one is still to be compared. @param {Remote} remote */
export function asks({ security, compared, refused }) {
  return security?.verified === "code" && !compared && refused === null;
}
