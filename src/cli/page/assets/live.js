// Asks the server: for the scene of a script, for the shortest way to recovery, and for the exhaustion of
// the model. In a file there is no server, and nothing here does anything.

import { html, toast } from "./dom.js";
import { frame, now, refresh, show } from "./state.js";
import { linkOf } from "./links.js";

/** What there is to choose from, the badge's knowledge, and the paths that were left for others. */
const session = { choices: null, story: null, exhaustion: null, choosers: null, branches: [], busy: false };

/** Makes this page a live one. */
export function beginLive(choices) {
  now.live = true;
  session.choices = choices;
}

async function ask(question, script) {
  const answer = await fetch(`/api/${question}`, { method: "POST", body: script });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error);
  return data;
}

/** Shows the scene of a script, at its end or at a step, and puts it into the address. */
export async function load(script, step, isBack) {
  if (session.busy) return false;
  session.busy = true;
  try {
    const scene = await ask("scene", script);
    const old = now.scene ? now.scene.model.name : null;
    if (old !== scene.model.name) session.exhaustion = null;
    if (scene.narrative) session.story = { title: scene.title, script };
    const last = scene.frames.length - 1;
    show(scene, step === null ? (scene.narrative ? 0 : last) : step);
    const link = await linkOf(scene.narrative ? script : scriptUpTo(last), step);
    if (!isBack) history.pushState(null, "", link);
    if (scene.stuck) toast(`The script ends before line ${scene.stuck.line}: the step says why.`);
  } catch (error) {
    toast(error.message);
    return false;
  } finally {
    session.busy = false;
  }
  watch();
  return true;
}

/** The script of the path up to a frame. Its header names the model and the bug. */
export function scriptUpTo(at) {
  const { header, frames, violates } = now.scene;
  const own = frames.slice(0, at + 1).filter((it) => it.command);
  const lines = own.map((it) => `${it.comment ? `# ${it.comment}\n` : ""}${it.command}\n`);
  return `${header}${violates ? `violates ${violates}\n` : ""}start\n${lines.join("")}`;
}

/** Whether the server can take this step from here. */
export function isChoosable(command) {
  const { next } = frame();
  return now.live && next !== null && next.some((it) => it.command === command || it.lose === command);
}

/** Takes a step. From an earlier frame this begins another path, and the old one can be had again. */
export async function choose(command) {
  const last = now.scene.frames.length - 1;
  if (now.at < last) {
    const old = { script: scriptUpTo(last), steps: last, fork: now.at };
    if (!session.branches.some((it) => it.script === old.script)) session.branches.push(old);
  }
  await load(`${scriptUpTo(now.at)}${command}\n`, null);
}

/** Takes the last step back. */
export async function undo() {
  const { frames } = now.scene;
  const last = frames.length - 1;
  if (!now.live || frames[last].kind === "prefix" || last === 0) return;
  await load(scriptUpTo(last - 1), null);
}

/** Asks which steps can follow the current frame, if that is not known. */
export async function lookAhead() {
  const here = frame();
  if (!now.live || here.next !== null || here.asked) return;
  here.asked = true;
  try {
    const scene = await ask("scene", scriptUpTo(now.at));
    const last = scene.frames[scene.frames.length - 1];
    here.next = last.next;
    here.verdict = last.verdict;
    if (frame() === here) refresh();
  } catch (error) {
    toast(error.message);
  }
}

/** Asks for the shortest way to recovery from here. */
export async function askWay() {
  const here = frame();
  try {
    here.way = await ask("way", scriptUpTo(now.at));
  } catch (error) {
    here.way = { sentence: error.message, text: [], commands: [] };
  }
  refresh();
}

/** Takes the way to recovery. */
export async function takeWay() {
  const at = now.at;
  await load(`${scriptUpTo(at)}${frame().way.commands.join("\n")}\n`, null);
}

/** What is known of the exhaustion of the model, on a live page. */
export function exhaustion() {
  return now.live ? session.exhaustion : null;
}

/** Begins the search of the model. */
export async function exhaust() {
  session.exhaustion = await ask("exhaust", scriptUpTo(0));
  watch();
}

/** Ends the search of the model. */
export async function stopSearch() {
  await ask("stop", scriptUpTo(0));
}

/** Follows the search of the model. A quick one begins by itself. */
async function watch() {
  const { model, mutant } = now.scene;
  if (mutant || !model.is_bounded) return;
  if (session.exhaustion && session.exhaustion.state !== "running") return;
  clearTimeout(session.timer);
  try {
    const known = await ask("exhaustion", scriptUpTo(0));
    session.exhaustion = known.state === "none" && known.is_quick ? await ask("exhaust", scriptUpTo(0)) : known;
  } catch (error) {
    toast(error.message);
    return;
  }
  refresh();
  if (session.exhaustion.state === "running") session.timer = setTimeout(watch, 300);
}

/** The choosers of model and bug. They are made once, since together they have more than 200 lines. */
function choosers() {
  const { choices } = session;
  if (!session.choosers) {
    const models = choices.models.map((it) => html("option", { value: it.name }, `${it.name}${it.effort === "quick" ? "" : ` (${it.effort})`}`));
    const mutants = choices.mutants.map((it) => html("option", { value: it.name }, `${it.name} (${it.breaks})`));
    const own = html("option", { value: "" });
    const change = (take) => (it) => take(it.target.value);
    session.choosers = {
      own,
      model: html("select", { onchange: change((name) => name && load(`model ${name}\nstart\n`, null)) }, own, models),
      bug: html("select", { title: "The same path on servers with this bug", onchange: change(switchBug) }, html("option", { value: "" }, "none: correct servers"), mutants),
    };
  }
  const { own, model, bug } = session.choosers;
  const shown = now.scene.model.name;
  own.hidden = choices.models.some((it) => it.name === shown);
  own.textContent = own.hidden ? "" : shown;
  model.value = own.hidden ? shown : "";
  bug.value = now.scene.mutant ? now.scene.mutant.name : "";
  return { model, bug };
}

/** The choosers, the paths that were left, and the way to stateright's Explorer. */
export function controls() {
  const { branches } = session;
  const { mutant } = now.scene;
  const { model, bug } = choosers();
  return html(
    "div",
    { class: "controls" },
    html("label", {}, "Model ", model),
    html("label", {}, "Bug ", bug),
    mutant ? html("button", { onclick: shortest }, "Shortest counterexample") : null,
    branches.length
      ? html(
          "select",
          { "aria-label": "Paths that were left", onchange: (it) => it.target.value && leave(Number(it.target.value)) },
          html("option", { value: "" }, `${branches.length} other path${branches.length > 1 ? "s" : ""}`),
          branches.map((it, n) => html("option", { value: n }, `path ${n + 1}: ${it.steps} steps, left at ${it.fork}`)),
        )
      : null,
    session.story && !now.scene.narrative ? html("button", { class: "primary", title: session.story.title, onclick: () => load(session.story.script, 0) }, "Back to the story") : null,
    html("a", { class: "button", href: explorerLink() }, "Stateright’s Explorer"),
  );
}

/** Plays the same path on servers with another bug, or with none. */
async function switchBug(name) {
  const { header, frames } = now.scene;
  const lines = header.split("\n");
  const model = lines.filter((line) => !/^(mutant |correct$)/.test(line) && line).map((line) => `${line}\n`).join("");
  const old = (lines.find((line) => line.startsWith("mutant ")) || "mutant ").slice(7);
  const script = scriptUpTo(frames.length - 1);
  const path = script.slice(script.indexOf("start\n"));
  const chosen = name ? `${model}mutant ${name}\n` : model || `mutant ${old}\ncorrect\n`;
  await load(`${chosen}${path}`, now.at === frames.length - 1 ? null : now.at);
}

async function shortest() {
  const { mutant } = now.scene;
  try {
    const { script } = await ask("counterexample", `mutant ${mutant.name}\n`);
    await load(script, 0);
  } catch (error) {
    toast(error.message);
  }
}

async function leave(n) {
  const [branch] = session.branches.splice(n, 1);
  const last = now.scene.frames.length - 1;
  session.branches.push({ script: scriptUpTo(last), steps: last, fork: now.at });
  await load(branch.script, null);
}

/** The address of the state that is shown in stateright's Explorer, which may have another model. */
function explorerLink() {
  const isSame = session.choices.explorer === now.scene.header;
  return isSame && now.scene.path ? `/stateright/#/steps/${now.scene.path}` : "/stateright/#/steps/0";
}
