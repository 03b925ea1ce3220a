// What a screen reader is told: all of it, once, and not for ever; what a note shows is said as well.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import "./paper.mjs";

// Before the module is loaded: in a tab that is not looked at no frame is painted.
globalThis.requestAnimationFrame = () => 0;
mock.timers.enable({ apis: ["setTimeout"] });
const { announce, hush, mountAnnouncer, notify } = await import("../../web/js/announcer.js");

mountAnnouncer(document.body);
const regions = document.body.children;
const live = (manner) => regions.find((one) => one.attributes.get("aria-live") === manner).textContent;
const note = regions.find((one) => one.className === "note");
const aMoment = () => mock.timers.tick(100);

test("what is said in one moment is said together, each text once", () => {
  announce("Dora has switched the microphone off.");
  announce("Emil shows a screen.");
  announce("Emil shows a screen.");
  announce("You have been asked in.", true);
  aMoment();
  assert.equal(live("polite"), "Dora has switched the microphone off. Emil shows a screen.");
  assert.equal(live("assertive"), "You have been asked in.");
});

test("the same text again is a change", () => {
  announce("Message: soon");
  aMoment();
  announce("Message: soon");
  assert.equal(live("polite"), "");
  aMoment();
  assert.equal(live("polite"), "Message: soon");
});

test("what was said goes, in a tab that nobody looks at as well", () => {
  announce("Your camera is off.");
  aMoment();
  assert.equal(live("polite"), "Your camera is off.");
  mock.timers.tick(4_800);
  assert.equal(live("polite"), "Your camera is off.", "not before its time");
  mock.timers.tick(200);
  assert.equal(live("polite"), "");
});

test("what is shown in a note is said once: the note itself is no live region", () => {
  notify("Copied.");
  assert.ok(!note.hidden);
  assert.equal(note.textContent, "Copied.");
  aMoment();
  assert.equal(live("polite"), "Copied.");
  for (const name of ["role", "aria-live"]) assert.equal(note.attributes.get(name), undefined);
  mock.timers.tick(7_000);
  assert.ok(note.hidden);
});

test("what is taken back is neither shown nor said afterwards", () => {
  announce("Charlie: hello");
  notify("Charlie: are you there?");
  hush();
  aMoment();
  assert.equal(live("polite") + note.textContent, "");
  assert.ok(note.hidden);
  announce("You have left.");
  aMoment();
  assert.equal(live("polite"), "You have left.");
});
