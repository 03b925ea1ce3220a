// @ts-check
/** What was found about the way to server and relay, and what it is good for. Pure. */

/**
 * @typedef {"udp" | "tcp" | "tls"} Way
 *
 * `open`: the relay gave us an address. `answers`: it answered and gave none, so the way is there.
 * `shut`: nothing came back. `unknown`: nothing came back from another relay than Konsil's, in a
 * browser that does not say why. `absent`: the relay does not offer this way.
 * @typedef {"open" | "answers" | "shut" | "unknown" | "absent"} Reach
 *
 * @typedef {object} Line measured from this page to the relay and back
 * @property {Way} way
 * @property {number} kbit per second that came through, upwards and downwards at once
 * @property {number} wanted kbit per second that were tried
 * @property {number} loss share of messages, 0 to 1
 * @property {number} trip ms, median, while little was sent
 * @property {number} busy ms, of 95 in 100 messages, while much was sent
 *
 * @typedef {object} Findings
 * @property {boolean} socket whether a WebSocket to the server opened
 * @property {"own" | "other" | "none" | "unasked"} relay unasked: the server did not say
 * @property {Readonly<Record<Way, Reach>>} ways
 * @property {Line | null} line null: not measured
 *
 * @typedef {"full" | "sound" | "poor" | "cut" | "unsure"} Verdict full: enough for picture and sound;
 *   sound: for sound; poor: for neither; cut: the server is out of reach; unsure: not measured
 * @typedef {"no_socket" | "no_relay" | "no_udp" | "slow" | "lossy" | "far" | "no_measure"} Trouble
 */

/** @type {readonly Way[]} */
export const WAYS = Object.freeze(["udp", "tcp", "tls"]);

/** From these on it is enough, below or above not. A small picture and sound take some 400 kbit/s. */
export const FULL = Object.freeze({ kbit: 500, loss: 0.05, trip: 500 });
/** Opus takes 40 kbit/s, and the rest of its packets as much again. */
export const SOUND = Object.freeze({ kbit: 80, loss: 0.15, trip: 1000 });

/** @type {Readonly<Record<Way, Reach>>} */
export const NO_WAYS = Object.freeze({ udp: "absent", tcp: "absent", tls: "absent" });

/** @param {Line} line @param {{kbit: number, loss: number, trip: number}} bound */
const reaches = (line, bound) =>
  line.kbit >= bound.kbit && line.loss <= bound.loss && line.trip <= bound.trip;

/** @param {Findings} found @returns {Verdict} */
export function verdictOf({ socket, line }) {
  if (!socket) return "cut";
  if (line === null) return "unsure";
  if (reaches(line, FULL)) return "full";
  return reaches(line, SOUND) ? "sound" : "poor";
}

/**
 * What stands in the way, the worst first; for each there is something to do.
 * @param {Findings} found
 * @returns {Trouble[]}
 */
export function troublesOf({ socket, relay, ways, line }) {
  /** @type {Trouble[]} */
  const troubles = [];
  const offered = WAYS.filter((way) => ways[way] !== "absent");
  const reached = offered.filter((way) => ways[way] === "open" || ways[way] === "answers");
  if (!socket) troubles.push("no_socket");
  if (offered.length > 0 && offered.every((way) => ways[way] === "shut")) troubles.push("no_relay");
  else if (ways.udp === "shut") troubles.push("no_udp");
  if (line !== null) {
    if (line.kbit < FULL.kbit) troubles.push("slow");
    if (line.loss > FULL.loss) troubles.push("lossy");
    if (line.trip > FULL.trip) troubles.push("far");
  } else if (socket && !troubles.includes("no_relay")) {
    // No relay at all, one that does not measure, or one that is busy.
    if (relay !== "own" || reached.length > 0) troubles.push("no_measure");
  }
  return troubles;
}

/**
 * For whoever helps: nothing of the person, the link, the device's name or any address.
 * @param {Findings} found
 * @param {string} browser see browserOf
 * @param {Date} at
 */
export function reportOf(found, browser, at) {
  const { line, ways } = found;
  const measured = line === null ? ["line: not measured"] : [
    `line: over ${line.way}, ${Math.round(line.kbit)} of ${Math.round(line.wanted)} kbit/s each way`,
    `loss: ${(line.loss * 100).toFixed(1)} %`,
    `round trip: ${Math.round(line.trip)} ms, under load ${Math.round(line.busy)} ms`,
  ];
  return [
    `Konsil connection check, ${at.toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `browser: ${browser}`,
    `server: ${found.socket ? "open" : "shut"}`,
    `relay: ${found.relay}, ${WAYS.map((way) => `${way} ${ways[way]}`).join(", ")}`,
    ...measured,
    `result: ${[verdictOf(found), ...troublesOf(found)].join(", ")}`,
  ].join("\n");
}

/** Most particular first: many browsers call themselves by another's name too. @type {ReadonlyArray<readonly [string, RegExp]>} */
const BROWSERS = Object.freeze([
  ["Edge", /\bEdg\w*\/(\d+)/], ["Firefox", /\b(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /\b(?:Chrome|Chromium|HeadlessChrome|CriOS)\/(\d+)/], ["Safari", /\bVersion\/(\d+).*Safari\//],
]);
/** @type {ReadonlyArray<readonly [string, RegExp]>} */
const SYSTEMS = Object.freeze([
  ["Android", /Android/], ["iOS", /iPhone|iPad/], ["Windows", /Windows/], ["macOS", /Mac OS X/], ["Linux", /Linux/],
]);

/**
 * Which browser, its main version, and on what kind of system; no more than that of what it says.
 * @param {string} agent navigator.userAgent
 */
export function browserOf(agent) {
  let browser = "another";
  for (const [name, form] of BROWSERS) {
    const version = agent.match(form)?.[1];
    if (version === undefined) continue;
    browser = `${name} ${version}`;
    break;
  }
  const system = SYSTEMS.find(([, form]) => form.test(agent))?.[0];
  return system === undefined ? browser : `${browser}, ${system}`;
}
