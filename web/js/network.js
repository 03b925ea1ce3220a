// @ts-check
/** When this device is in another network, so that ways have to be found anew. */

/**
 * @param {() => void} listener called when the network is there again, or is another one
 * @returns {() => void} stops it
 */
export function onNetworkChange(listener) {
  // Only Chromium has it, and it tells of every new estimate, too; other browsers tell of a new network
  // by `online` alone.
  /** @type {(EventTarget & {type?: string}) | undefined} */
  const connection = /** @type {any} */ (navigator).connection;
  let type = connection?.type;
  const changed = () => {
    if (connection?.type === type) return;
    type = connection?.type;
    listener();
  };
  window.addEventListener("online", listener);
  connection?.addEventListener("change", changed);
  return () => {
    window.removeEventListener("online", listener);
    connection?.removeEventListener("change", changed);
  };
}
