// @ts-check
/** Another camera, microphone or language in the middle of the call. Esc closes. */
import { createDevicePicker } from "./devicepicker.js";
import { on, View } from "./dom.js";
import { languageSwitch, t } from "./language.js";

/** @typedef {import("./visitstate.js").VisitData} VisitData */

/**
 * @param {import("./devices.js").DeviceSet} devices
 * @param {HTMLElement} more below devices and language
 * @returns {import("./dom.js").Part<VisitData> & {show: () => void}}
 */
export function createSettings(devices, more) {
  /** @type {View<VisitData>} */
  const view = new View();
  const slot = view.h("div", {});
  /** Only an open dialog listens to the microphone. @type {import("./dom.js").Part<VisitData> | null} */
  let picker = null;
  /** @type {VisitData | null} */
  let latest = null;
  view.bind(
    (s) => s,
    (s) => {
      latest = s;
      picker?.update(s);
    },
  );
  /** @type {HTMLDialogElement} */
  const dialog = view.h(
    "dialog",
    {
      class: "dialog",
      "aria-labelledby": "settings-title",
      onclose: on(() => {
        picker?.remove?.();
        picker?.element.remove();
        picker = null;
      }),
    },
    view.h("h2", { id: "settings-title" }, () => t("settings.title")),
    slot,
    view.h(
      "div",
      { class: "field" },
      view.h("span", { class: "label", "aria-hidden": "true" }, () => t("shell.language")),
      view.use(languageSwitch()),
    ),
    more,
    view.h(
      "div",
      { class: "row end" },
      view.h(
        "button",
        { type: "button", class: "primary", onclick: on(() => dialog.close()) },
        () => t("action.done"),
      ),
    ),
  );
  const show = () => {
    if (dialog.open) return;
    picker = createDevicePicker(devices);
    slot.append(picker.element);
    if (latest !== null) picker.update(latest);
    dialog.showModal();
  };
  return { ...view.part(dialog, () => dialog.open && dialog.close()), show };
}
