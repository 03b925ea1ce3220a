// @ts-check
/** Line icons on a 24 × 24 grid. Decoration only: every button has its name in words. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = Object.freeze({
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7",
  microphoneOff: "M9 9v2a3 3 0 0 0 4.8 2.4M15 11V6a3 3 0 0 0-5.8-1M5.5 11a6.5 6.5 0 0 0 10.4 5.2M18.5 11a6.4 6.4 0 0 1-.6 2.7M12 17.5V21M8.5 21h7M4 4l16 16",
  camera: "M5 6.5h8.5a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM15.5 10.5 21 7.5v9l-5.5-3",
  cameraOff: "M9.5 6.5h4a2 2 0 0 1 2 2v4M15.5 15.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2M15.5 10.5 21 7.5v9l-3-1.6M4 4l16 16",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8v4.4M9 14.8v4.4",
  fullscreen: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  leave: "M3.5 14.8c-1-1-1-2.6.1-3.5 5-4 11.8-4 16.8 0 1.1.9 1.1 2.5.1 3.5l-.9.9a1.5 1.5 0 0 1-1.9.2l-2-1.3a1.5 1.5 0 0 1-.7-1.5l.2-1.5a11.8 11.8 0 0 0-6.4 0l.2 1.5a1.5 1.5 0 0 1-.7 1.5l-2 1.3a1.5 1.5 0 0 1-1.9-.2Z",
  end: "M12 3.5v8M7.5 6.2a7.8 7.8 0 1 0 9 0",
  lock: "M7 11h10a1.5 1.5 0 0 1 1.5 1.5v6A1.5 1.5 0 0 1 17 20H7a1.5 1.5 0 0 1-1.5-1.5v-6A1.5 1.5 0 0 1 7 11ZM8.5 11V7.5a3.5 3.5 0 0 1 7 0V11",
  people: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M15.5 4.8a3.5 3.5 0 0 1 0 6.4M18 14.3a6.5 6.5 0 0 1 3.5 5.7",
  shield: "M12 3l7.5 2.7v5.8c0 4.6-3.1 7.9-7.5 9.5-4.4-1.6-7.5-4.9-7.5-9.5V5.7L12 3ZM8.5 12l2.5 2.5 4.5-4.8",
  alert: "M12 4 2.8 19.5h18.4L12 4ZM12 10v4.5M12 17.2v.1",
  hand: "M8 12.5V5.8a1.4 1.4 0 0 1 2.8 0V11V4.4a1.4 1.4 0 0 1 2.8 0V11V5.4a1.4 1.4 0 0 1 2.8 0V14a6.5 6.5 0 0 1-6.5 6.5c-2.6 0-3.8-1.4-5.2-4l-1.6-3a1.4 1.4 0 0 1 2.4-1.5L8 14.5",
  floating: "M4 5h16a1 1 0 0 1 1 1v4M3 10V6a1 1 0 0 1 1-1M3 10v8a1 1 0 0 0 1 1h5M12.5 13.5h8a.5.5 0 0 1 .5.5v5a.5.5 0 0 1-.5.5h-8a.5.5 0 0 1-.5-.5v-5a.5.5 0 0 1 .5-.5Z",
  photo: "M4.5 8H8l1.5-2.5h5L16 8h3.5A1.5 1.5 0 0 1 21 9.5v8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5v-8A1.5 1.5 0 0 1 4.5 8ZM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4Z",
  pin: "M9 4h6l-.7 6.2 3.2 3.3v1.5h-11v-1.5l3.2-3.3L9 4ZM12 15v5.5",
  plus: "M12 5v14M5 12h14",
  screen: "M4 5h16a1 1 0 0 1 1 1v9.5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM8.5 20h7M12 16.5V20",
  signal: "M5 19v-3M10 19v-7M15 19V8M20 19V4",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4ZM15.5 9a4 4 0 0 1 0 6M18 6.5a7.6 7.6 0 0 1 0 11",
  copy: "M9 9h9.5a1 1 0 0 1 1 1v9.5a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1ZM15.5 9V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v9.5a1 1 0 0 0 1 1h3",
  check: "M4.5 12.5 10 18 19.5 7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2",
  chat: "M5 4.5h14A1.5 1.5 0 0 1 20.5 6v9a1.5 1.5 0 0 1-1.5 1.5h-7L7.5 20.5v-4H5A1.5 1.5 0 0 1 3.5 15V6A1.5 1.5 0 0 1 5 4.5ZM8 9h8M8 12.5h5",
  clip: "M19.5 11.5l-7.7 7.7a4.6 4.6 0 0 1-6.5-6.5l8-8a3 3 0 0 1 4.3 4.3l-8 8a1.5 1.5 0 0 1-2.1-2.2l7.2-7.2",
  close: "M6 6l12 12M18 6 6 18",
  file: "M13.5 3.5H7A1.5 1.5 0 0 0 5.5 5v14A1.5 1.5 0 0 0 7 20.5h10a1.5 1.5 0 0 0 1.5-1.5V8.5l-5-5ZM13.5 3.5v5h5",
  send: "M4 12 3 4.5l18 7.5-18 7.5L4 12ZM4 12h8",
  door: "M6 21V4.5A1.5 1.5 0 0 1 7.5 3h9A1.5 1.5 0 0 1 18 4.5V21M3 21h18M14 12v.5",
});

/** @typedef {keyof typeof PATHS} Icon */

/**
 * @param {Icon} name
 * @returns {SVGSVGElement & {show: (name: Icon) => void}} `show` draws another one in its place
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return Object.assign(svg, {
    show: (/** @type {Icon} */ other) => path.setAttribute("d", PATHS[other]),
  });
}
