// An hour for which somebody waits comes also where the device has slept meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";

const listeners = new EventTarget();
Object.assign(globalThis, { document: new EventTarget(), addEventListener: (...args) => listeners.addEventListener(...args) });
const { Alarm } = await import("../../web/js/alarm.js");

const HOUR = 3_600_000;

/** The clock on the wall, and timers, which stand still while the device sleeps. */
function night(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 1_000_000;
  context.mock.method(Date, "now", () => now);
  const rung = [];
  const alarm = new Alarm();
  return {
    rung,
    set: (ms) => alarm.set(now + ms, () => rung.push(now)),
    stop: () => alarm.stop(),
    wake: (ms) => {
      for (let left = ms; left > 0; left -= 1000) {
        now += Math.min(left, 1000);
        context.mock.timers.tick(Math.min(left, 1000));
      }
    },
    sleep: (ms) => {
      now += ms;
    },
  };
}

test("it rings once, at its time and not before, however far ahead", (context) => {
  const { rung, set, wake } = night(context);
  set(HOUR);
  wake(HOUR - 1000);
  assert.deepEqual(rung, []);
  wake(1000);
  wake(HOUR);
  assert.deepEqual(rung, [1_000_000 + HOUR]);
});

test("after a sleep it rings within a quarter of a minute", (context) => {
  const { rung, set, wake, sleep } = night(context);
  set(HOUR);
  sleep(2 * HOUR);
  wake(15_000);
  assert.equal(rung.length, 1);
});

test("whoever comes back to the page need not wait for that", (context) => {
  for (const come of [
    () => document.dispatchEvent(new Event("visibilitychange")),
    () => listeners.dispatchEvent(new Event("pageshow")),
  ]) {
    const { rung, set, sleep } = night(context);
    set(HOUR);
    come();
    assert.deepEqual(rung, [], "it is not the time yet");
    sleep(2 * HOUR);
    come();
    assert.equal(rung.length, 1);
    context.mock.reset();
  }
});

test("one that was stopped or set anew does not ring for what was before", (context) => {
  const { rung, set, stop, wake } = night(context);
  set(1000);
  stop();
  wake(HOUR);
  document.dispatchEvent(new Event("visibilitychange"));
  set(1000);
  set(20_000);
  wake(19_000);
  assert.deepEqual(rung, []);
  wake(1000);
  assert.equal(rung.length, 1);
});
