// The page of a running cluster: kill, restart, cut, heal, and the commands of a client.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { FOLDER, laidOut, open, serving, shot } from "./given.mjs";

const PORT = 20_000 + (process.pid % 20_000);
const { address } = await serving("cluster", "--web", "127.0.0.1:0", "--base-port", `${PORT}`, "--data", join(FOLDER, "cluster"));

/** The panels of the page. */
const PANELS = ["ring", "cards", "desk", "tails", "strip", "plots", "judged"];
/** A loaded machine elects slowly. */
const PATIENCE = { timeout: 60_000 };

/** The card of a server. */
const card = (page, server) => page.locator(`#cards article[aria-label="Server ${server}"]`);

/** Waits until a server has a role, and returns its number. */
async function whoIs(page, role) {
  const one = page.locator("#cards article").filter({ hasText: role }).first();
  await one.waitFor(PATIENCE);
  return Number((await one.getAttribute("aria-label")).slice("Server ".length));
}

/** Sends a command of the desk, and returns the answer. */
async function send(page, kind, key, value) {
  await page.locator("#desk select").first().selectOption(kind);
  await page.locator("#desk input[name=key]").fill(key);
  if (value !== undefined) await page.locator("#desk input[name=value]").fill(value);
  await page.locator("#desk form button").click();
  const answer = page.locator("#desk .answers li").first();
  await page.waitForFunction(() => !document.querySelector("#desk .answers li").textContent.endsWith("…"), null, PATIENCE);
  return answer.textContent();
}

for (const size of ["laptop", "phone"]) {
  test(`a running cluster is laid out on a ${size}`, async (it) => {
    const page = await open(it, address, size);
    await whoIs(page, "leader");
    await laidOut(page, PANELS, PANELS);
    await shot(page, `cluster-${size}`);
  });
}

test("a put is read again", async (it) => {
  const page = await open(it, address);
  await whoIs(page, "leader");
  assert.match(await send(page, "put", "colour", "blue"), /put colour/);
  assert.match(await send(page, "get", "colour"), /blue/);
});

test("a killed leader is followed by another, and comes back", async (it) => {
  const page = await open(it, address);
  const old = await whoIs(page, "leader");
  await card(page, old).getByRole("button", { name: "Kill" }).click();
  await card(page, old).getByText("killed").waitFor(PATIENCE);
  const next = await whoIs(page, "leader");
  assert.notEqual(next, old);
  assert.match(await send(page, "get", "colour"), /blue/);
  await card(page, old).getByRole("button", { name: "Restart" }).click();
  await card(page, old).getByText("follower").waitFor(PATIENCE);
  await shot(page, "cluster-after-a-kill");
});

test("a leader that is cut off is followed by another, and the links heal", async (it) => {
  const page = await open(it, address);
  const old = await whoIs(page, "leader");
  await card(page, old).getByRole("button", { name: "Isolate" }).click();
  await card(page, old).getByRole("button", { name: "Rejoin" }).waitFor(PATIENCE);
  await page.waitForFunction((old) => [...document.querySelectorAll("#cards article")].some((it) => it.getAttribute("aria-label") !== `Server ${old}` && it.textContent.includes("leader")), old, PATIENCE);
  await card(page, old).getByRole("button", { name: "Rejoin" }).click();
  await card(page, old).getByText("follower").waitFor(PATIENCE);
});

test("every call of every server is accepted", async (it) => {
  const page = await open(it, address);
  await page.locator("#cards .trace", { hasText: "ACCEPT" }).nth(2).waitFor(PATIENCE);
  assert.equal(await page.locator("#cards .trace", { hasText: "REJECT" }).count(), 0);
});

test("the page says that the cluster is gone, and goes on with the next one", async (it) => {
  const words = ["cluster", "--web", "127.0.0.1:0", "--base-port", `${PORT + 10}`, "--servers", "1"];
  const first = await serving(...words);
  const page = await open(it, first.address, "laptop", true);
  await whoIs(page, "leader");
  await first.stop();
  await page.locator("#connection", { hasText: /gone|wait/i }).waitFor(PATIENCE);
  words[2] = new URL(first.address).host;
  await serving(...words);
  await page.waitForFunction(() => !/gone|wait/i.test(document.getElementById("connection").textContent), null, PATIENCE);
  await whoIs(page, "leader");
});
