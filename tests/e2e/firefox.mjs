/**
 * Firefox by WebDriver BiDi, driven over lines of JSON: one browser with one page. Playwright drives only a
 * Firefox of its own make, and what counts is the one that people have.
 *
 * In: {id, do, …}; out: {id, value} or {id, error}; and {fault} for what goes wrong on the page.
 */
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [executablePath, width, height] = process.argv.slice(2);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.peerconnection.ice.loopback": true,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
  },
});
const page = await browser.newPage();
await page.setViewport({ width: Number(width), height: Number(height) });
page.on("pageerror", (error) => say({ fault: `page error: ${error.message}` }));
page.on("console", (message) => {
  if (message.type() === "error") say({ fault: `console: ${message.text()}` });
});
await page.evaluateOnNewDocument(readFileSync(new URL("probe.js", import.meta.url), "utf8"));

/** @type {Record<string, (order: any) => Promise<unknown>>} */
const doings = {
  goto: ({ url }) => page.goto(url).then(() => null),
  reload: () => page.reload().then(() => null),
  evaluate: ({ expression }) => page.evaluate(expression),
  click: ({ testid }) => page.locator(`[data-testid="${testid}"]`).setTimeout(20000).click(),
  fill: ({ testid, text }) => page.locator(`[data-testid="${testid}"]`).setTimeout(20000).fill(text),
  upload: async ({ testid, path }) => {
    const input = await page.$(`[data-testid="${testid}"]`);
    await input.uploadFile(path);
    return null;
  },
  screenshot: ({ path }) => page.screenshot({ path }).then(() => null),
};

say({ ready: await browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    say({ id: order.id, value: (await doings[order.do](order)) ?? null });
  } catch (error) {
    say({ id: order.id, error: String(error?.message ?? error) });
  }
}
await browser.close();
