// Tells a story: the text that belongs to the steps shown, and what another store would have answered.

import { byId, fill, html, prose } from "./dom.js";
import { now, go } from "./state.js";

/** The line of the script that led to a frame; 0 before the first. */
function lineOf(at) {
  for (let n = at; n >= 0; n -= 1) {
    const { line } = now.scene.frames[n];
    if (line !== null) return line;
  }
  return 0;
}

/** The number of the paragraph that a frame belongs to; -1 is the introduction. */
function paragraphOf(at) {
  const { paragraphs } = now.scene.narrative;
  const line = lineOf(at);
  return paragraphs.findLastIndex((it) => it.line <= line);
}

/** The last frame of a paragraph. */
function endOf(paragraph) {
  const { paragraphs } = now.scene.narrative;
  const { frames } = now.scene;
  if (paragraph < 0) return 0;
  if (paragraph + 1 >= paragraphs.length) return frames.length - 1;
  const next = frames.findIndex((it) => it.line !== null && it.line >= paragraphs[paragraph + 1].line);
  return next < 0 ? frames.length - 1 : next - 1;
}

/** Whether the scene is a story. Then the panel of the step leaves the comments to this one. */
export function isStory() {
  return now.scene.narrative !== null;
}

/** Draws the text of the story. */
export function drawNarrative() {
  const panel = byId("narrative");
  panel.hidden = !isStory();
  if (panel.hidden) return;
  const { introduction, paragraphs } = now.scene.narrative;
  const here = paragraphOf(now.at);
  const isLast = here === paragraphs.length - 1;
  fill(
    panel,
    html("p", { class: "told" }, prose(here < 0 ? introduction : paragraphs[here].text)),
    html(
      "div",
      { class: "turns" },
      html("button", { disabled: here < 0, onclick: () => go(endOf(here - 1)) }, "‹ Back"),
      html("span", { class: "faint" }, here < 0 ? `${paragraphs.length} parts` : `${here + 1} of ${paragraphs.length}`),
      html("button", { class: "primary", disabled: isLast && now.at === endOf(here), onclick: () => go(now.at < endOf(here) ? endOf(here) : endOf(here + 1)) }, now.at < endOf(here) ? "To its end ›" : "Go on ›"),
    ),
    otherStore(here),
  );
}

/** What the store beside the story was asked so far. */
function otherStore(here) {
  const told = now.scene.narrative.paragraphs.slice(0, here + 1);
  if (!told.some((it) => it.beside.length)) return null;
  const items = told.flatMap((paragraph, n) =>
    paragraph.beside.map((it) => html("li", { class: n === here ? "fresh" : null }, html("code", {}, it.order), " ", it.answer)),
  );
  return html(
    "aside",
    { class: "beside", "aria-label": "A store that always answers" },
    html("h3", {}, "A store that always answers: the last write wins"),
    html("ol", {}, items),
    html("p", { class: "faint" }, "It is a simulation of a few lines. No model checks it."),
  );
}
