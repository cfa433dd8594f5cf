// The stories: each is read to its end, and one can be left.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { FOLDER, laidOut, open, raft, serving, shot } from "./given.mjs";

const site = join(FOLDER, "site");
const { stdout } = await raft("explore", "--export", site);
assert.match(stdout, /stories/);
const files = readdirSync(site).filter((file) => file.endsWith(".html"));
const stories = files.filter((file) => file !== "index.html");
assert.ok(stories.length >= 8, `${stories.length} stories`);

test("the list leads to every story", async (it) => {
  const page = await open(it, pathToFileURL(join(site, "index.html")).href);
  const links = await page.locator("li a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.deepEqual(links.sort(), stories.sort());
});

for (const story of stories) {
  test(`${story} is read to its end`, async (it) => {
    const page = await open(it, pathToFileURL(join(site, story)).href);
    const forward = page.locator("#narrative button.primary");
    const texts = new Set([await page.locator("#narrative .told").textContent()]);
    for (let n = 0; n < 100 && (await forward.isEnabled()); n += 1) {
      await forward.click();
      texts.add(await page.locator("#narrative .told").textContent());
    }
    assert.ok(!(await forward.isEnabled()), "the story has an end");
    assert.ok(texts.size > 5, `it tells ${texts.size} parts`);
    const position = await page.locator("#position").textContent();
    const [, here, last] = position.match(/step (\d+) of (\d+)/) || [];
    assert.equal(here, last, position);
    await laidOut(page, ["narrative", "diagram", "servers", "logs"]);
    await shot(page, `story-${story.replace(".html", "")}`);
  });
}

test("the store beside the minority answers and loses a write", async (it) => {
  const page = await open(it, pathToFileURL(join(site, "minority.html")).href, "phone");
  await page.keyboard.press("End");
  await laidOut(page, ["narrative", "step", "diagram", "servers", "logs"]);
  const beside = await page.locator("#narrative .beside").textContent();
  assert.match(beside, /S0 answers x=other/);
  assert.match(beside, /No model checks it/);
  await shot(page, "story-minority-phone");
});

test("a reader can leave a story and come back", async (it) => {
  const { address, stop } = await serving("explore", "--story", "election", "--address", "127.0.0.1:0");
  const page = await open(it, address);
  await page.locator("#narrative .told").waitFor();
  await page.keyboard.press("Home");
  await page.locator("#actions .chip").first().click();
  await page.getByRole("button", { name: "Back to the story" }).click();
  await page.locator("#narrative .told").waitFor();
  await stop();
});
