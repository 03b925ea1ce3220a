// @ts-check
/** A QR code as a picture that can be scaled and printed. */
import { encodeQr } from "./qr.js";

const SVG = "http://www.w3.org/2000/svg";
/** Light modules around the code (ISO/IEC 18004 section 5.3.8). */
const QUIET = 4;

/**
 * @param {string} text
 * @param {string} label for those who do not see it
 * @returns {SVGSVGElement | null} null where the text is too long
 */
export function createQr(text, label) {
  const matrix = encodeQr(text);
  if (matrix === null) return null;
  const size = matrix.length + 2 * QUIET;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("shape-rendering", "crispEdges");
  const ground = document.createElementNS(SVG, "rect");
  ground.setAttribute("width", String(size));
  ground.setAttribute("height", String(size));
  // Dark on light in every colour scheme: not every reader takes the reverse.
  ground.setAttribute("fill", "#fff");
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("fill", "#000");
  dark.setAttribute("d", runs(matrix).join(""));
  svg.append(ground, dark);
  return svg;
}

/**
 * One horizontal bar for each run of dark modules.
 * @param {import("./qr.js").Matrix} matrix
 */
function runs(matrix) {
  return matrix.flatMap((row, y) => {
    const text = row.map((module) => (module ? "1" : "0")).join("");
    return [...text.matchAll(/1+/g)].map(
      ({ 0: run, index }) => `M${index + QUIET} ${y + QUIET}h${run.length}v1h-${run.length}z`,
    );
  });
}
