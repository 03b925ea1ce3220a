// The catalogues hold the same keys and placeholders, all used; words and times come out right.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import {
  chooseLanguage,
  chooseLocale,
  clock,
  createTranslate,
  dayAndTime,
  LANGUAGES,
  localeForOthers,
  span,
  timeOfDay,
} from "../../web/js/i18n.js";
import { overWords, problemWords } from "../../web/js/problems.js";

const WEB = new URL("../../web/", import.meta.url);
/** Folders with words that only some pages need; "" for those of all. */
const FOLDERS = readdirSync(new URL("i18n/", WEB), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => `${entry.name}/`);
const files = Object.fromEntries(
  ["", ...FOLDERS].flatMap((folder) =>
    Object.keys(LANGUAGES).map((code) => [
      `${folder}${code}`,
      JSON.parse(readFileSync(new URL(`i18n/${folder}${code}.json`, WEB), "utf8")),
    ]),
  ),
);
const catalogues = Object.fromEntries(
  Object.keys(LANGUAGES).map((code) => [
    code,
    Object.assign({}, ...["", ...FOLDERS].map((folder) => files[`${folder}${code}`])),
  ]),
);
const forms = (entry) => (typeof entry === "string" ? { other: entry } : entry);
const placeholders = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("there is one catalogue per language and no other", () => {
  for (const folder of ["", ...FOLDERS]) {
    const names = readdirSync(new URL(`i18n/${folder}`, WEB)).filter((name) => /\./.test(name));
    assert.deepEqual(
      names.sort(),
      Object.keys(LANGUAGES)
        .map((code) => `${code}.json`)
        .sort(),
    );
  }
});

test("no key is in two files of a language", () => {
  const keys = ["", ...FOLDERS].flatMap((folder) => Object.keys(files[`${folder}en`]));
  assert.equal(new Set(keys).size, keys.length);
});

for (const [code, catalogue] of Object.entries(files)) {
  const english = files[code.replace(/\w+$/, "en")];
  test(`${code}: the same keys, in order, none empty`, () => {
    assert.deepEqual(Object.keys(catalogue), Object.keys(english));
    assert.deepEqual(Object.keys(catalogue), [...Object.keys(catalogue)].sort());
    for (const [key, entry] of Object.entries(catalogue)) {
      for (const text of Object.values(forms(entry))) {
        assert.ok(typeof text === "string" && text.trim() === text && text !== "", key);
      }
    }
  });

  test(`${code}: the same placeholders, and every plural the language's whole numbers need`, () => {
    for (const [key, entry] of Object.entries(catalogue)) {
      assert.equal(typeof entry, typeof english[key], key);
      const expected = placeholders(forms(english[key]).other);
      for (const [form, text] of Object.entries(forms(entry))) {
        // "One person" may leave the number out; anything else says what English says.
        const found = placeholders(text);
        const allowed =
          form === "one"
            ? expected.filter((name) => found.includes(name) || name !== "count")
            : expected;
        assert.deepEqual(found, allowed, `${key}.${form}`);
      }
      if (typeof entry !== "string") {
        const rules = new Intl.PluralRules(code.replace(/^.*\//, ""));
        for (let n = 0; n <= 50; n += 1) assert.ok(rules.select(n) in entry, `${key} for ${n}`);
      }
    }
  });

  test(`${code}: no straight quotation marks and no three dots in place of an ellipsis`, () => {
    for (const [key, entry] of Object.entries(catalogue)) {
      for (const text of Object.values(forms(entry))) assert.doesNotMatch(text, /["']|\.\.\./, key);
    }
  });
}

for (const [code, catalogue] of Object.entries(catalogues)) {
  test(`${code}: what a button is called has the word that is written on it, once`, () => {
    const pairs = Object.keys(catalogue).filter((key) => /_name$/.test(key) && !key.startsWith("help."))
      .map((key) => [catalogue[key.replace(/_name$/, "")], catalogue[key]]).filter(([written]) => written);
    assert.ok(pairs.length > 10);
    for (const [written, called] of pairs) {
      assert.equal(called.toLowerCase().split(written.toLowerCase()).length, 2, called);
    }
  });
}

test("French: whoever reads it is neither he nor she", () => {
  const masculine = [
    /vous (n’)?(êtes|avez été|serez)( pas)?( encore| été)? \p{L}+[éiu](?![(\p{L}])/iu,
    /avez (pas )?été \p{L}+[éis](?![(\p{L}])/iu,
    /vous a( pas)? (retiré|oublié|admis)(?!\()/i,
    /(vous|êtes) seul(?!\()/i,
    /tous (les )?deux/i,
    /\{name\} a été \p{L}+[éiu](?![(\p{L}])/iu,
    /(?<!patiente ou )votre (patient|client)\b/i,
    /^connecté/i,
    /sans être \p{L}+[éu](?![(\p{L}])/iu,
  ];
  for (const [key, entry] of Object.entries(catalogues.fr)) {
    for (const text of Object.values(forms(entry))) {
      for (const words of masculine) assert.doesNotMatch(text, words, key);
    }
  }
});

test("German: one thing has one name", () => {
  for (const [key, entry] of Object.entries(catalogues.de)) {
    for (const text of Object.values(forms(entry))) assert.doesNotMatch(text, /Sicherheitscode|Warteraum/, key);
  }
});

test("every key is used and every key used exists", () => {
  const sources = readdirSync(new URL("js/", WEB))
    .filter((name) => name.endsWith(".js"))
    .map((name) => readFileSync(new URL(`js/${name}`, WEB), "utf8"))
    .join("\n");
  const groups = new Set(Object.keys(catalogues.en).map((key) => key.split(".")[0]));
  const used = new Set(
    [...sources.matchAll(/"([a-z]+)\.([a-z_]+)"/g)]
      .filter(([, group]) => groups.has(group))
      .map(([, group, name]) => `${group}.${name}`),
  );
  assert.deepEqual(
    [...used].filter((key) => !(key in catalogues.en)),
    [],
    "used but missing",
  );
  assert.deepEqual(
    Object.keys(catalogues.en).filter((key) => !used.has(key)),
    [],
    "never used",
  );
});

test("every refusal of the protocol has words", () => {
  for (const code of [
    "link_missing",
    "link_incomplete",
    "insecure_context",
    "unsupported",
    "token_invalid",
    "token_wrong_role",
    "token_closed",
    "token_revoked",
    "already_used",
    "room_ended",
    "room_locked",
    "room_full",
    "not_allowed",
    "origin_refused",
    "something_new",
    "constructor",
    "",
  ]) {
    for (const page of ["join", "host"]) {
      const [title, advice] = problemWords(code, page);
      assert.ok(title in catalogues.en && advice in catalogues.en, code);
    }
  }
  for (const over of ["ended", "left", "declined", "removed", "taken_over", "unsafe"]) {
    for (const page of ["join", "host"]) assert.ok(overWords(over, page)[0] in catalogues.en);
  }
});

test("the first language that we speak, by its base, else English", () => {
  assert.equal(chooseLanguage(["pt-BR", "de-AT", "en"]), "de");
  assert.equal(chooseLanguage(["FR"]), "fr");
  assert.equal(chooseLanguage(["ja", "constructor"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("times and numbers are those of where the reader speaks the language of the page", () => {
  assert.equal(chooseLocale("en", ["de-AT", "en-GB", "en-US"]), "en-GB");
  assert.equal(chooseLocale("de", ["en-GB", "DE-at", "de"]), "DE-at");
  assert.equal(chooseLocale("fr", ["en-GB"]), "fr");
  assert.equal(chooseLocale("en", []), "en");
  assert.equal(chooseLocale("en", ["en_GB@euro", "en-", "eng-GB", "en-IE"]), "en-IE", "what is no tag breaks nothing");
  const at = Date.UTC(2026, 11, 3, 14, 30);
  assert.equal(timeOfDay(chooseLocale("en", ["en-GB"]), at, "Europe/London"), "14:30");
  assert.match(timeOfDay(chooseLocale("en", ["en-US"]), at, "Europe/London"), /^02:30\sPM$/);
  assert.equal(span("en-GB", at, at + 1_800_000, "Europe/London").replace(/\s/g, " "), "Thursday 3 December, 14:30–15:00 GMT");
  const words = { a: "{n}" };
  assert.equal(createTranslate("de", words, "de-CH")("a", { n: 1.5 }), "1.5");
  assert.equal(createTranslate("de", words)("a", { n: 1.5 }), "1,5");
});

test("a time that goes to somebody else is never half a day off", () => {
  for (const language of Object.keys(LANGUAGES)) {
    assert.equal(timeOfDay(localeForOthers(language), Date.UTC(2026, 11, 3, 14, 30), "Europe/London"), "14:30");
  }
});

test("placeholders and plurals are filled in", () => {
  const t = createTranslate("en", {
    a: "{x} and {y}",
    n: { one: "{count} day", other: "{count} days" },
  });
  assert.equal(t("a", { x: "<b>", y: "{x}" }), "<b> and {x}", "a value is text, never a template");
  assert.equal(t("n", { count: 1 }), "1 day");
  assert.equal(t("n", { count: 1200 }), "1,200 days");
  assert.equal(t("a"), "{x} and {y}");
  assert.equal(t("missing.key"), "missing.key");
});

test("times are said in the reader's language and zone", () => {
  const at = Date.UTC(2026, 11, 3, 9, 30);
  assert.equal(dayAndTime("de", at, "Europe/Berlin"), "Donnerstag, 3. Dezember um 10:30 MEZ");
  assert.match(dayAndTime("en", at, "America/New_York"), /^Thursday, December 3 at 04:30\sAM EST$/);
  assert.equal(timeOfDay("fr", at, "Europe/Paris"), "10:30");
  const both = span("de", at, at + 30 * 60_000, "Europe/Berlin");
  assert.match(both, /10:30.*11:00/);
  assert.equal(both.match(/Dezember/g).length, 1, "one day is said once");
});

test("a length of time reads as on a clock", () => {
  assert.equal(clock(0), "0:00");
  assert.equal(clock(-5), "0:00");
  assert.equal(clock(61_000), "1:01");
  assert.equal(clock(3_723_000), "1:02:03");
  assert.equal(clock(500), "0:01", "a countdown shows zero only when it is over");
});
