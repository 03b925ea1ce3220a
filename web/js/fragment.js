// @ts-check
/** The link this tab was opened with: from the address, or after a reload without it from the tab's memory. */
import { parseFragment } from "./link.js";
import { keep, recall } from "./tabmemory.js";

/**
 * @typedef {{ok: true, fragment: string, link: import("./link.js").Link}
 *   | {ok: false, code: "link_missing" | "link_incomplete" | "insecure_context" | "unsupported"}} Taken
 */

/**
 * What makes a call impossible in this browser, whatever the link.
 * @returns {"insecure_context" | "unsupported" | null}
 */
function obstacle() {
  // Without https a browser gives neither camera nor WebCrypto, and so no sealing.
  if (!isSecureContext) return "insecure_context";
  return "RTCPeerConnection" in window && "subtle" in crypto ? null : "unsupported";
}

/**
 * A sign-in link works once, so it is not remembered.
 * @param {"join" | "host" | "provider"} page
 * @returns {Taken}
 */
export function takeFragment(page) {
  // Another link put into the same tab is another visit.
  addEventListener("hashchange", () => location.reload());
  // A page brought back whole by the browser's back button holds closed sockets.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  const hindrance = page === "provider" ? null : obstacle();
  if (hindrance !== null) return { ok: false, code: hindrance };
  const kept = page === "provider" ? null : recall(`link.${page}`);
  const fragment = location.hash.slice(1) || (kept ?? "");
  const parsed = parseFragment(fragment);
  if (!parsed.ok) return parsed;
  if (page !== "provider") keep(`link.${page}`, fragment);
  return { ok: true, fragment, link: parsed.link };
}
