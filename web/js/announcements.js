// @ts-check
/**
 * What has changed between two states and is worth saying aloud. Pure: gives keys and values.
 *
 * @typedef {import("./visitstate.js").VisitData & {phase: string}} State
 * @typedef {{key: import("./i18n.js").Key, values?: Record<string, string | number>, urgent?: boolean}} Announcement
 */
import { asks, healthOf } from "./callstate.js";

/** @type {Readonly<Partial<Record<import("./callstate.js").Health, import("./i18n.js").Key>>>} */
const HEALTH = Object.freeze({
  fine: "say.connected",
  interrupted: "say.interrupted",
  failed: "say.interrupted",
  away: "say.away",
});

/**
 * @param {State} before
 * @param {State} after
 * @returns {Announcement[]}
 */
export function announcementsBetween(before, after) {
  /** @type {Announcement[]} */
  const said = [];
  if (before.phase !== after.phase && after.phase === "call") {
    said.push({ key: "say.admitted", urgent: true });
  }
  if (after.phase === "waiting" && before.phase === "waiting") {
    if (before.room?.host_present === false && after.room?.host_present === true) {
      said.push({
        key: "waiting.host_present",
        values: { provider: after.appointment?.provider ?? "" },
      });
    }
    const place = after.room?.place ?? 0;
    if (before.room !== null && before.room.place !== place && place > 0) {
      said.push(
        place === 1
          ? { key: "waiting.next" }
          : { key: "waiting.place", values: { count: place - 1, place } },
      );
    }
  }
  if (before.channel === "open" && after.channel === "reconnecting") {
    said.push({ key: after.phase === "waiting" ? "waiting.reconnecting" : "call.reconnecting" });
  }
  if (!before.stalled && after.stalled) said.push({ key: "call.stalled" });
  if (before.channel === "reconnecting" && after.channel === "open") {
    said.push({ key: "say.back" });
  }
  const nameOf = (/** @type {import("./callstate.js").Remote} */ remote) =>
    remote.name || (after.appointment?.provider ?? "");
  for (const remote of after.call) {
    const name = nameOf(remote);
    const known = before.call.find((other) => other.id === remote.id);
    const health = healthOf(remote);
    const key = HEALTH[health];
    if (key !== undefined && (known === undefined || healthOf(known) !== health)) {
      said.push({ key, values: { name } });
    }
    if (known !== undefined && known.audio !== remote.audio) {
      said.push({ key: remote.audio ? "say.unmuted" : "say.muted", values: { name } });
    }
    if (known !== undefined && known.screen !== remote.screen) {
      said.push({ key: remote.screen ? "say.screen" : "say.screen_end", values: { name } });
    }
    // Where it is not the camera, but the line, that is said when it is told.
    if (known !== undefined && known.video !== remote.video && known.sound + remote.sound === "") {
      said.push({ key: remote.video ? "say.camera_on" : "say.camera_off", values: { name } });
    }
  }
  // The question is shown within a picture, where nobody comes upon it by ear; digit by digit, as it is read.
  const [asked, asking] = [before.call.find(asks), after.call.find(asks)];
  const code = asking?.security?.code;
  if (asking && code && (asked?.id !== asking.id || asked.security?.code !== code)) {
    const values = { name: nameOf(asking), code: [...code].join(" ") };
    said.push({ key: "say.compare", values, urgent: true });
  }
  if (after.told !== before.told && after.told !== null && after.told.text !== "") {
    said.push({ key: "say.told", values: { text: after.told.text } });
  }
  if (!before.muteAsked && after.muteAsked) said.push({ key: "say.mute_asked", urgent: true });
  for (const [kind, on, off] of OWN) {
    const [was, is] = [before.devices[kind], after.devices[kind]];
    if (was === "on" && is === "off") said.push({ key: off });
    if (was !== "on" && is === "on" && was !== "idle") said.push({ key: on });
  }
  return said;
}

const OWN = Object.freeze([
  /** @type {const} */ (["microphone", "say.own_unmuted", "say.own_muted"]),
  /** @type {const} */ (["camera", "say.own_camera_on", "say.own_camera_off"]),
]);
