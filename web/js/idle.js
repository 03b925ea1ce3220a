// @ts-check
/** Work that nobody waits for. */

/**
 * Does it when the page has nothing else to do, after `within` ms in any case.
 *
 * @param {() => void} task
 * @param {number} within
 */
export function whenIdle(task, within) {
  // Safari has no requestIdleCallback.
  if (typeof requestIdleCallback === "function") requestIdleCallback(task, { timeout: within });
  else setTimeout(task, within / 5);
}
