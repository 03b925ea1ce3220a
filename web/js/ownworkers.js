// @ts-check
/** Workers of our own, and no others: the server's headers allow one policy that turns a name into a script. */

const SCRIPTS = new Set(["/static/js/blurworker.js", "/static/js/frameworker.js"]);

/** It can be made but once. */
const policy = Reflect.get(globalThis, "trustedTypes")?.createPolicy("konsil", {
  createScriptURL: (/** @type {string} */ url) => {
    if (!SCRIPTS.has(url)) throw new TypeError("not a script of ours");
    return url;
  },
});

/**
 * @param {"blurworker" | "frameworker"} name
 * @returns {Worker}
 */
export function startWorker(name) {
  const url = `/static/js/${name}.js`;
  return new Worker(policy?.createScriptURL(url) ?? url, { type: "module" });
}
