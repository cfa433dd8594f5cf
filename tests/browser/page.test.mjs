// The page of a path: a file of a counterexample, and `raft explore`.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { FOLDER, SIZES, laidOut, open, raft, serving, shot } from "./given.mjs";

/** The panels that every scene has. */
const PANELS = ["top", "diagram", "step", "servers", "logs", "properties", "transport"];

const file = join(FOLDER, "counterexample.html");
const { stderr } = await raft("check", "--mutant", "vote-not-persisted", "--html", file);
assert.ok(existsSync(file), stderr);
const counterexample = pathToFileURL(file).href;

/** The number of the step that is shown. */
const position = (page) => page.locator("#position").textContent();

for (const size of Object.keys(SIZES)) {
  test(`a counterexample is laid out on a ${size}`, async (it) => {
    const page = await open(it, counterexample, size);
    await laidOut(page, PANELS);
    await page.keyboard.press("End");
    await laidOut(page, PANELS);
    await shot(page, `counterexample-${size}`);
  });
}

test("the keyboard goes through the steps, both ways", async (it) => {
  const page = await open(it, counterexample);
  const start = await position(page);
  await page.keyboard.press("ArrowRight");
  const first = await position(page);
  assert.notEqual(first, start);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await position(page), start);
  await page.keyboard.press("End");
  const last = await position(page);
  assert.notEqual(last, first);
  await page.keyboard.press("Home");
  assert.equal(await position(page), start);
});

test("the last step says what is violated, and shows the bug's story", async (it) => {
  const page = await open(it, counterexample);
  await page.keyboard.press("End");
  const shown = await page.locator("#properties").textContent();
  assert.match(shown, /Election Safety/);
  assert.match(await page.locator("body").textContent(), /vote-not-persisted/);
  assert.ok(await page.locator("#diagram svg").count(), "the diagram is drawn");
});

test("a link leads to its step", async (it) => {
  const page = await open(it, `${counterexample}#step=2`);
  const linked = await position(page);
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.equal(await position(page), linked);
});

test("a browser without JavaScript is told what to do", async (it) => {
  const page = await open(it, counterexample);
  assert.match(await page.locator("noscript").textContent(), /raft play/);
});

test("a picture is drawn within a tenth of a second", async (it) => {
  const page = await open(it, counterexample);
  let slowest = 0;
  for (let n = 0; n < 8; n += 1) {
    await page.keyboard.press("ArrowRight");
    slowest = Math.max(slowest, Number(await page.evaluate(() => document.body.dataset.milliseconds)));
  }
  // A busy machine may take longer. The figure is printed, and no test rests on it.
  it.diagnostic(`slowest picture: ${slowest} ms`);
  assert.ok(slowest > 0, "the time is measured");
});

test("in the explorer a click takes a step, undo takes it back, and another click forks", async (it) => {
  const { address, stop } = await serving("explore", "election", "--address", "127.0.0.1:0");
  const page = await open(it, address);
  await page.locator("#actions .chip").first().waitFor();
  await laidOut(page, [...PANELS, "actions"]);
  const start = await position(page);
  await page.locator("#actions .chip").first().click();
  await page.waitForFunction((old) => document.getElementById("position").textContent !== old, start);
  await page.locator("#actions .undo button").first().click();
  await page.waitForFunction((old) => document.getElementById("position").textContent === old, start);
  await shot(page, "explore-laptop");
  await stop();
});

test("the badge says that the model was exhausted", async (it) => {
  const { address, stop } = await serving("explore", "election", "--address", "127.0.0.1:0");
  const page = await open(it, address);
  await page.locator(".badge.inside").waitFor({ timeout: 120_000 });
  assert.match(await page.locator(".badge.inside").textContent(), /inside the exhausted set of election/);
  await stop();
});

test("a link with a broken script gets a sentence with the line", async (it) => {
  const { address, stop } = await serving("explore", "election", "--address", "127.0.0.1:0");
  const script = encodeURIComponent("model election\nstart\ndeliver S0 S1\n");
  const page = await open(it, `${address}#script=${script}`);
  await page.locator("#toast.shown").waitFor();
  assert.match(await page.locator("body").textContent(), /[Ll]ine 3/);
  await stop();
});
