// @ts-check
/** The way to the check of the line, which is loaded when it is asked for, and goes on from screen to screen. */
import { loadStyle } from "./chatgate.js";
import { on, View } from "./dom.js";
import { addWords, t } from "./language.js";
import { createMissing, notCome, reachable } from "./missing.js";

export class CheckGate {
  #token;
  #host;
  /** @type {import("./linecheck.js").LineCheck | null} */
  #check = null;
  /** @type {typeof import("./checkview.js") | null} */
  #views = null;
  /** How often it has been stopped: a press before that is void. */
  #stops = 0;

  /** @param {string} token @param {boolean} [host] */
  constructor(token, host = false) {
    this.#token = token;
    this.#host = host;
  }

  /** The call begins: the line is for that. */
  stop() {
    this.#stops += 1;
    this.#check?.stop();
  }

  /**
   * @param {(state: any) => boolean} [away] whether the line is in use for something better
   * @returns {import("./dom.js").Part<any>}
   */
  part(away = () => false) {
    /** @type {View<any>} */
    const view = new View();
    /** @type {import("./checkview.js").Shown | null} */
    let shown = null;
    let gone = false;
    const missing = createMissing(() => failed);
    let failed = false;
    const button = view.h("button", {
      type: "button",
      "data-testid": "check-button",
      onclick: on(async () => {
        const stops = this.#stops;
        button.disabled = true;
        failed = !(await this.#load()) && await reachable();
        missing.update(null);
        button.disabled = false;
        // On a slow line that takes seconds, in which a call may have begun.
        if (gone || stops !== this.#stops || !show()) return;
        shown?.focus();
        void this.#check?.start();
      }),
    }, () => t("check.button"));
    const element = view.h("section", { class: "check", "data-testid": "network-check", hidden: away },
      button, view.use(missing));
    const show = () => {
      if (this.#check !== null && this.#views !== null && shown === null) {
        shown = this.#views.createCheckView(this.#check, this.#host);
        element.replaceChildren(shown.element);
      }
      return shown !== null;
    };
    view.bind(away, (now) => {
      if (now) this.stop();
    });
    show();
    return view.part(element, () => {
      gone = true;
      shown?.remove();
    });
  }

  /** @returns {Promise<boolean>} whether it has come */
  async #load() {
    if (this.#check !== null) return true;
    try {
      const [{ LineCheck }, views] = await Promise.all([
        import("./linecheck.js"), import("./checkview.js"), addWords("check"),
        loadStyle("/static/css/check.css"),
      ]);
      this.#views = views;
      this.#check ??= new LineCheck(this.#token);
      return true;
    } catch (error) {
      if (!notCome(error)) throw error;
      return false;
    }
  }
}
