// @ts-check
/** Which way media takes: straight to the other browser, or over a relay; and whether it takes any. */

/** @typedef {ReadonlyMap<string, any>} Reports statistics by id */

/** Open connections for media, and whether a forwarder is at their other end. @type {Map<RTCPeerConnection, boolean>} */
export const carrying = new Map();

/**
 * The pair of candidates in use.
 * @param {Reports} reports
 */
function chosenPair(reports) {
  const all = [...reports.values()];
  const transport = all.find(({ type }) => type === "transport");
  return reports.get(transport?.selectedCandidatePairId)
    // Older Firefox has no transport report, and marks the pair itself.
    ?? all.find(({ type, selected }) => type === "candidate-pair" && selected === true);
}

/**
 * @param {Reports} reports
 * @returns {"direct" | "relay" | null} null: no way found yet
 */
export function pathOf(reports) {
  const pair = chosenPair(reports);
  if (!pair) return null;
  const relayed = [pair.localCandidateId, pair.remoteCandidateId]
    .some((id) => reports.get(id)?.candidateType === "relay");
  return relayed ? "relay" : "direct";
}

/**
 * Whether what is to be sent stays here, though a way was found again. So it is in Firefox (seen in 153)
 * once ICE has failed: after a restart it is connected and receives, but nothing goes out any more.
 *
 * @param {Reports} reports some time after a pair was found anew, so that its counters began at zero
 */
export function isStuck(reports) {
  const pair = chosenPair(reports);
  if (pair?.bytesSent !== 0) return false;
  const sending = [...reports.values()]
    .some(({ type, bytesSent }) => type === "outbound-rtp" && bytesSent > 0);
  // Whatever comes in is answered by reports on it.
  return sending || pair.bytesReceived > 0;
}

/**
 * @param {RTCPeerConnection} pc
 * @returns {Promise<Reports>} none where there are no statistics, as on a closed connection
 */
export async function reportsOf(pc) {
  /** @type {Map<string, any>} */
  const reports = new Map();
  try {
    (await pc.getStats()).forEach((report) => reports.set(report.id, report));
  } catch {
    // Asked again when it matters.
  }
  return reports;
}

/** Statistics may lag behind the events, by so much, ms. */
const LAG = 250;
/** Between looks in a browser that does not tell of another pair, as Firefox, ms. */
const LOOK = 3_000;

/**
 * Tells of the path now and whenever it changes, until the connection is closed.
 *
 * @param {RTCPeerConnection} pc
 * @param {(path: "direct" | "relay") => void} listener
 */
export function watchPath(pc, listener) {
  /** @type {"direct" | "relay" | null} */
  let known = null;
  /** @type {Set<RTCIceTransport>} */
  const watched = new Set();
  const told = "onselectedcandidatepairchange" in (globalThis.RTCIceTransport?.prototype ?? {});
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const changed = () => {
    for (const { transport } of pc.getSenders()) {
      const ice = transport?.iceTransport;
      if (!ice || watched.has(ice)) continue;
      watched.add(ice);
      ice.addEventListener("selectedcandidatepairchange", look);
    }
    clearTimeout(timer);
    // The first picture is in a hurry, and statistics cost some 20 ms at that moment.
    timer = setTimeout(look, LAG);
  };
  const look = async () => {
    const path = pathOf(await reportsOf(pc));
    clearTimeout(timer);
    if (pc.connectionState === "connected" && (path === null || !told)) {
      timer = setTimeout(look, path === null ? LAG : LOOK);
    }
    if (path === null || path === known || pc.connectionState === "closed") return;
    known = path;
    listener(path);
  };
  pc.addEventListener("connectionstatechange", changed);
}
