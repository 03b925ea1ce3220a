// A page without the rest of Konsil: one connection to a forwarder, and what comes of it.
window.begin = async (publish) => {
  window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  window.heard = {};
  pc.ontrack = ({ track, transceiver }) => {
    const element = document.createElement(track.kind);
    element.srcObject = new MediaStream([track]);
    element.autoplay = true;
    if (track.kind === "video") element.muted = true;
    document.body.append(element);
  };
  if (!publish) return;
  const media = await navigator.mediaDevices.getUserMedia({
    audio: true,
    video: { width: 960, height: 540, frameRate: 15 },
  });
  prefer(pc.addTransceiver(media.getAudioTracks()[0], { direction: "sendonly" }));
  prefer(
    pc.addTransceiver(media.getVideoTracks()[0], {
      direction: "sendonly",
      sendEncodings: [
        { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 100_000 },
        { rid: "m", scaleResolutionDownBy: 2, maxBitrate: 250_000 },
        { rid: "h", scaleResolutionDownBy: 1, maxBitrate: 800_000 },
      ],
    }),
  );
};

window.prefer = (transceiver) => {
  const wanted = ["audio/opus", "video/vp8", "video/rtx"];
  const { codecs } = RTCRtpReceiver.getCapabilities(transceiver.receiver.track.kind);
  transceiver.setCodecPreferences(codecs.filter((c) => wanted.includes(c.mimeType.toLowerCase())));
};

window.receive = (kind) => prefer(pc.addTransceiver(kind, { direction: "recvonly" }));

window.offer = async () => {
  const made = await pc.createOffer();
  await pc.setLocalDescription(made);
  return { sdp: made.sdp, mids: pc.getTransceivers().map((t) => t.mid) };
};

window.answer = (sdp) => pc.setRemoteDescription({ type: "answer", sdp });

window.numbers = async () => {
  const found = { state: pc.connectionState, sent: 0, layers: {} };
  const report = await pc.getStats();
  for (const one of report.values()) {
    if (one.type === "outbound-rtp" && one.kind === "video") {
      found.layers[one.rid] = {
        frames: one.framesEncoded,
        target: one.targetBitrate,
        limited: one.qualityLimitationReason,
      };
      found.sent = Math.max(found.sent, one.framesEncoded ?? 0);
    }
    if (one.type === "candidate-pair" && one.nominated) {
      found.available = one.availableOutgoingBitrate;
      found.protocol = report.get(one.remoteCandidateId)?.protocol;
    }
    if (one.type === "inbound-rtp" && one.kind === "video") {
      found.frames = one.framesDecoded;
      found.received = one.framesReceived;
      found.height = one.frameHeight;
      found.freezes = one.freezeCount;
      found.nacks = one.nackCount;
      found.lost = one.packetsLost;
      found.repaired = one.retransmittedPacketsReceived;
    }
    if (one.type === "inbound-rtp" && one.kind === "audio") {
      found.sound = one.packetsReceived;
      found.concealed = one.concealedSamples;
      found.samples = one.totalSamplesReceived;
    }
  }
  return found;
};
