// Tells what the scene is about: the head of the page with its badge, the story of a bug, and remarks.

import { byId, fill, html, prose } from "./dom.js";
import { firstStep, go, leftBounds, now } from "./state.js";
import { copyMenu } from "./copy.js";
import { controls, exhaust, exhaustion, stopSearch } from "./live.js";

let drawnScene = null;

/** Draws the head of the page. Its controls change with the scene, its badge with each frame. */
export function drawHead() {
  const { scene } = now;
  if (drawnScene !== scene) {
    drawnScene = scene;
    byId("top").classList.toggle("live", now.live);
    document.title = `${scene.title} · checked-raft`;
    fill(
      byId("top"),
      html("div", { class: "title" }, html("p", { class: "mark" }, "checked-raft"), html("h1", {}, scene.title), html("p", { class: "about", title: scene.about }, prose(scene.about))),
      html("div", { id: "badge" }),
      html("div", { class: "tools" }, now.live ? controls() : null, copyMenu()),
    );
  }
  fill(byId("badge"), checkedBadge());
}

/** Says in which sense the state that is shown was checked. */
function checkedBadge() {
  const { model, mutant, kind } = now.scene;
  if (kind === "traces") return tag("plain", "Real nodes", "The nodes wrote these traces, and the actor reproduces them.");
  if (mutant) return tag("bug", `with the bug ${mutant.name}`, "No exhausted set contains states of servers with a bug.");
  if (!model.is_bounded) return tag("plain", "A scenario of its own", "No model contains this cluster, so no search covers it.");
  const left = leftBounds();
  if (left) return tag("outside", `outside: bound ${left.bound}`, `Step ${now.scene.frames[left.at].number || left.at} leads beyond ${left.bound}: no search of ${model.name} goes there.`);
  const known = exhaustion();
  if (known && known.state === "exhausted") return tag("inside", `inside the exhausted set of ${model.name}`, known.sentence);
  const within = `within the bounds of ${model.name}`;
  if (!known) {
    const tuples = model.tuples ? ` Its search covers ${model.tuples.toLocaleString("en")} tuples.` : "";
    return tag("plain", within, `\`raft check ${model.name}\` exhausts this model.${tuples}`);
  }
  if (known.state === "running") {
    const share = known.pinned ? Math.min(1, known.tuples / known.pinned) : null;
    return html("div", { class: "badge plain", title: known.sentence }, html("b", {}, within), html("progress", { max: "1", value: share, "aria-label": `Exhausting ${model.name}` }), html("small", {}, `${known.sentence} ${known.tuples.toLocaleString("en")} tuples so far.`), html("button", { onclick: stopSearch }, "Stop"));
  }
  return html("div", { class: "badge plain" }, html("b", {}, within), html("small", {}, prose(known.sentence)), html("button", { onclick: exhaust }, "Exhaust it now"));
}

function tag(kind, text, sentence) {
  const signs = { inside: "✓ ", outside: "⚠ ", bug: "✗ ", plain: "" };
  return html("div", { class: `badge ${kind}` }, html("b", {}, `${signs[kind]}${text}`), html("small", {}, prose(sentence)));
}

/** Draws the story of the bug, or of the model, and the remarks. */
export function drawStory() {
  const { mutant, model, differs, notes, frames, kind } = now.scene;
  const isIntroduced = now.at === 0 && kind === "counterexample" && mutant;
  fill(
    byId("story"),
    html("h2", {}, mutant ? "The bug" : "About"),
    mutant
      ? [
          isIntroduced ? null : html("p", {}, prose(mutant.story)),
          isIntroduced ? null : html("p", { class: "difference" }, html("b", {}, "Difference: "), prose(mutant.difference)),
          html("p", {}, html("span", { class: "rule" }, mutant.breaks), " ", prose(now.scene.rules[mutant.breaks] || "")),
          html("p", { class: "faint" }, `Seen in ${mutant.seen_in}. ${mutant.caught_by} catches it.`),
          differs
            ? html("p", {}, "It first differs from correct servers in ", html("button", { class: "link", onclick: () => go(differs.frame) }, frames[differs.frame].number ? `step ${frames[differs.frame].number}` : `“${frames[differs.frame].text[0]}”`), ".")
            : frames.length > firstStep() && firstStep() > 0
              ? html("p", {}, "So far correct servers would have done just this.")
              : null,
        ]
      : model && html("p", {}, prose(model.about)),
    notes.map((note) => html("p", {}, note)),
    model ? html("details", {}, html("summary", {}, "The model"), html("p", {}, model.name), html("p", { class: "faint bounds" }, model.bounds)) : null,
  );
}
