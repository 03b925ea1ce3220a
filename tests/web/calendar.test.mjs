// The calendar file as other programs will read it: lines, folding, escaping, times, the reminder.
import assert from "node:assert/strict";
import { test } from "node:test";

import { calendarFile } from "../../web/js/calendar.js";

const URL_ = `https://consult.example/join#${"eyJ".repeat(150)}~0123456789abcdefghijkl`;
const APPOINTMENT = {
  uid: "ROOM@consult.example",
  now: Date.UTC(2026, 10, 22, 1, 2, 3),
  startsAt: Date.UTC(2026, 2, 29, 0, 30),
  closesAt: Date.UTC(2026, 2, 29, 1, 15),
  summary: "Video consultation; Dr. Müller, \\ GmbH",
  description: "First line\nSecond, with a “quote”\r\nthird",
  url: URL_,
  remindBefore: 15,
};

/** As RFC 5545 section 3.1 has it. */
function unfold(file) {
  assert.ok(file.endsWith("\r\n"));
  return file.replace(/\r\n[ \t]/g, "").split("\r\n").slice(0, -1);
}
const unescaped = (text) =>
  text.replace(/\\(.)/g, (_, c) => (c === "n" || c === "N" ? "\n" : c));
const valueOf = (file, name) =>
  unfold(file).find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);

test("what was put in comes out again", () => {
  const file = calendarFile(APPOINTMENT);
  assert.equal(unescaped(valueOf(file, "SUMMARY")), APPOINTMENT.summary);
  assert.equal(unescaped(valueOf(file, "DESCRIPTION")), "First line\nSecond, with a “quote”\nthird");
  assert.equal(valueOf(file, "URL"), URL_);
  assert.equal(unescaped(valueOf(file, "LOCATION")), URL_);
  assert.equal(valueOf(file, "UID"), "ROOM@consult.example");
});

test("times are UTC, whatever the clocks do that night", () => {
  const file = calendarFile(APPOINTMENT);
  assert.equal(valueOf(file, "DTSTART"), "20260329T003000Z");
  assert.equal(valueOf(file, "DTEND"), "20260329T011500Z");
  assert.equal(valueOf(file, "DTSTAMP"), "20261122T010203Z");
});

test("a reminder is within the event", () => {
  const lines = unfold(calendarFile(APPOINTMENT));
  const alarm = lines.slice(lines.indexOf("BEGIN:VALARM"), lines.indexOf("END:VALARM"));
  assert.ok(alarm.includes("ACTION:DISPLAY"));
  assert.ok(alarm.includes("TRIGGER:-PT15M"));
  assert.ok(alarm.some((line) => line.startsWith("DESCRIPTION:")));
  assert.ok(lines.indexOf("END:VALARM") < lines.indexOf("END:VEVENT"));
  assert.deepEqual([lines[0], lines.at(-1)], ["BEGIN:VCALENDAR", "END:VCALENDAR"]);
});

test("no line is longer than 75 octets, and none is cut within a character", () => {
  for (const summary of ["é".repeat(200), "🩺".repeat(100), `${"x".repeat(66)}🩺🩺`, "a".repeat(500), ""]) {
    const file = calendarFile({ ...APPOINTMENT, summary });
    for (const line of file.split("\r\n")) {
      assert.ok(new TextEncoder().encode(line).length <= 75, line);
      assert.doesNotMatch(line, /\uFFFD|[\uD800-\uDBFF]$|^ ?[\uDC00-\uDFFF]/);
    }
    assert.equal(unescaped(valueOf(file, "SUMMARY")), summary);
    assert.doesNotMatch(file.replaceAll("\r\n", ""), /[\r\n]/);
  }
});

test("a name cannot add lines of its own", () => {
  const file = calendarFile({
    ...APPOINTMENT, summary: "x\r\nEND:VEVENT\r\nBEGIN:VEVENT\rATTACH:https://evil", uid: "a\u0000b\nc",
  });
  assert.equal(unfold(file).filter((line) => line === "BEGIN:VEVENT").length, 1);
  assert.ok(!unfold(file).some((line) => line.startsWith("ATTACH")));
});
