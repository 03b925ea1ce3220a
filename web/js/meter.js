// @ts-check
/** How loud the microphone is, 0 to 1, ten times a second. Nothing is kept and nothing leaves. */

/** Speech at arm's length lies between these, dB relative to full scale. */
const QUIET = -55;
const LOUD = -12;

/**
 * @param {Float32Array} samples
 * @returns {number} dB relative to full scale, -120 at least
 */
export function decibelsOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
}

/**
 * @param {Float32Array} samples
 * @returns {number} 0 to 1
 */
export function loudness(samples) {
  return Math.min(1, Math.max(0, (decibelsOf(samples) - QUIET) / (LOUD - QUIET)));
}

/**
 * Listens to a stream's first audio track until told to stop.
 * @param {MediaStream} stream
 * @param {(level: number, decibels: number) => void} report
 * @returns {() => void} stops and releases
 */
export function startMeter(stream, report) {
  const track = stream.getAudioTracks()[0];
  if (track === undefined || !("AudioContext" in window)) return () => {};
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  const source = context.createMediaStreamSource(new MediaStream([track]));
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    // Without a gesture a browser may start the context asleep; it wakes with the first one. A telephone call
    // interrupts it (WebKit's word). What it gives then is no silence of the microphone's.
    if (context.state !== "running") {
      void context.resume().catch(() => {});
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    report(loudness(samples), decibelsOf(samples));
  }, 100);
  return () => {
    clearInterval(timer);
    source.disconnect();
    void context.close();
  };
}
