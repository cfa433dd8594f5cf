// Lists the properties at the current frame: broken ones first, then recovery, then what holds.

import { byId, fill, html, prose } from "./dom.js";
import { frame, now } from "./state.js";
import { askWay, takeWay } from "./live.js";

/** Draws the verdicts. */
export function drawProperties() {
  const panel = byId("properties");
  const { properties } = now.scene;
  panel.hidden = properties.length === 0;
  const { broken, examples } = frame().verdict;
  const isBroken = (name) => broken.some((it) => it.property === name);
  const asked = properties.filter((it) => it.kind !== "sometimes" && it.kind !== "recovery");
  const holding = asked.filter((it) => !isBroken(it.name));
  const sometimes = properties.filter((it) => it.kind === "sometimes");
  fill(
    panel,
    html("h2", {}, "Properties"),
    broken.length
      ? html("ul", { class: "verdicts" }, broken.map((it) => violation(it, properties)))
      : html("p", { class: "good" }, `✓ All ${asked.length} properties hold here.`),
    recovery(),
    sometimes.length ? html("ul", { class: "verdicts" }, sometimes.map((it) => example(it, examples))) : null,
    holding.length && holding.length < asked.length + 1
      ? html(
          "details",
          { class: "holding" },
          html("summary", {}, `${holding.length} hold`),
          html("dl", {}, holding.map((it) => [html("dt", {}, `✓ ${it.name}`), html("dd", {}, prose(it.sentence))])),
        )
      : null,
  );
}

function violation({ property, sentence }, properties) {
  const known = properties.find((it) => it.name === property);
  return html(
    "li",
    { class: "bad", title: known ? known.sentence : null },
    html("b", {}, `✗ ${property}`),
    sentence ? html("p", {}, sentence.split("\n").map((line) => html("span", { class: "line" }, line))) : null,
    known && !sentence ? html("p", { class: "faint" }, prose(known.sentence)) : null,
  );
}

function example(it, examples) {
  const isSeen = examples.includes(it.name);
  return html("li", { class: isSeen ? "seen" : "faint", title: it.sentence }, `${isSeen ? "●" : "○"} ${it.name}`);
}

function recovery() {
  const { recovers } = frame().verdict;
  if (!now.scene.properties.some((it) => it.kind === "recovery")) return null;
  const { way } = frame();
  const known = {
    yes: ["good", "✓ Recoverable: with every message lost, each majority still finds a way on."],
    no: ["bad", "✗ Stuck: with every message lost, some majority finds no way on by itself."],
    undecided: ["faint", "? Whether each majority recovers is not decided: the search was cut."],
  }[recovers];
  return html(
    "div",
    { class: "recovery" },
    known ? html("p", { class: known[0] }, known[1]) : null,
    now.live && known && !way ? html("button", { onclick: askWay }, "Show the shortest way out") : null,
    way ? wayOut(way) : null,
  );
}

function wayOut(way) {
  return html(
    "div",
    { class: "way" },
    html("p", {}, way.sentence),
    html("ol", {}, way.text.map((line) => html("li", {}, line))),
    now.live && way.commands.length ? html("button", { onclick: takeWay }, "Take it") : null,
  );
}
