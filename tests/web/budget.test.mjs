// What a client's old phone has to fetch before the first word is read.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const WEB = new URL("../../web/", import.meta.url);
const packed = (path) => gzipSync(readFileSync(new URL(path, WEB)), { level: 9 }).length;

for (const [page, kibibytes, requests] of [
  ["join", 150, 90],
  ["provider", 90, 50],
  ["reception", 60, 30],
  ["help", 60, 30],
  ["index", 60, 30],
]) {
  test(`/${page}: at most ${kibibytes} KiB and ${requests} requests, all known from the HTML`, () => {
    const html = readFileSync(new URL(`${page}.html`, WEB), "utf8");
    const all = [...html.matchAll(/(?:href|src)="\/static\/([^"]+)"/g)].map(([, path]) => path);
    // The server leaves out the words of other languages than the reader's.
    for (const language of ["en", "de", "fr"]) {
      const files = all.filter((path) => !path.startsWith("i18n/") || path.endsWith(`${language}.json`));
      const bytes = [`${page}.html`, ...files].reduce((sum, path) => sum + packed(path), 0);
      assert.ok(bytes <= kibibytes * 1024, `${language}: ${(bytes / 1024).toFixed(1)} KiB`);
      assert.ok(files.length + 1 <= requests, `${language}: ${files.length + 1} requests`);
      assert.ok(files.some((path) => path.startsWith("i18n/")), language);
    }
  });
}
