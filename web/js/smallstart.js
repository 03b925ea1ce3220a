// @ts-check
/**
 * The first picture is sent small, so that it is there soon.
 *
 * A connection begins with an estimate of some 300 kbit/s. Measured in Chromium, with 1280×720 the
 * encoder then throws the first frames away until it has made the picture small by itself, and its
 * first picture comes about 150 ms later than one that is small from the start. By the time the full
 * size is asked for, the estimate has risen.
 */

/** What an encoder takes at once at the beginning, in pixels. */
const AT_ONCE = 640 * 480;
/** What is sent when the picture is larger than that. */
const SMALL = 320 * 180;

/** After the connection is there, in ms. */
export const FULL_SIZE_AFTER = 1_500;

/**
 * @param {MediaStreamTrack | null} track
 * @returns {number} by which to divide width and height; 1: as it is
 */
export function smallStart(track) {
  const { width = 0, height = 0 } = track?.getSettings() ?? {};
  const pixels = width * height;
  return pixels > AT_ONCE ? Math.sqrt(pixels / SMALL) : 1;
}

/**
 * @param {RTCRtpSender} sender
 * @param {number} factor
 * @returns {Promise<void>}
 */
export async function scaleDown(sender, factor) {
  const parameters = sender.getParameters();
  const [encoding] = parameters.encodings;
  if (!encoding || (encoding.scaleResolutionDownBy ?? 1) === factor) return;
  encoding.scaleResolutionDownBy = factor;
  await sender.setParameters(parameters);
}
