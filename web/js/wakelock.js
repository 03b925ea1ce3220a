// @ts-check
/** Keeps the screen awake while somebody waits or talks, where the browser can. */

let wanted = false;
/** @type {WakeLockSentinel | null} */
let lock = null;

/** @param {boolean} awake */
export function keepAwake(awake) {
  if (wanted === awake) return;
  wanted = awake;
  if (awake) {
    void acquire();
  } else {
    void lock?.release().catch(() => {});
    lock = null;
  }
}

async function acquire() {
  // Absent in insecure contexts and in some browsers; refused on a low battery.
  if (!wanted || !("wakeLock" in navigator) || document.visibilityState !== "visible") return;
  try {
    const got = await navigator.wakeLock.request("screen");
    if (wanted) lock = got;
    else await got.release();
  } catch {
    lock = null;
  }
}

// The lock ends whenever the page is hidden.
document.addEventListener("visibilitychange", () => void acquire());
