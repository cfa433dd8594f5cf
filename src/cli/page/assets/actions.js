// Lists what can happen next. A click takes the step. Steps without effect are folded.

import { byId, fill, html, icon } from "./dom.js";
import { frame, go, now } from "./state.js";
import { isStory } from "./narrative.js";
import { choose, undo } from "./live.js";

/** Draws the list. A file shows it as well, but nothing there can be taken. */
export function drawActions() {
  const panel = byId("actions");
  const { next } = frame();
  panel.hidden = next === null || (!now.live && (next.length === 0 || isStory()));
  if (panel.hidden) return;
  const some = (test) => next.filter((it) => it.has_effect && test(it));
  const idle = next.filter((it) => !it.has_effect);
  const isLast = now.at === now.scene.frames.length - 1;
  const lists = [
    timersAndRestarts(some((it) => it.kind === "timeout" || it.kind === "restart")),
    group("Deliver", some((it) => it.kind === "deliver"), message),
    group("Deliver again", some((it) => it.kind === "redeliver"), message),
    idle.length ? html("details", {}, html("summary", {}, `${idle.length} without effect`), html("ul", { class: "next" }, idle.map((it) => item(it, it.from === null ? `${nameOf(it.actor)}: ${it.what || it.kind}` : message(it))))) : null,
  ];
  if (!now.live) {
    fill(panel, html("details", { open: isOpen(panel) }, html("summary", {}, `${next.length} steps could follow`), lists));
    return;
  }
  fill(panel, html("h2", {}, isLast ? "What happens next?" : "What if, from here …"), goingBack(next, isLast), lists);
}

function isOpen(panel) {
  const details = panel.querySelector("details");
  return details !== null && details.open;
}

function goingBack(next, isLast) {
  return html(
    "div",
    { class: "undo" },
    html("button", { onclick: undo, disabled: now.scene.frames.every((it) => it.command === "") }, "↶ Undo"),
    next.some((it) => it.lose) ? html("button", { onclick: () => choose("lose"), title: "No message that is under way will arrive" }, "✗ Lose all") : null,
    isLast ? null : html("button", { onclick: () => go(now.scene.frames.length - 1) }, "To the end"),
  );
}

/** A line for each process, with its timers and its restart. */
function timersAndRestarts(items) {
  const lines = now.scene.processes.map((process, n) => {
    const own = items.filter((it) => it.actor === n);
    const words = (it) => (it.kind === "restart" ? [icon("restart"), " restart"] : [icon("clock"), ` ${it.what}`]);
    const label = (it) => `${process.name}: ${it.kind === "restart" ? "restart" : `${it.what} timeout`}`;
    const chips = own.map((it) => (now.live ? html("button", { class: "chip", title: it.command, "aria-label": label(it), onclick: () => choose(it.command) }, words(it)) : html("span", { class: "chip" }, words(it))));
    return own.length ? html("li", {}, html("b", {}, process.name), chips) : null;
  });
  return items.length ? [html("h3", {}, "Timers and restarts"), html("ul", { class: "next timers-of" }, lines)] : null;
}

function nameOf(process) {
  return now.scene.processes[process].name;
}

function message(it) {
  return `${nameOf(it.from)} → ${nameOf(it.actor)}: ${it.what}`;
}

function group(title, items, words) {
  return items.length ? [html("h3", {}, title), html("ul", { class: "next" }, items.map((it) => item(it, words(it))))] : null;
}

function item(it, words) {
  if (!now.live) return html("li", {}, words);
  return html(
    "li",
    {},
    html("button", { class: "take", title: it.command, onclick: () => choose(it.command) }, words),
    it.lose ? html("button", { class: "lose", title: `Lose it: ${it.lose}`, "aria-label": `Lose ${words}`, onclick: () => choose(it.lose) }, "✗") : null,
  );
}
