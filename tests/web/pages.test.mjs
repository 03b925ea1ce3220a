// What the pages promise a strict Content-Security-Policy and a slow line.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../web/", import.meta.url);
const read = (path) => readFileSync(new URL(path, WEB), "utf8");
const pages = readdirSync(WEB).filter((name) => name.endsWith(".html"));
const modules = readdirSync(new URL("js/", WEB)).filter((name) => name.endsWith(".js"));

/** Module files that `entry` needs, itself included; what is loaded later is not among them. */
function closure(entry) {
  const found = new Set([entry]);
  for (const file of found) {
    for (const [, name] of live(file).matchAll(/(?:from|import)\s*"\.\/([\w-]+\.js)"/g))
      found.add(name);
  }
  return [...found].sort();
}

/** A module without its comments. */
function live(file) {
  return read(`js/${file}`).replace(/\/\*[\s\S]*?\*\//g, "");
}

test("all pages are here", () => {
  assert.deepEqual(pages.sort(), [
    "404.html",
    "help.html",
    "host.html",
    "index.html",
    "join.html",
    "provider.html",
    "reception.html",
  ]);
});

for (const page of pages) {
  const html = read(page);
  const entry = html.match(
    /<script type="module" src="\/static\/js\/([\w-]+\.js)"><\/script>/,
  )?.[1];

  test(`${page}: every module it needs, and no other, is preloaded, so one round trip loads them all`, () => {
    const preloaded = [
      ...html.matchAll(/<link rel="modulepreload" href="\/static\/js\/([\w-]+\.js)">/g),
    ].map(([, name]) => name);
    assert.deepEqual([...preloaded, entry].sort(), closure(entry));
  });

  test(`${page}: no inline script, style or handler, and nothing from elsewhere`, () => {
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|javascript:/i);
    assert.equal(html.match(/<script/g).length, 1);
    for (const [, url] of html.matchAll(/(?:href|src)="([^"]*)"/g))
      assert.match(url, /^\/(static\/|$)/);
  });
}

test("what is loaded later is here", () => {
  const later = modules.flatMap((file) =>
    [...live(file).matchAll(/import\("\.\/([\w-]+\.js)"\)|loadStyle\("\/static\/([^"]+)"\)/g)].map(
      ([, script, style]) => style ?? `js/${script}`,
    ),
  );
  assert.ok(later.includes("js/chat.js"));
  for (const file of later) assert.ok(statSync(new URL(file, WEB)).size > 0, file);
});

test("no module makes markup from text, sets a cookie, keeps anything beyond the tab, or calls elsewhere", () => {
  for (const name of modules) {
    const code = read(`js/${name}`);
    assert.doesNotMatch(
      code,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/,
      name,
    );
    assert.doesNotMatch(code, /document\.cookie|indexedDB|caches\.open|serviceWorker/, name);
    // The one thing a provider may ask to be kept: the list of consultations planned here.
    if (name !== "ownlist.js") assert.doesNotMatch(code, /localStorage/, name);
    const live = code.replace(/\/\*[\s\S]*?\*\//g, "").replace("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(live, /https?:\/\/[a-z]/i, name);
    assert.match(code, /^\/\/ @ts-check\n/, name);
  }
});

test("no style sheet loads anything", () => {
  for (const name of readdirSync(new URL("css/", WEB))) {
    assert.doesNotMatch(read(`css/${name}`), /url\(|@import/, name);
  }
});
