// Draws the desk: put, get, compare-and-swap and delete, a load, and what came of the latest commands.

import { byId, fill, html } from "./dom.js";
import { duration, heading, post, seen } from "./base.js";

const MOST_ANSWERS = 5;
const RATES = [0, 5, 20, 50, 100, 200];
const desk = { kind: "put", answers: [], parts: null, load: null };

/** Draws the desk once; later only the load changes. */
export function drawDesk() {
  if (!desk.parts) buildDesk();
  if (desk.load !== seen.now.load) {
    desk.load = seen.now.load;
    const { load } = desk.parts;
    if (!RATES.includes(desk.load) && ![...load.options].some((it) => Number(it.value) === desk.load)) {
      load.append(html("option", { value: desk.load }, `${desk.load} /s`));
    }
    load.value = `${desk.load}`;
  }
}

function buildDesk() {
  const field = (name, words) => html("input", { name, "aria-label": words, placeholder: words, autocomplete: "off", spellcheck: "false", maxlength: "400" });
  const parts = {
    key: field("key", "key"),
    old: field("old", "old value"),
    value: field("value", "value"),
    answers: html("ol", { class: "answers", "aria-live": "polite" }),
  };
  const choose = (event) => {
    desk.kind = event.target.value;
    arrangeFields();
  };
  const kinds = [
    ["put", "put"],
    ["get", "get"],
    ["cas", "compare and swap"],
    ["delete", "delete"],
  ];
  parts.kind = html("select", { "aria-label": "Command", onchange: choose }, kinds.map(([value, name]) => html("option", { value }, name)));
  parts.load = html(
    "select",
    { onchange: (event) => setLoad(Number(event.target.value)) },
    RATES.map((rate) => html("option", { value: rate }, rate ? `${rate} /s` : "none")),
  );
  parts.key.value = "greeting";
  parts.value.value = "hello";
  const send = (event) => {
    event.preventDefault();
    executeCommand();
  };
  const form = html("form", { onsubmit: send }, parts.kind, parts.key, parts.old, parts.value, html("button", { type: "submit" }, "Send"));
  desk.parts = parts;
  fill(
    byId("desk"),
    heading("Commands"),
    form,
    parts.answers,
    html("label", { class: "load" }, "Load of puts ", parts.load),
  );
  arrangeFields();
}

function arrangeFields() {
  const { old, value } = desk.parts;
  old.hidden = desk.kind !== "cas";
  value.hidden = desk.kind === "get" || desk.kind === "delete";
  value.placeholder = desk.kind === "cas" ? "new value" : "value";
  old.placeholder = "old value, or empty for none";
}

async function executeCommand() {
  const { key, old, value } = desk.parts;
  const words = {
    put: ["put", key.value, value.value],
    get: ["get", key.value],
    cas: ["cas", key.value, old.value === "" ? null : old.value, value.value],
    delete: ["delete", key.value],
  }[desk.kind];
  const answer = { words: words.map((word) => (word === null ? "∅" : word)).join(" "), text: "…", isDone: true };
  desk.answers.unshift(answer);
  desk.answers.length = Math.min(desk.answers.length, MOST_ANSWERS);
  drawAnswers();
  const start = performance.now();
  const { isDone, text } = await post("/command", { command: words });
  const took = duration(Math.round((performance.now() - start) * 1000));
  Object.assign(answer, { text: isDone ? `${text}  (${took})` : text, isDone });
  drawAnswers();
}

function drawAnswers() {
  fill(
    desk.parts.answers,
    desk.answers.map((answer) => html("li", { class: answer.isDone ? "" : "failed" }, html("code", {}, answer.words), ` ${answer.text}`)),
  );
}

async function setLoad(rate) {
  const { isDone, text } = await post("/command", { command: ["load", rate] });
  if (isDone) return;
  desk.answers.unshift({ words: `load ${rate}`, text, isDone });
  drawAnswers();
  desk.load = null;
}

/** Lets the desk rest while there is no cluster. */
export function restDesk(isGone) {
  if (!desk.parts) return;
  for (const control of byId("desk").querySelectorAll("button, select, input")) control.disabled = isGone;
}
