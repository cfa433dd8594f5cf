// Starts the page: it finds the scene in the file, or asks the server for one, and draws all panels.

import { byId, html, fill } from "./dom.js";
import { frame, go, now, onChange, show } from "./state.js";
import { linkOf, readLink } from "./links.js";
import { beginLive, load, lookAhead } from "./live.js";
import { drawActions } from "./actions.js";
import { drawDiagram } from "./diagram.js";
import { drawHead, drawStory } from "./story.js";
import { drawLogs } from "./logs.js";
import { drawNarrative } from "./narrative.js";
import { drawProperties } from "./properties.js";
import { drawServers } from "./servers.js";
import { drawStep } from "./step.js";
import { drawTransport } from "./transport.js";

/** Draws everything. */
function draw() {
  const started = performance.now();
  for (const panel of [drawHead, drawTransport, drawNarrative, drawStep, drawServers, drawLogs, drawDiagram, drawProperties, drawActions, drawStory]) panel();
  document.body.classList.toggle("violated", frame().verdict.broken.length > 0);
  document.body.dataset.milliseconds = (performance.now() - started).toFixed(1);
}

async function noteStep() {
  if (!now.live) history.replaceState(null, "", await linkOf(null, now.at));
}

async function start() {
  onChange(draw);
  onChange(noteStep);
  onChange(lookAhead);
  window.addEventListener("resize", () => now.scene && draw());
  const link = await readLink();
  const written = byId("scene");
  if (written) {
    const scene = JSON.parse(written.textContent);
    show(scene, link.step === null ? 0 : link.step);
    window.addEventListener("hashchange", async () => go((await readLink()).step || 0));
    return;
  }
  const choices = JSON.parse(byId("live").textContent);
  beginLive(choices);
  window.addEventListener("popstate", async () => {
    const { script, step } = await readLink();
    load(script || choices.script, step, true);
  });
  const isShown = await load(link.script || choices.script, link.step, true);
  if (!isShown && link.script) await load(choices.script, null, true);
}

start().catch((error) => fill(document.body, html("p", { class: "noscript" }, `This page cannot show its data: ${error.message}. Make it again with the program that wrote it.`)));
