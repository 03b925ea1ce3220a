// Put into every page before its own scripts: keeps hold of the page's connections and devices, so that
// a test can ask what really arrives and what is still open. It changes nothing of what they do.
(() => {
  const connections = [];
  const tracks = [];
  const pictures = { last: 0, longestGap: 0 };
  let marked = [];
  const used = () =>
    connections.filter((c) => c.connectionState !== "closed" && c.remoteDescription !== null);

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      connections.push(this);
    }
  };

  const devices = navigator.mediaDevices;
  if (devices) {
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      tracks.push(...stream.getTracks());
      return stream;
    };
  }
  const clone = MediaStreamTrack.prototype.clone;
  MediaStreamTrack.prototype.clone = function () {
    const copy = clone.call(this);
    tracks.push(copy);
    return copy;
  };

  const watched = new WeakSet();
  const watch = (video) => {
    if (watched.has(video)) return;
    watched.add(video);
    const shown = (now) => {
      if (pictures.last) pictures.longestGap = Math.max(pictures.longestGap, now - pictures.last);
      pictures.last = now;
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  };
  new MutationObserver(() => {
    for (const video of document.querySelectorAll('video[data-testid="remote-video"]')) watch(video);
  }).observe(document, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-testid"],
  });

  window.konsilProbe = {
    /** What has come in over all connections of this page load. */
    async received() {
      const sum = {
        frames: 0, audioBytes: 0, audioEnergy: 0, states: connections.map((c) => c.connectionState),
      };
      for (const connection of connections) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type !== "inbound-rtp") continue;
          if (entry.kind === "video") sum.frames += entry.framesDecoded ?? 0;
          if (entry.kind === "audio") {
            sum.audioBytes += entry.bytesReceived ?? 0;
            sum.audioEnergy += entry.totalAudioEnergy ?? 0;
          }
        }
      }
      return sum;
    },
    /** readyState of every track ever got from a device, copies too, of a kind or all. */
    tracks: (kind) =>
      tracks.filter((track) => !kind || track.kind === kind).map((track) => track.readyState),
    /**
     * How many connections are not closed; `used`: that know a description of the other side; `media`:
     * that are not for data alone.
     */
    open: (used, media) =>
      connections.filter(
        (c) =>
          c.connectionState !== "closed" &&
          (!used || c.remoteDescription !== null) &&
          (!media || c.getTransceivers().length > 0),
      ).length,
    /** Starts to look for gaps between pictures anew, and remembers the connections in use. */
    mark() {
      marked = used();
      pictures.longestGap = 0;
      pictures.last = performance.now();
    },
    /** Whether the connections in use are those of `mark`: none closed, none made anew. */
    kept: () => used().length === marked.length && marked.every((c) => used().includes(c)),
    /** The longest time without a new remote picture since `mark`, this moment included, in ms. */
    longestGap: () => Math.max(pictures.longestGap, performance.now() - pictures.last),
    /** Pixels by which the page is too wide, and controls that lie outside of it. */
    overflow() {
      const root = document.scrollingElement;
      const wide = root.clientWidth;
      const out = [...document.querySelectorAll("button, input, select, a, video")]
        .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
        .map((e) => [e, e.getBoundingClientRect()])
        .filter(([, box]) => box.width > 0 && (box.left < -1 || box.right > wide + 1))
        .map(([e]) => e.dataset.testid ?? e.outerHTML.slice(0, 80));
      return { by: root.scrollWidth - wide, out };
    },
    /** Test id of what has the focus, and whether a person can see that it has. */
    focus() {
      const e = document.activeElement;
      const look = getComputedStyle(e);
      const outlined = look.outlineStyle !== "none" && parseFloat(look.outlineWidth) > 0;
      const seen = (outlined || look.boxShadow !== "none") && e.matches(":focus-visible");
      return [e.dataset.testid ?? "", seen];
    },
    /** What has come into a live region since `listen`. */
    announced: [],
    listen() {
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const node = target instanceof Element ? target : target.parentElement;
          const live = node?.closest("[aria-live], [role=status], [role=alert], [role=log]");
          if (live) this.announced.push(live.textContent);
        }
      }).observe(document, { childList: true, characterData: true, subtree: true });
    },
    /** How the chosen pairs go: types of both candidates, and the transport to a relay. */
    async chosenPaths() {
      const found = [];
      for (const connection of connections) {
        const stats = await connection.getStats();
        for (const entry of stats.values()) {
          const pair = entry.type === "transport" && stats.get(entry.selectedCandidatePairId);
          if (!pair || connection.connectionState === "closed") continue;
          const local = stats.get(pair.localCandidateId);
          const remote = stats.get(pair.remoteCandidateId);
          found.push({
            local: local.candidateType, remote: remote.candidateType, over: local.relayProtocol,
          });
        }
      }
      return found;
    },
    /** What has come in over all connections, in bytes of payload. */
    async bytes() {
      let sum = 0;
      for (const connection of connections) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type === "inbound-rtp") sum += entry.bytesReceived ?? 0;
        }
      }
      return sum;
    },
    /** Of each track of sound that a connection in use sends: whether it is switched on. */
    soundSent: () =>
      used().flatMap((c) => c.getSenders())
        .filter(({ track }) => track?.kind === "audio")
        .map(({ track }) => track.enabled),
    /** Bytes of pictures that have gone out over the connections in use. */
    async pictureBytesSent() {
      let sum = 0;
      for (const connection of used()) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type === "outbound-rtp" && entry.kind === "video") sum += entry.bytesSent;
        }
      }
      return sum;
    },
    /** Packets of pictures that have come over the connections in use. */
    async videoPackets() {
      let sum = 0;
      for (const connection of used()) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type === "inbound-rtp" && entry.kind === "video") sum += entry.packetsReceived;
        }
      }
      return sum;
    },
    /** What has gone over data channels, in both directions, in bytes. */
    async fileBytes() {
      let sum = 0;
      for (const connection of connections) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type !== "data-channel" || entry.label !== "files") continue;
          sum += (entry.bytesReceived ?? 0) + (entry.bytesSent ?? 0);
        }
      }
      return sum;
    },
    /** The addresses that the chosen pairs lead to. */
    async remoteAddresses() {
      const found = [];
      for (const connection of connections) {
        const stats = await connection.getStats();
        for (const entry of stats.values()) {
          if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") {
            found.push(stats.get(entry.remoteCandidateId)?.address ?? "");
          }
        }
      }
      return found;
    },
  };
})();
