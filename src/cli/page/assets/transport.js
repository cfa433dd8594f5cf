// Moves through the frames: buttons, a scrubber, playing, and the keyboard.

import { byId, fill, html, icon } from "./dom.js";
import { frame, go, now } from "./state.js";
import { undo } from "./live.js";

/** How long a step is shown while the path plays, in milliseconds. */
const PACE = 1400;

let playing = null;

/** Draws the controls. They are made once and then only updated, so that a drag is not cut short. */
export function drawTransport() {
  const bar = byId("transport");
  if (!bar.firstChild) build(bar);
  const last = now.scene.frames.length - 1;
  const slider = byId("scrubber");
  slider.max = last;
  slider.value = now.at;
  slider.setAttribute("aria-valuetext", `${position()}: ${frame().text[0]}`);
  byId("position").textContent = position();
  fill(byId("play"), icon(playing ? "pause" : "play"));
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  fill(byId("marks"), marks(last));
  if (playing && now.at === last) stop();
}

function position() {
  const steps = now.scene.frames.filter((it) => it.number !== null);
  const here = frame();
  const last = steps.length ? steps[steps.length - 1].number : 0;
  return here.number === null ? (here.kind === "note" ? "between steps" : "start") : `step ${here.number} of ${last}`;
}

/** A mark above the scrubber for each frame in which a property is first broken, or a bound is left. */
function marks(last) {
  const found = [];
  const { frames, differs } = now.scene;
  frames.forEach((it, n) => {
    const before = n > 0 ? frames[n - 1] : null;
    const isNew = it.verdict.broken.some(({ property }) => !before || !before.verdict.broken.some((old) => old.property === property));
    if (isNew) found.push([n, "✗", it.verdict.broken.map((broken) => broken.property).join(", ")]);
  });
  const same = differs && found.find(([n]) => n === differs.frame);
  const words = "here the bug first differs from correct servers";
  if (same) same[2] += `; ${words}`;
  else if (differs) found.push([differs.frame, "≠", words]);
  return found.map(([n, sign, title]) => html("button", { class: "mark-at", style: `left: ${last ? (100 * n) / last : 0}%`, title, "aria-label": `Go to: ${title}`, onclick: () => go(n) }, sign));
}

function build(bar) {
  const button = (label, text, onclick, id) => html("button", { "aria-label": label, title: label, onclick, id }, text);
  fill(
    bar,
    button("First frame (Home)", icon("first"), () => go(0)),
    button("Step back (left arrow)", icon("back"), () => go(now.at - 1)),
    button("Play (space)", icon("play"), toggle, "play"),
    button("Step forward (right arrow)", icon("next"), () => go(now.at + 1)),
    button("Last frame (End)", icon("last"), () => go(now.scene.frames.length - 1)),
    html("div", { class: "scrub" }, html("div", { id: "marks" }), html("input", { type: "range", id: "scrubber", min: "0", step: "1", "aria-label": "Frame", oninput: (it) => go(Number(it.target.value)) })),
    html("output", { id: "position" }),
    html("small", { class: "keys faint" }, "← → step · space play · Home End"),
  );
  document.addEventListener("keydown", onKey);
}

function stop() {
  clearInterval(playing);
  playing = null;
  fill(byId("play"), icon("play"));
  byId("play").setAttribute("aria-label", "Play");
}

function toggle() {
  if (playing) {
    stop();
    return;
  }
  if (now.at === now.scene.frames.length - 1) go(0);
  playing = setInterval(() => go(now.at + 1), PACE);
  drawTransport();
}

function onKey(key) {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(key.target.tagName) && key.target.id !== "scrubber";
  if (isTyping || key.ctrlKey || key.metaKey || key.altKey) return;
  const isButton = /^(BUTTON|SUMMARY|A)$/.test(key.target.tagName);
  const moves = {
    ArrowRight: () => go(now.at + 1),
    ArrowLeft: () => go(now.at - 1),
    ArrowDown: () => go(now.at + 1),
    ArrowUp: () => go(now.at - 1),
    l: () => go(now.at + 1),
    h: () => go(now.at - 1),
    Home: () => go(0),
    End: () => go(now.scene.frames.length - 1),
    u: undo,
    ...(isButton ? {} : { " ": toggle }),
  };
  const move = moves[key.key];
  if (!move) return;
  key.preventDefault();
  move();
}
