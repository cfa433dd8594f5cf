// Says what the current step did: in words, with the fields that changed, and the rules that fired.

import { byId, fill, html, prose } from "./dom.js";
import { isStory } from "./narrative.js";
import { changesHere, frame, go, now } from "./state.js";

/** Draws the step. The first frame of a story introduces it, and the last one ends with the verdict. */
export function drawStep() {
  const here = frame();
  const isFirst = now.at === 0;
  fill(
    byId("step"),
    html("h2", {}, heading(here)),
    isFirst && now.scene.kind === "counterexample" ? introduction() : words(here),
    isFirst ? null : fields(here),
    differing(),
    rules(here),
    now.at === now.scene.frames.length - 1 ? ending() : null,
  );
}

function heading(here) {
  const count = now.scene.frames.filter((it) => it.number !== null).length;
  if (here.kind === "start") return "Start";
  if (here.kind === "prefix") return "Before the model starts";
  if (here.kind === "note") return "Between two steps";
  return `Step ${here.number} of ${Math.max(count, here.number)}`;
}

function introduction() {
  const { mutant, violates, frames } = now.scene;
  const steps = frames.filter((it) => it.kind === "step").length;
  return html(
    "div",
    { class: "introduction" },
    mutant
      ? [html("p", { class: "lead" }, prose(mutant.about)), html("p", {}, prose(mutant.story)), html("p", { class: "difference" }, html("b", {}, "The bug: "), prose(mutant.difference))]
      : html("p", { class: "lead" }, `A shortest way to violate ${violates}.`),
    html("button", { class: "primary", onclick: () => go(1) }, `Walk through the ${steps} steps →`),
  );
}

function words(here) {
  const [event, change, ...sent] = here.text;
  return html(
    "div",
    { class: "words" },
    here.comment && !isStory() ? html("p", { class: "comment" }, prose(here.comment)) : null,
    html("p", { class: "event" }, event),
    change ? html("p", { class: "change" }, change) : null,
    sent.length ? html("ul", { class: "sent", "aria-label": "It sends" }, sent.map((line) => html("li", {}, line))) : null,
  );
}

function fields(here) {
  const chips = Object.entries(here.states).flatMap(([process, state]) => {
    const changes = changesHere(Number(process));
    // A change of the disk that memory made as well goes without saying; one that is missing does not.
    const shown = changes.filter((it) => !it.field.startsWith("saved.") || !changes.some((other) => `saved.${other.field === "log" ? "last" : other.field}` === it.field));
    const all = shown.map(({ name, old, next }) => html("li", {}, html("span", { class: "faint" }, `${name} `), html("del", {}, old), " → ", html("ins", {}, next)));
    return [...all, ...unsaved(state)];
  });
  return chips.length ? html("ul", { class: "fields", "aria-label": "Changed fields" }, chips) : null;
}

/** What a server has in memory and not on its disk after a step. A correct server saves all of it. */
function unsaved(state) {
  if (state.kind !== "server") return [];
  const saved = state.saved || { term: 0, vote: null, last: 0 };
  const missing = [];
  if (saved.term !== state.term) missing.push("term");
  if ((saved.vote || null) !== (state.vote || null)) missing.push("vote");
  if (saved.last !== state.log.last || state.log.entries.some((entry) => !entry.is_saved)) missing.push("log");
  return missing.map((name) => html("li", { class: "missing" }, `${name} not on disk`));
}

function differing() {
  const { differs } = now.scene;
  if (!differs || differs.frame !== now.at) return null;
  const mutant = now.scene.mutant.name;
  return html(
    "div",
    { class: "differs" },
    html("b", {}, `Here ${mutant} first differs. `),
    differs.state ? "Correct servers would have done this:" : "",
    html("ul", {}, differs.text.slice(differs.state ? 1 : 0).map((line) => html("li", {}, line))),
    savedDiffers(differs),
  );
}

/** The words of a step may agree while the disks do not. */
function savedDiffers({ state, text }) {
  const actor = frame().event ? frame().event.actor : null;
  const mine = actor === null ? null : frame().states[actor];
  if (!state || !mine || mine.kind !== "server" || text.join() !== frame().text.join()) return null;
  const saved = (it) => (it.saved ? `t${it.saved.term}, vote ${it.saved.vote || "none"}, log to ${it.saved.last}` : "nothing");
  return html("p", {}, `Their disk would have ${saved(state)}. Here it has ${saved(mine)}.`);
}

function rules(here) {
  if (!here.rules.length) return null;
  return html(
    "ul",
    { class: "rules", "aria-label": "Rules of the paper in this step" },
    here.rules.map((id) =>
      html("li", {}, html("details", { name: "rule" }, html("summary", { title: here.labels.join("; ") }, html("span", { class: "rule" }, id), html("span", { class: "quote" }, prose(now.scene.rules[id] || ""))))),
    ),
  );
}

function ending() {
  const { violates, stuck } = now.scene;
  const broken = frame().verdict.broken;
  const first = broken.find((it) => it.property === violates) || broken[0];
  return [
    stuck ? html("p", { class: "stuck" }, html("b", {}, "The script ends here. "), prose(stuck.sentence)) : null,
    first ? html("p", { class: "verdict-line" }, html("b", {}, `✗ ${first.property} is violated. `), first.sentence || "") : null,
  ];
}
