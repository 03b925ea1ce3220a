// What goes out with a link, in the language of whoever gets it; and the list kept in the browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createTranslate } from "../../web/js/i18n.js";
import { clientCalendar, hostCalendar, mailLink, smsLink, smsText } from "../../web/js/invitation.js";
import { subjectOf } from "../../web/js/link.js";
import { OWN_MOST, parseOwn, pruned } from "../../web/js/ownlist.js";

const WEB = new URL("../../web/", import.meta.url);
const LINK = "https://consult.example/join#aaa.bbb.ccc~0123456789abcdefghijkl";
const PLANNED = {
  room: "R".repeat(22),
  note: "M. & Söhne",
  hostLink: LINK.replace("join", "host"),
  clientLinks: [LINK],
  startsAt: Date.UTC(2026, 11, 3, 9, 30),
  opensAt: Date.UTC(2026, 11, 3, 9, 15),
  closesAt: Date.UTC(2026, 11, 3, 10, 0),
};
const letter = (language) => ({
  t: createTranslate(
    language,
    JSON.parse(readFileSync(new URL(`i18n/desk/${language}.json`, WEB), "utf8")),
  ),
  language,
  provider: "Dr. Müller & Co",
  planned: PLANNED,
  link: LINK,
  zone: "Europe/Berlin",
});

for (const [language, when, opens] of [
  ["de", "Donnerstag, 3. Dezember um 10:30 MEZ", "10:15"],
  ["fr", "jeudi 3 décembre à 10:30 UTC+1", "10:15"],
  ["en", "Thursday 3 December at 10:30 CET", "opens at 10:15."],
]) {
  test(`${language}: mail and message say when, and carry the whole link`, () => {
    const url = new URL(mailLink(letter(language)));
    assert.equal(url.protocol, "mailto:");
    assert.equal(url.pathname, "", "to nobody in particular");
    const body = decodeURIComponent(/[?&]body=([^&]*)/.exec(url.search)[1]);
    const subject = decodeURIComponent(/[?&]subject=([^&]*)/.exec(url.search)[1]);
    const plain = (text) => text.replace(/[\u202f\u00a0]/g, " ");
    assert.ok(plain(body).includes(when), body);
    assert.ok(plain(body).includes(opens), body);
    assert.ok(body.includes(`\r\n${LINK}\r\n`), "on a line of its own");
    assert.doesNotMatch(body.replaceAll("\r\n", ""), /[\r\n]/);
    assert.ok(subject.includes("Dr. Müller & Co"));
    assert.doesNotMatch(`${body}${subject}`, /\{\w+\}|invite\./);
    assert.ok(smsText(letter(language)).includes(LINK));
    assert.equal(
      decodeURIComponent(/body=(.*)$/.exec(smsLink(letter(language)))[1]),
      smsText(letter(language)),
    );
  });
}

test("each side's calendar has its own link, and the client's no note", () => {
  const of = (file, name) =>
    file.replace(/\r\n /g, "").split("\r\n").find((line) => line.startsWith(`${name}:`)).slice(name.length + 1);
  const client = clientCalendar(letter("de"), "consult.example", 0);
  const host = hostCalendar(letter("de").t, PLANNED, "consult.example", 0);
  assert.equal(of(client, "URL"), LINK);
  assert.equal(of(host, "URL"), PLANNED.hostLink);
  assert.ok(!client.replace(/\r\n /g, "").includes("Söhne"));
  assert.ok(!client.replace(/\r\n /g, "").includes("/host#"));
  assert.ok(of(host, "SUMMARY").includes("M. & Söhne"));
  assert.notEqual(of(client, "UID"), of(host, "UID"));
});

test("the list: what is over goes, what is not ours is not taken", () => {
  const at = (closesAt) => ({ ...PLANNED, room: `r${closesAt}`, startsAt: closesAt - 1, closesAt });
  const now = 10_000_000;
  assert.deepEqual(
    pruned([at(now + 5), at(now - 3_600_000), at(now - 3_599_999)], now).map((one) => one.closesAt),
    [now - 3_599_999, now + 5],
  );
  const many = Array.from({ length: OWN_MOST + 5 }, (_, index) => at(now + index));
  const kept = pruned(many.reverse(), now);
  assert.equal(kept.length, OWN_MOST);
  assert.equal(kept[0].closesAt, now, "the next one is not forgotten");
  assert.deepEqual(parseOwn(JSON.stringify([PLANNED])), [PLANNED]);
  for (const text of [null, "", "{", "null", "[]", '{"a":1}', '[{"room":"r"}]', "[null,1]"]) {
    assert.deepEqual(parseOwn(text), []);
  }
  const evil = { ...PLANNED, hostLink: "javascript:alert(1)" };
  assert.deepEqual(parseOwn(JSON.stringify([evil])), []);
});

test("whose sign-in link it is", () => {
  const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.AAAA`;
  assert.equal(subjectOf(token({ sub: "provider-id1", room: "" })), "provider-id1");
  for (const bad of ["", "a.b", token({}), token({ sub: 1 }), token(null), "x.!.y"]) {
    assert.equal(subjectOf(bad), null, bad);
  }
});
