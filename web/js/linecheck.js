// @ts-check
/** The check of the line that a person may run, as often as they like, until the call begins. */
import { Emitter } from "./emitter.js";
import { probe } from "./lineprobe.js";

/**
 * @typedef {import("./lineverdict.js").Findings} Findings
 *
 * @typedef {"idle" | "ways" | "line" | "done" | "stopped" | "failed"} Phase ways and line: under way
 */

/** @extends {Emitter<{change: []}>} */
export class LineCheck extends Emitter {
  /** @type {Phase} */
  phase = "idle";
  /** Of the last check that came to its end. @type {Findings | null} */
  found = null;
  /** When it did. */
  at = new Date();
  #token;
  #run = new AbortController();

  /** @param {string} token */
  constructor(token) {
    super();
    this.#token = token;
  }

  get running() {
    return this.phase === "ways" || this.phase === "line";
  }

  async start() {
    if (this.running) return;
    const run = new AbortController();
    this.#run = run;
    try {
      const found = await probe(this.#token, run.signal, (step) => this.#become(step));
      this.found = found;
      this.at = new Date();
      this.#become("done");
    } catch (error) {
      if (run.signal.aborted) return;
      this.#become("failed");
      reportError(error);
    }
  }

  /** Ends what is under way; what was found before stays. */
  stop() {
    if (!this.running) return;
    this.#run.abort();
    this.#become("stopped");
  }

  /** @param {Phase} phase */
  #become(phase) {
    this.phase = phase;
    this.emit("change");
  }
}
