// Every picture that the help page shows is there in every language, in the size said and no heavier than it may be.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { PICTURES } from "../../web/js/helppictures.js";
import { LANGUAGES } from "../../web/js/i18n.js";

const FOLDER = new URL("../../web/img/help/", import.meta.url);
const MOST_EACH = 40_000;
const MOST = 500_000;

test("there are pictures in every language and in no other", () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), Object.keys(LANGUAGES).sort());
});

let bytes = 0;
for (const language of Object.keys(LANGUAGES)) {
  test(`${language}: the pictures that the page shows and no other, in the sizes that it says`, () => {
    const folder = new URL(`${language}/`, FOLDER);
    const sizes = Object.fromEntries(
      readdirSync(folder).map((file) => {
        const picture = readFileSync(new URL(file, folder));
        // RFC 9649 section 2.7: the extended format, as Chromium writes it.
        assert.equal(picture.toString("latin1", 8, 16), "WEBPVP8X", file);
        assert.ok(picture.length <= MOST_EACH, `${file}: ${picture.length} bytes`);
        bytes += picture.length;
        const [width, height] = [24, 27].map((at) => picture.readUIntLE(at, 3) + 1);
        return [file.replace(/\.webp$/, ""), { width, height }];
      }),
    );
    const said = Object.entries(PICTURES).map(([name, { width, height }]) => [name, { width, height }]);
    assert.deepEqual(sizes, Object.fromEntries(said));
  });
}

test("all pictures together are small enough for a repository and a server's memory", () => {
  assert.ok(bytes <= MOST, `${bytes} bytes`);
});

test("the page shows each picture once", () => {
  const page = readFileSync(new URL("../../web/js/help.js", import.meta.url), "utf8");
  const [, shown] = page.match(/SHOWN = Object\.freeze\(\{([^}]*)\}/);
  const names = [...shown.matchAll(/\[([^\]]*)\]/g)].flatMap(([, list]) => [...list.matchAll(/"(\w+)"/g)].map(([, name]) => name));
  assert.deepEqual(names.sort(), Object.keys(PICTURES).sort());
});
