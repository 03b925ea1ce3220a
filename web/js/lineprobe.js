// @ts-check
/** Tries the ways to server and relay, and measures the line to the relay: two connections of this page. */
import { ApiError, request } from "./api.js";
import { Tally } from "./linetally.js";
import { NO_WAYS, WAYS } from "./lineverdict.js";

/**
 * @typedef {import("./lineverdict.js").Findings} Findings
 * @typedef {import("./lineverdict.js").Line} Line
 * @typedef {import("./lineverdict.js").Reach} Reach
 * @typedef {import("./lineverdict.js").Way} Way
 * @typedef {{relay: "own" | "other" | "none", ice_servers: RTCIceServer[], ttl: number}} Offer
 * @typedef {"ways" | "line"} Step
 */

/** Longest wait for each, ms. A relay that answers does so within a second or two. */
const PATIENCE = Object.freeze({ socket: 5000, way: 5000, connect: 5000 });
/** Between two looks at what is due, ms; a timer takes 4 at least. */
const BEAT = 5;
/** What a channel may hold back; more would be measured as distance. Bytes. */
const QUEUE = 16_384;
/** From here on the relay itself has answered; below are a browser's own (WebRTC section 4.8.4: 701). */
const ANSWERED = Object.freeze({ from: 300, to: 699 });
/** Of the datagrams that a relayed connection may hold. */
const CHANNEL = Object.freeze({ negotiated: true, id: 0, ordered: false, maxRetransmits: 0 });

/**
 * Finds out all there is. Takes up to 15 s, mostly some 5.
 * @param {string} token a host's, client's or guest's
 * @param {AbortSignal} signal
 * @param {(step: Step) => void} progress
 * @returns {Promise<Findings>} rejects with the signal's reason
 */
export async function probe(token, signal, progress) {
  progress("ways");
  const [socket, offer] = await Promise.all([
    opens(signal),
    request("network-checks", token, {}).then((answer) => /** @type {Offer} */ (answer), refused),
  ]);
  signal.throwIfAborted();
  if (offer === null) return { socket, relay: "unasked", ways: NO_WAYS, line: null };
  const { relay, ice_servers: servers } = offer;
  /** @type {Map<Way, RTCIceServer>} */
  const offered = new Map();
  for (const server of servers) {
    const way = wayOf(server);
    if (!offered.has(way)) offered.set(way, server);
  }
  const ways = { ...NO_WAYS };
  await Promise.all([...offered].map(async ([way, server]) => {
    ways[way] = await reach(server, relay, signal);
  }));
  signal.throwIfAborted();
  const best = WAYS.find((way) => ways[way] === "open");
  const server = best === undefined ? undefined : offered.get(best);
  if (best === undefined || server === undefined) return { socket, relay, ways, line: null };
  progress("line");
  const sum = await measure(server, signal);
  signal.throwIfAborted();
  return { socket, relay, ways, line: sum === null ? null : { way: best, ...sum } };
}

/** @param {unknown} error */
function refused(error) {
  if (error instanceof ApiError) return null;
  throw error;
}

/** @param {RTCIceServer} server @returns {Way} */
function wayOf({ urls }) {
  const [url = ""] = [urls].flat();
  if (url.startsWith("turns:")) return "tls";
  return url.includes("transport=tcp") ? "tcp" : "udp";
}

/** @param {AbortSignal} signal @returns {Promise<boolean>} whether a WebSocket to our server opens */
function opens(signal) {
  return within(PATIENCE.socket, signal, false, (resolve) => {
    const socket = new WebSocket(
      `${location.protocol === "http:" ? "ws" : "wss"}://${location.host}/ws`, "konsil.v1",
    );
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
    return () => socket.close();
  });
}

/**
 * @param {RTCIceServer} server
 * @param {Offer["relay"]} relay
 * @param {AbortSignal} signal
 * @returns {Promise<Reach>} whether the relay gives us an address this way
 */
function reach(server, relay, signal) {
  // Only our own relay is known to give one; of another, silence may be a refusal.
  let known = relay === "own";
  const late = /** @type {Reach} */ (known ? "shut" : "unknown");
  return within(PATIENCE.way, signal, late, (resolve) => {
    const connection = relayed(server);
    /** @type {Reach | null} */
    let told = null;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && candidate.candidate.includes(" typ relay")) resolve("open");
    };
    connection.onicecandidateerror = ({ errorCode }) => {
      known = true;
      if (errorCode >= ANSWERED.from && errorCode <= ANSWERED.to) told = "answers";
    };
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState !== "complete") return;
      // The last error may be told after the end.
      setTimeout(() => resolve(told ?? (known ? "shut" : "unknown")), 50);
    };
    connection.createDataChannel("check", CHANNEL);
    connection.setLocalDescription().catch(() => resolve("unknown"));
    return () => connection.close();
  });
}

/** @param {RTCIceServer} server */
function relayed(server) {
  return new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: "relay" });
}

/**
 * Sends to itself over the relay.
 * @param {RTCIceServer} server
 * @param {AbortSignal} signal
 * @returns {Promise<import("./linetally.js").Sum | null>} null where no connection came about, or the
 *   page was not in front: then its timers stand still
 */
async function measure(server, signal) {
  const near = relayed(server);
  const far = relayed(server);
  const close = () => {
    near.close();
    far.close();
  };
  signal.addEventListener("abort", close);
  let hidden = document.hidden;
  const hide = () => {
    hidden ||= document.hidden;
  };
  document.addEventListener("visibilitychange", hide);
  try {
    const out = near.createDataChannel("check", CHANNEL);
    const back = far.createDataChannel("check", CHANNEL);
    back.binaryType = "arraybuffer";
    const connected = await within(PATIENCE.connect, signal, false, (resolve) => {
      out.onopen = () => resolve(true);
      connect(near, far).catch(() => resolve(false));
      return () => {};
    });
    if (!connected) return null;
    const sum = await count(out, back, signal);
    return hidden ? null : sum;
  } finally {
    document.removeEventListener("visibilitychange", hide);
    signal.removeEventListener("abort", close);
    close();
  }
}

/** @param {RTCPeerConnection} near @param {RTCPeerConnection} far */
async function connect(near, far) {
  for (const [from, to] of /** @type {const} */ ([[near, far], [far, near]])) {
    from.onicecandidate = ({ candidate }) => {
      // A connection that is closed meanwhile takes none.
      if (candidate !== null) to.addIceCandidate(candidate).catch(() => {});
    };
  }
  const offer = await near.createOffer();
  // The other side first: it must know the description before the candidates come.
  await far.setRemoteDescription(offer);
  await near.setLocalDescription(offer);
  const answer = await far.createAnswer();
  await near.setRemoteDescription(answer);
  await far.setLocalDescription(answer);
}

/**
 * @param {RTCDataChannel} out
 * @param {RTCDataChannel} back the other end
 * @param {AbortSignal} signal
 * @returns {Promise<import("./linetally.js").Sum | null>}
 */
function count(out, back, signal) {
  return new Promise((resolve) => {
    const tally = new Tally(performance.now());
    back.onmessage = ({ data }) => tally.take(data, performance.now());
    const timer = setInterval(() => {
      const now = performance.now();
      if (signal.aborted || out.readyState !== "open" || tally.done(now)) {
        clearInterval(timer);
        back.onmessage = null;
        resolve(tally.sum());
        return;
      }
      for (const message of tally.due(now, out.bufferedAmount < QUEUE)) out.send(message);
    }, BEAT);
  });
}

/**
 * @template T
 * @param {number} ms
 * @param {AbortSignal} signal
 * @param {T} late given when the time is over, or it is stopped
 * @param {(resolve: (value: T) => void) => () => void} begin gives what ends it
 * @returns {Promise<T>}
 */
function within(ms, signal, late, begin) {
  /** @type {(value: T) => void} */
  let finish = () => {};
  /** @type {Promise<T>} */
  const ended = new Promise((resolve) => {
    finish = resolve;
  });
  const stop = () => finish(late);
  const timer = setTimeout(stop, ms);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const end = begin(finish);
  return ended.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    end();
  });
}
