// @ts-check
/** Sounds and the tab's title, to call somebody back to the page. The sounds are made, not loaded. */

/** Pitch in Hz and start in s of each note. @type {Readonly<Record<"knock" | "admitted", readonly (readonly [number, number])[]>>} */
const TUNES = Object.freeze({
  knock: [
    [660, 0],
    [880, 0.18],
  ],
  admitted: [
    [523, 0],
    [659, 0.15],
    [784, 0.3],
  ],
});

/** @type {AudioContext | null} */
let context = null;

/** Browsers let a page sound only after a gesture; the first one anywhere on the page will do. */
export function readySound() {
  const wake = () => {
    context ??= "AudioContext" in window ? new AudioContext() : null;
    void context?.resume().catch(() => {});
  };
  addEventListener("pointerdown", wake, { capture: true });
  addEventListener("keydown", wake, { capture: true });
}

/**
 * Plays without keeping anybody waiting; silent where the browser does not allow it.
 * @param {keyof typeof TUNES} tune
 */
export function play(tune) {
  if (!("AudioContext" in window)) return;
  context ??= new AudioContext();
  const audio = context;
  void audio
    .resume()
    .then(() => {
      for (const [pitch, start] of TUNES[tune]) note(audio, pitch, audio.currentTime + start);
    })
    .catch(() => {});
}

/**
 * @param {AudioContext} audio
 * @param {number} pitch Hz
 * @param {number} at s, on the context's clock
 */
function note(audio, pitch, at) {
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = pitch;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.2, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.5);
  tone.connect(volume).connect(audio.destination);
  tone.start(at);
  tone.stop(at + 0.55);
}

let title = "Konsil";
let call = "";

/** @param {string} text what the page is about at present */
export function setTitle(text) {
  title = text;
  showTitle();
}

/**
 * Puts a text before the title until the person looks at the page; "" takes it away.
 * @param {string} text
 */
export function callAttention(text) {
  call = document.visibilityState === "visible" && document.hasFocus() ? "" : text;
  showTitle();
}

function showTitle() {
  const full = `${call === "" ? "" : `● ${call} – `}${title}`;
  if (document.title !== full) document.title = full;
}

addEventListener("focus", () => callAttention(""));
