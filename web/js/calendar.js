// @ts-check
/**
 * An appointment as an iCalendar file (RFC 5545) with a reminder. Pure.
 *
 * Times are written in UTC, which every calendar shows in its owner's zone: so no rule of any time zone
 * has to be carried along, and none can be out of date.
 *
 * @typedef {object} Appointment
 * @property {string} uid the same for the same appointment, so that a changed file replaces the former
 * @property {number} now ms since 1970
 * @property {number} startsAt ms since 1970
 * @property {number} closesAt ms since 1970
 * @property {string} summary
 * @property {string} description
 * @property {string} url
 * @property {number} remindBefore minutes
 */

/** Longest line in octets, without its end (section 3.1). */
const LINE_MOST = 75;

/** @param {Appointment} appointment */
export function calendarFile(appointment) {
  const { uid, now, startsAt, closesAt, summary, description, url, remindBefore } = appointment;
  return [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Konsil//Consultation//EN",
    "CALSCALE:GREGORIAN",
    "METHOD:PUBLISH",
    "BEGIN:VEVENT",
    `UID:${escaped(uid)}`,
    `DTSTAMP:${utc(now)}`,
    `DTSTART:${utc(startsAt)}`,
    `DTEND:${utc(closesAt)}`,
    `SUMMARY:${escaped(summary)}`,
    `DESCRIPTION:${escaped(description)}`,
    `LOCATION:${escaped(url)}`,
    `URL:${url.replace(/[^\x21-\x7e]/g, encodeURIComponent)}`,
    // Not for the eyes of those with whom the calendar is shared.
    "CLASS:PRIVATE",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    `DESCRIPTION:${escaped(summary)}`,
    `TRIGGER:-PT${Math.max(0, Math.round(remindBefore))}M`,
    "END:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
  ].map((line) => `${folded(line)}\r\n`).join("");
}

/**
 * A date with time in UTC (section 3.3.5, form 2).
 * @param {number} at ms since 1970
 */
function utc(at) {
  return new Date(at).toISOString().replace(/[-:]|\.\d+/g, "");
}

/**
 * TEXT (section 3.3.11). Other control characters have no place in it.
 * @param {string} text
 */
function escaped(text) {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\x00-\x09\x0b-\x1f\x7f]/g, " ")
    .replace(/[\\;,]/g, "\\$&")
    .replace(/\n/g, "\\n");
}

/**
 * A line in pieces of 75 octets at most, none of which ends within a character.
 * @param {string} line
 */
function folded(line) {
  const pieces = [];
  let piece = "";
  let octets = 0;
  for (const character of line) {
    const width = new TextEncoder().encode(character).length;
    if (octets + width > LINE_MOST) {
      pieces.push(piece);
      // The blank that marks a continued line counts, too.
      piece = " ";
      octets = 1;
    }
    piece += character;
    octets += width;
  }
  return [...pieces, piece].join("\r\n");
}
