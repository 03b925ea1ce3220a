// @ts-check
/** Which way media takes: straight to the other browser, or over a relay. */

/**
 * @param {RTCPeerConnection} pc
 * @returns {Promise<"direct" | "relay" | null>} null: no way found yet
 */
export async function selectedPath(pc) {
  /** @type {Map<string, any>} */
  const reports = new Map();
  (await pc.getStats()).forEach((report) => reports.set(report.id, report));
  const all = [...reports.values()];
  const transport = all.find(({ type }) => type === "transport");
  const pair = reports.get(transport?.selectedCandidatePairId)
    // Firefox has no transport report, and marks the pair itself.
    ?? all.find(({ type, selected }) => type === "candidate-pair" && selected === true);
  if (!pair) return null;
  const relayed = [pair.localCandidateId, pair.remoteCandidateId]
    .some((id) => reports.get(id)?.candidateType === "relay");
  return relayed ? "relay" : "direct";
}

/** Statistics may lag behind the events, by so much, ms. */
const LAG = 250;

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
  const look = async () => {
    for (const { transport } of pc.getSenders()) {
      const ice = transport?.iceTransport;
      if (!ice || watched.has(ice)) continue;
      watched.add(ice);
      ice.addEventListener("selectedcandidatepairchange", look);
    }
    const path = await selectedPath(pc).catch(() => null);
    if (path === null && pc.connectionState === "connected") setTimeout(look, LAG);
    if (path === null || path === known || pc.connectionState === "closed") return;
    known = path;
    listener(path);
  };
  pc.addEventListener("connectionstatechange", look);
}
