// @ts-check
/** One picture of a stream, as large as it comes. */

/** Longest wait for a picture, ms. */
const PATIENCE = 4_000;

/**
 * @param {MediaStream | null} stream
 * @returns {Promise<{url: string, width: number, height: number}>} an object URL of a PNG; size in pixels
 * @throws {Error} there is no picture
 */
export async function takeStill(stream) {
  const track = stream?.getVideoTracks().find(({ readyState, muted }) => readyState === "live" && !muted);
  if (!track) throw new Error("no picture");
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  try {
    await pictureOf(video);
    const { videoWidth: width, videoHeight: height } = video;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    const blob = await /** @type {Promise<Blob | null>} */ (new Promise((resolve) => {
      canvas.toBlob(resolve, "image/png");
    }));
    if (blob === null) throw new Error("no picture");
    return { url: URL.createObjectURL(blob), width, height };
  } finally {
    video.srcObject = null;
  }
}

/** @param {HTMLVideoElement} video @returns {Promise<void>} when there is something to be seen on it */
function pictureOf(video) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no picture came")), PATIENCE);
    const come = () => {
      if (video.videoWidth === 0) return;
      clearTimeout(timer);
      resolve();
    };
    // A frame that is on the screen, where the browser tells of it.
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(come);
    else /** @type {HTMLVideoElement} */ (video).addEventListener("timeupdate", come);
    /** @type {HTMLVideoElement} */ (video).play().catch(() => {});
  });
}
