// @ts-check
/**
 * What the reception says to one who waits, and where it asks them to go; loaded when it first does. The
 * person decides: nothing moves without a click, and nothing is shown of the devices without one.
 */
import { announce, notify } from "./announcer.js";
import { request } from "./api.js";
import { recordConsent } from "./consent.js";
import { on, View } from "./dom.js";
import { callAttention, play } from "./knock.js";
import { addWords, t } from "./language.js";
import { keepVisit, randomName } from "./tabmemory.js";

/**
 * @typedef {import("./joinstate.js").JoinState} JoinState
 * @typedef {import("./visit.js").Visit} Visit
 * @typedef {import("./devicestate.js").DeviceStatus} DeviceStatus
 * @typedef {import("./protocol.js").DeviceWord} DeviceWord
 */

/** Longest wait for the receipt of consent to the other room, ms. */
const RECEIPT = 2000;

/** @type {Readonly<Partial<Record<DeviceStatus, DeviceWord>>>} */
const WORDS = Object.freeze({
  on: "works", off: "works", refused: "refused", insecure: "refused", none: "missing", busy: "missing",
  lost: "missing", paused: "missing", failed: "missing",
});

/**
 * @param {Visit} visit
 * @returns {Promise<import("./dom.js").Part<JoinState>>}
 */
export async function createReceptionNote(visit) {
  await addWords("note");
  /** @type {View<JoinState>} */
  const view = new View();
  /** @type {JoinState | null} */
  let latest = null;
  let shows = false;
  let sent = "";
  let going = false;
  const refresh = () => {
    if (latest !== null) view.update(latest);
  };
  const onward = (/** @type {JoinState} */ s) => s.room?.onward ?? "";

  /** Says what has come since; a note that nobody sees is no note. */
  view.bind((s) => [s.greeted, onward(s)].join("\n"), () => {
    if (latest === null || (latest.greeted === "" && onward(latest) === "")) return;
    const name = onward(latest);
    announce(name === "" ? t("say.told", { text: latest.greeted }) : t("note.asked", { name }));
    play("knock");
    callAttention(t("note.title"));
  });

  const showDevices = () => {
    if (!shows || latest === null || latest.phase !== "waiting") return;
    const { camera, microphone } = latest.devices;
    const [seen, heard] = [WORDS[camera], WORDS[microphone]];
    if (seen === undefined || heard === undefined || sent === `${seen} ${heard}`) return;
    sent = `${seen} ${heard}`;
    void visit.command("show_devices", { camera: seen, microphone: heard });
  };

  const go = async () => {
    if (going) return;
    going = true;
    refresh();
    try {
      const { token, secret } = await askOnward(visit);
      const { memory } = visit;
      await visit.leave();
      // As after a reload: straight into the waiting room, under the same name.
      keepVisit("join", { ...memory, fragment: token, secret, entered: true, files: "unasked" });
      location.replace(`/join#${token}`);
    } catch {
      going = false;
      refresh();
      notify(t("note.failed"));
    }
  };

  const element = view.h(
    "div",
    { class: "told tell-form", "data-testid": "reception-note", hidden: (s) => s.greeted === "" && onward(s) === "" },
    view.h("h2", {}, () => t("note.title")),
    view.h("p", { dir: "auto", "data-testid": "reception-words", hidden: (s) => s.greeted === "" }, (s) => s.greeted),
    view.h(
      "div",
      { class: "tell-form", "data-testid": "onward", hidden: (s) => onward(s) === "" },
      view.h("p", {}, (s) => t("note.asked", { name: onward(s) })),
      view.h("p", { class: "hint" }, (s) => t("note.asked_do", { name: onward(s) })),
      view.h(
        "button",
        {
          type: "button", class: "primary", "data-testid": "onward-go", disabled: () => going,
          onclick: on(() => void go()),
        },
        (s) => t("note.go", { name: onward(s) }),
      ),
    ),
    view.h(
      "button",
      {
        type: "button", "data-testid": "show-devices", hidden: () => shows, "aria-describedby": "show-devices-do",
        onclick: on((/** @type {MouseEvent} */ event) => {
          shows = true;
          showDevices();
          refresh();
          // The keyboard's place was on the button that has gone.
          /** @type {HTMLElement} */ (event.currentTarget).parentElement?.focus();
        }),
      },
      () => t("note.show"),
    ),
    view.h("p", { class: "hint", id: "show-devices-do" }, () => t(shows ? "note.shown" : "note.show_do")),
  );
  element.tabIndex = -1;
  return {
    element,
    update: (state) => {
      // Another load of the page on the server's side: what it was shown is void.
      if (latest?.channel !== "open" && state.channel === "open") sent = "";
      latest = state;
      view.update(state);
      showDevices();
    },
  };
}

/**
 * The other room's token, and a secret of one's own for it. Agreeing to the notice counts there, too, and
 * was said beside the button.
 * @param {Visit} visit
 */
async function askOnward(visit) {
  const headers = { "Konsil-Participant": visit.memory.secret };
  const secret = randomName();
  const answer = await request("onward", visit.options.link.token, { secret }, headers);
  const token = String(Reflect.get(Object(answer), "token"));
  await Promise.race([
    recordConsent({ options: { link: { token } }, memory: { secret, fragment: token }, handReceipt: () => {} }),
    new Promise((resolve) => {
      setTimeout(resolve, RECEIPT);
    }),
  ]);
  return { token, secret };
}
