// @ts-check
/**
 * What /join and /host have in common in their state: the link, the socket, the room, the own
 * devices, the people on the other side. Each page adds its own table of phases. Pure.
 *
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./protocol.js").Welcome} Welcome
 * @typedef {import("./channel.js").ChannelState} ChannelState
 * @typedef {import("./callstate.js").Call} Call
 * @typedef {import("./callstate.js").CallEvent} CallEvent
 * @typedef {import("./devicestate.js").Devices} Devices
 *
 * @typedef {{provider: string, opensAt: number, closesAt: number}} Appointment  times in ms since 1970
 * @typedef {"ended" | "left" | "declined" | "removed" | "taken_over" | "unsafe"} Over  unsafe: the codes differed
 *
 * @typedef {object} VisitData
 * @property {Appointment | null} appointment
 * @property {boolean} measured at the end the page says how the call was
 * @property {number} opensAt ms since 1970, while it is too early; else 0
 * @property {number} skew the server's clock minus this device's, ms
 * @property {string | null} problem what keeps us out, a code
 * @property {number} retryAt ms since 1970 by this device's clock: the next try by itself; else 0
 * @property {Over | null} over
 * @property {boolean} wasInCall
 * @property {ChannelState} channel
 * @property {boolean} stalled the server answers that it cannot serve at present
 * @property {string} self own participant id
 * @property {RoomView | null} room
 * @property {number} closing ms since 1970 of the planned end, once it is near; else 0
 * @property {boolean} movedBack the host has put us back into the waiting room
 * @property {boolean} badName the server did not take the name
 * @property {Devices} devices
 * @property {Call} call
 * @property {boolean} sharing our own screen is sent
 * @property {import("./told.js").Told | null} told what the host has told those who wait
 * @property {string} greeted what the reception has said to us last
 * @property {boolean} muteAsked the host has asked us to switch the microphone off
 * @property {boolean} unsupported we cannot be let in, since this browser cannot take part in a group
 *
 * @typedef {{type: "link", appointment: Appointment, skew: number, measured: boolean}} LinkEvent
 * @typedef {{type: "early", opensAt: number, skew: number}} EarlyEvent
 * @typedef {{type: "refused", code: string}} RefusedEvent
 * @typedef {{type: "trouble", retryAt: number}} TroubleEvent
 * @typedef {{type: "retry"} | {type: "enter"} | {type: "bad_name"}} PersonEvent
 * @typedef {{type: "leave", over: "left" | "unsafe"}} LeaveEvent
 * @typedef {{type: "welcome", welcome: Welcome, skew: number}} WelcomeEvent
 * @typedef {{type: "room", room: RoomView}} RoomEvent
 * @typedef {{type: "bye", reason: Over}} ByeEvent
 * @typedef {{type: "channel", channel: ChannelState}} ChannelEvent
 * @typedef {{type: "stalled"}} StalledEvent
 * @typedef {{type: "closing", at: number}} ClosingEvent
 * @typedef {{type: "devices", devices: Devices}} DevicesEvent
 * @typedef {{type: "told", told: import("./told.js").Told}} ToldEvent
 * @typedef {ToldEvent | {type: "greeted", text: string} | {type: "sharing", sharing: boolean} | {type: "mute_asked"} | {type: "mute_answered"}
 *   | {type: "unsupported"}} GroupEvent
 * @typedef {LinkEvent | EarlyEvent | RefusedEvent | TroubleEvent | PersonEvent | LeaveEvent | WelcomeEvent | RoomEvent
 *   | ByeEvent | ChannelEvent | StalledEvent | ClosingEvent | DevicesEvent | GroupEvent | CallEvent} VisitEvent
 */
import { CALL_EVENTS, peopleOf, reduceCall } from "./callstate.js";
import { NO_DEVICES } from "./devicestate.js";

/** Events taken in every phase. */
export const ANYWHERE = new Set([
  "devices",
  "channel",
  "stalled",
  "closing",
  "welcome",
  "sharing",
  "told",
  "greeted",
  "mute_asked",
  "mute_answered",
  "unsupported",
  ...CALL_EVENTS,
]);

/** @type {VisitData} */
export const NEW_VISIT = Object.freeze({
  appointment: null,
  measured: false,
  opensAt: 0,
  skew: 0,
  problem: null,
  retryAt: 0,
  over: null,
  wasInCall: false,
  channel: /** @type {ChannelState} */ ("closed"),
  stalled: false,
  self: "",
  room: null,
  closing: 0,
  movedBack: false,
  badName: false,
  devices: NO_DEVICES,
  told: null,
  greeted: "",
  call: [],
  sharing: false,
  muteAsked: false,
  unsupported: false,
});

/**
 * The name under which the tables list an event: a view of the room counts by our own status in it,
 * a farewell by its reason.
 * @param {VisitEvent} event
 */
export function nameOf(event) {
  if (event.type === "room") return `you_${event.room.you}`;
  if (event.type === "bye") return `bye_${event.reason}`;
  return event.type;
}

/**
 * @template {VisitData} S
 * @param {S} state
 * @param {VisitEvent} event
 * @returns {S}
 */
export function absorb(state, event) {
  switch (event.type) {
    case "link":
      return {
        ...state, appointment: event.appointment, measured: event.measured, skew: event.skew,
        opensAt: 0, ...CLEAR,
      };
    case "early":
      return { ...state, opensAt: event.opensAt, skew: event.skew, ...CLEAR };
    case "refused":
      return { ...state, ...CLEAR, problem: event.code, ...ALONE };
    case "trouble":
      return { ...state, retryAt: event.retryAt };
    case "retry":
    case "enter":
      return { ...state, ...CLEAR };
    case "bad_name":
      return { ...state, badName: true };
    case "leave":
      return { ...state, over: event.over, ...ALONE };
    case "welcome": {
      const { participant, provider, opens_at: opensAt, closes_at: closesAt } = event.welcome;
      const appointment = { provider, opensAt, closesAt };
      return { ...state, self: participant, appointment, skew: event.skew, stalled: false };
    }
    case "room":
      return absorbRoom(state, event.room);
    case "bye":
      return { ...state, over: event.reason, ...ALONE };
    case "channel":
      return {
        ...state,
        channel: event.channel,
        stalled: state.stalled && event.channel !== "open",
      };
    case "stalled":
      return { ...state, stalled: true };
    case "closing":
      return { ...state, closing: event.at };
    case "devices": {
      const muted = event.devices.microphone !== "on";
      return { ...state, devices: event.devices, muteAsked: state.muteAsked && !muted };
    }
    case "sharing":
      return { ...state, sharing: event.sharing };
    case "told":
      return { ...state, told: event.told };
    case "greeted":
      return { ...state, greeted: event.text };
    case "mute_asked":
      return { ...state, muteAsked: state.devices.microphone === "on" };
    case "mute_answered":
      return { ...state, muteAsked: false };
    case "unsupported":
      return { ...state, unsupported: true };
    default: {
      const call = reduceCall(state.call, event);
      const talking = state.wasInCall || call.some((remote) => remote.connection === "connected");
      return { ...state, call, wasInCall: talking };
    }
  }
}

const CLEAR = Object.freeze({
  problem: null,
  retryAt: 0,
  over: null,
  badName: false,
  movedBack: false,
});

/** After the end nothing of the others stays on the page. */
const ALONE = Object.freeze({
  told: null,
  greeted: "",
  call: [],
  room: null,
  closing: 0,
  sharing: false,
  muteAsked: false,
  unsupported: false,
});

/**
 * @template {VisitData} S
 * @param {S} state
 * @param {RoomView} room
 * @returns {S}
 */
function absorbRoom(state, room) {
  const inside = (/** @type {RoomView | null} */ view) =>
    view !== null && (view.you === "admitted" || view.you === "in_call");
  // A lower version is that of a server which has lost its memory; nobody has decided anything.
  const decided = room.version > (state.room?.version ?? 0);
  const thrownOut = inside(state.room) && room.you === "waiting" && decided;
  return {
    ...state,
    room,
    call: peopleOf(state.call, room, state.self),
    unsupported: state.unsupported && room.you === "waiting",
    movedBack: room.you === "waiting" && (state.movedBack || thrownOut),
  };
}
