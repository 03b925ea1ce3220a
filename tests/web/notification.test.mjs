// A note is promised only where the device can show one.
import assert from "node:assert/strict";
import { test } from "node:test";

/** The module as a page of its own has it. */
async function pageWith(Notification) {
  globalThis.window = Notification === undefined ? {} : { Notification };
  globalThis.Notification = Notification;
  return import(`../../web/js/notification.js?${Math.random()}`);
}

function browser(permission, fails = false) {
  return class {
    static permission = permission;
    static made = 0;

    constructor() {
      this.constructor.made += 1;
      if (fails) throw new TypeError("Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.");
    }
  };
}

test("where only service workers show notes, nobody is asked for permission", async () => {
  const Phone = browser("default", true);
  const { canAskToNotify } = await pageWith(Phone);
  assert.ok(!canAskToNotify());
  assert.ok(!canAskToNotify());
  assert.equal(Phone.made, 1, "tried once");
});

test("elsewhere one is asked, unless one has answered", async () => {
  for (const [permission, asks, made] of [["default", true, 1], ["granted", false, 0], ["denied", false, 0]]) {
    const Desktop = browser(permission);
    const { canAskToNotify } = await pageWith(Desktop);
    assert.equal(canAskToNotify(), asks, permission);
    assert.equal(Desktop.made, made, "none is made where it would be shown");
  }
  const { canAskToNotify } = await pageWith(undefined);
  assert.ok(!canAskToNotify());
});
