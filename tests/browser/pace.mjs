// Measures how long a click takes until its picture is drawn, in each model of the catalogue.
//
//   tests/browser/run --pace        prints the models from the slowest on; no test rests on these times
//
// The time runs from the click on the first possible step to the first frame that the browser paints afterwards.

import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";
import { RAFT, serving } from "./given.mjs";

/** How many clicks are measured in a model. */
const CLICKS = 3;

const { models } = JSON.parse(execFileSync(RAFT, ["models", "--json"], { maxBuffer: 1 << 26 }));
const { address, stop } = await serving("explore", "election", "--address", "127.0.0.1:0");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });

/** Clicks on the first possible step and returns the time until its picture is painted, in milliseconds. */
const click = () =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const panel = document.getElementById("position");
        const from = performance.now();
        const watching = new MutationObserver(() => {
          watching.disconnect();
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from)));
        });
        watching.observe(panel, { childList: true, characterData: true, subtree: true });
        document.querySelector("#actions .chip, #actions .take").click();
      }),
  );

const rows = [];
for (const { name } of models) {
  await page.goto("about:blank");
  await page.goto(`${address}#script=${encodeURIComponent(`model ${name}\nstart\n`)}`);
  await page.locator("#actions .chip, #actions .take").first().waitFor();
  const times = [];
  for (let n = 0; n < CLICKS; n += 1) times.push(await click());
  // The search behind the badge would take a core from the next model.
  await page.evaluate(() => fetch("/api/stop", { method: "POST", body: "model election\nstart\n" }));
  rows.push([name, Math.min(...times), Math.max(...times)]);
}
rows.sort((a, b) => b[2] - a[2]);
for (const [name, least, most] of rows) console.log(`${name.padEnd(32)} ${least.toFixed(0).padStart(5)} to ${most.toFixed(0)} ms`);
const most = rows.map((row) => row[2]).sort((a, b) => a - b);
console.log(`${rows.length} models: half within ${most[most.length >> 1].toFixed(0)} ms, all within ${most[most.length - 1].toFixed(0)} ms`);
await browser.close();
await stop();
process.exit(0);
