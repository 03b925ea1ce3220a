// @ts-check
/** A note by the device when somebody is asked in while looking elsewhere. It names nobody. */

/** @type {boolean | undefined} */
let able;

/** Some phones show notes of service workers only. Before the permission is given none is shown anywhere. */
function isAble() {
  try {
    able ??= Boolean(new Notification(""));
  } catch {
    able = false;
  }
  return able;
}

/** Whether a person may still be asked for permission. */
export function canAskToNotify() {
  return "Notification" in window && Notification.permission === "default" && isAble();
}

/** Whether a note would be shown. */
export function mayNotify() {
  return "Notification" in window && Notification.permission === "granted";
}

/** To be called upon a click. @returns {Promise<boolean>} whether notes will be shown */
export async function askToNotify() {
  try {
    return (await Notification.requestPermission()) === "granted";
  } catch {
    return false;
  }
}

/** @param {string} text */
export function notifyAway(text) {
  if (!mayNotify() || (document.visibilityState === "visible" && document.hasFocus())) return;
  try {
    const note = new Notification(text, { tag: "konsil", icon: "/static/img/icon.svg" });
    note.onclick = () => {
      window.focus();
      note.close();
    };
  } catch {
    // Sound and title are there nevertheless.
  }
}
