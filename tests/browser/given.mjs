// What the tests share: a browser, the program, and pages that must behave.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

/** The program. */
export const RAFT = process.env.RAFT;
/** The sizes at which a page must be readable: a laptop's and a phone's. */
export const SIZES = { laptop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
/** A folder for what the tests write. */
export const FOLDER = mkdtempSync(join(tmpdir(), "raft-browser-"));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

/** Runs the program to its end, whatever its exit code, and returns what it printed. */
export async function raft(...words) {
  const ended = promisify(execFile)(RAFT, words, { maxBuffer: 1 << 26 });
  return ended.catch((error) => error);
}

/** Starts a command of the program that serves, and returns the address that it prints and how to stop it. */
export async function serving(...words) {
  const child = spawn(RAFT, words, { stdio: ["pipe", "pipe", "inherit"] });
  after(() => child.kill("SIGKILL"));
  let printed = "";
  const address = new Promise((resolve, reject) => {
    child.stdout.on("data", (data) => {
      printed += data;
      const found = printed.match(/http:\/\/127\.0\.0\.1:\d+\//);
      if (found) resolve(found[0]);
    });
    child.on("exit", (code) => reject(new Error(`raft ${words.join(" ")} ended with ${code}: ${printed}`)));
  });
  const stop = async () => {
    const gone = once(child, "exit");
    child.kill("SIGINT");
    await gone;
  };
  return { address: await address, stop };
}

/**
 * Opens an address. At the end of the test the page must have printed no error and asked no other host.
 * `test` is the test's context. The browser prints an error for a server that is gone, which `mayBeGone` allows.
 */
export async function open(test, address, size = "laptop", mayBeGone = false) {
  const context = await browser.newContext({ viewport: SIZES[size], hasTouch: size === "phone" });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const wrong = [];
  const own = new URL(address);
  const isGone = (text) => mayBeGone && text.includes("net::ERR_");
  page.on("console", (message) => message.type() === "error" && !isGone(message.text()) && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const asked = new URL(request.url());
    const isOwn = asked.protocol === "data:" || asked.protocol === "blob:" || (asked.protocol === own.protocol && asked.host === own.host);
    if (!isOwn) wrong.push(`request to ${request.url()}`);
  });
  test.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  await page.goto(address);
  return page;
}

/** Keeps a screenshot, if the tests were asked for them. */
export async function shot(page, name) {
  const folder = process.env.SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/**
 * Asserts that the page is laid out: no panel is wider than the window, and no room of the page covers another.
 * What stays at the bottom of a phone covers what scrolls under it.
 */
export async function laidOut(page, panels, rooms = ["top", "diagram", "middle", "side"]) {
  const { width } = page.viewportSize();
  const box = (id) => page.locator(`#${id}`).boundingBox();
  for (const id of panels) {
    const { x, width: wide, height } = (await box(id)) || {};
    assert.ok(wide > 80 && height > 20, `#${id} is shown: ${wide} by ${height}`);
    assert.ok(x >= -1 && x + wide <= width + 1, `#${id} fits the window: from ${x}, ${wide} wide`);
  }
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(scrolls <= 1, `nothing is wider than the window: ${scrolls} pixels`);
  const boxes = await Promise.all(rooms.map(async (id) => [id, await box(id)]));
  for (const [one, a] of boxes) {
    for (const [two, b] of boxes) {
      const apart = one === two || a.x + a.width <= b.x + 1 || b.x + b.width <= a.x + 1 || a.y + a.height <= b.y + 1 || b.y + b.height <= a.y + 1;
      assert.ok(apart, `#${one} and #${two} do not cover each other`);
    }
  }
}
