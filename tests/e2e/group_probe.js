// What a group looks like from inside: frames per sender, lost sound, and frames that did not open. Put
// into pages beside probe.js.
(() => {
  const connections = [];
  const RTC = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends RTC {
    constructor(...options) {
      super(...options);
      connections.push(this);
    }
  };

  /** Reports on everything that comes in, with the track each belongs to. */
  async function incoming() {
    const found = [];
    for (const connection of connections) {
      const reports = await connection.getStats();
      for (const entry of reports.values()) if (entry.type === "inbound-rtp") found.push(entry);
    }
    return found;
  }

  /** Whose picture or screen an element shows, with what was decoded of it. */
  async function shown() {
    const reports = await incoming();
    return [...document.querySelectorAll("video[data-testid=remote-video], video[data-testid=remote-screen]")]
      .map((video) => {
        const tracks = video.srcObject?.getTracks() ?? [];
        const of = (kind) => reports.find((entry) =>
          entry.kind === kind && tracks.some((track) => track.id === entry.trackIdentifier));
        return {
          participant: video.closest("[data-participant]")?.dataset.participant ?? "",
          screen: video.dataset.testid === "remote-screen",
          track: video.srcObject?.getVideoTracks()[0]?.id ?? "",
          frames: of("video")?.framesDecoded ?? 0,
          packets: of("video")?.packetsReceived ?? 0,
          width: of("video")?.frameWidth ?? 0,
          energy: of("audio")?.totalAudioEnergy ?? 0,
          samples: of("audio")?.totalSamplesReceived ?? 0,
        };
      });
  }

  const keys = { seal: [], open: [] };
  const importKey = crypto.subtle.importKey.bind(crypto.subtle);
  crypto.subtle.importKey = (format, data, algorithm, extractable, uses) => {
    if (algorithm === "AES-GCM" && format === "raw") {
      keys[uses.includes("encrypt") ? "seal" : "open"].push([...new Uint8Array(data)].join("."));
    }
    return importKey(format, data, algorithm, extractable, uses);
  };

  /** Sound of somebody since `listen`, in ms. */
  const heard = new Map();
  window.konsilGroup = {
    shown,
    keys,
    incoming: async () => (await incoming()).map(({ kind, framesDecoded, packetsReceived }) =>
      ({ kind, frames: framesDecoded ?? 0, packets: packetsReceived ?? 0 })),
    /**
     * From now on adds up what the element that shows somebody plays of that person's sound. What a decoder
     * makes up in place of lost sound does not count, nor does what comes in but is not played.
     */
    listen(participant) {
      const note = { since: performance.now(), heard: 0, gap: 0, last: performance.now(), before: null };
      heard.set(participant, note);
      const look = async () => {
        if (heard.get(participant) !== note) return;
        const playing = new Set([...document.querySelectorAll("[data-participant] video[data-testid=remote-video]")]
          .filter((video) => video.closest("[data-participant]").dataset.participant === participant)
          .flatMap((video) => video.srcObject?.getAudioTracks() ?? [])
          .map(({ id }) => id));
        const now = new Map();
        for (const entry of await incoming()) {
          if (entry.kind !== "audio") continue;
          const real = (entry.totalSamplesReceived ?? 0) - (entry.concealedSamples ?? 0);
          now.set(entry.trackIdentifier, real);
          const more = (real - (note.before?.get(entry.trackIdentifier) ?? 0)) / 48;
          if (!playing.has(entry.trackIdentifier) || !note.before || more <= 0) continue;
          note.heard += more;
          note.gap = Math.max(note.gap, performance.now() - note.last);
          note.last = performance.now();
        }
        note.before = now;
        setTimeout(look, 20);
      };
      void look();
    },
    /** Since `listen`, in ms: how long that is, and how much of it was not heard. */
    lost: (participant) => {
      const note = heard.get(participant);
      const time = performance.now() - note.since;
      return { time, lost: Math.max(0, time - note.heard), gap: note.gap };
    },
    /** How the pictures that are sent are layered, by their width. */
    layering: async () => {
      const found = {};
      for (const connection of connections) {
        for (const report of (await connection.getStats()).values()) {
          if (report.type === "outbound-rtp" && report.kind === "video" && report.frameWidth) {
            found[report.frameWidth] = report.scalabilityMode;
          }
        }
      }
      return found;
    },
    states: () => connections.map((c) => c.connectionState),
    /** How many connections are there for picture and sound; those for data alone do not count. */
    forMedia: () => connections.filter((c) =>
      c.connectionState !== "closed" && /^m=audio/m.test(c.remoteDescription?.sdp ?? "")).length,
  };
})();
