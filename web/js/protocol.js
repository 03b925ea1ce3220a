// @ts-check
/**
 * Messages of docs/protocol.md, sections 3 and 4, as the page sees them.
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
 *
 * @typedef {object} RoomView
 * @property {number} version rises with every change
 * @property {Status} you
 * @property {boolean} host_present
 * @property {boolean} locked
 * @property {number | null} place 1-based place in line while waiting
 * @property {ParticipantView[]} participants
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
 * @typedef {Welcome | RoomMessage | SignalMessage | DeliveredMessage | OkMessage | ErrorMessage
 *   | ClosingMessage | ByeMessage | PongMessage} ServerMessage
 */

export const SUBPROTOCOL = "konsil.v1";
