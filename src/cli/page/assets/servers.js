// Draws a card for each process: a server's role and term, what is on its disk and what only in memory.

import { byId, fill, html, icon } from "./dom.js";
import { actorOf, changesHere, frame, now, stateAt, termClass } from "./state.js";
import { choose, isChoosable } from "./live.js";

const ROLE_SIGNS = {
  follower: "○",
  "pre-candidate": "◔",
  candidate: "◐",
  leader: "★",
  halted: "■",
};

/** Draws all processes as they are at the current frame. */
export function drawServers() {
  const cards = now.scene.processes.map((process, n) => card(process, n, stateAt(now.at, n)));
  byId("middle").classList.toggle("many", now.scene.processes.length > 4);
  fill(byId("servers"), html("h2", {}, "Servers"), html("div", { class: "cards" }, cards));
}

function card(process, n, state) {
  const isActor = actorOf(frame()) === n;
  const changed = new Map(changesHere(n).map((it) => [it.field, it]));
  if (!state) return null;
  const inside = state.kind === "server" ? server(n, state, changed) : client(n, state, changed);
  return html(
    "article",
    { class: `card ${isActor ? "acted" : ""}`, "aria-label": `${process.name}${isActor ? ", which has just acted" : ""}` },
    html("header", {}, html("h3", {}, process.name), state.kind === "server" ? role(state, changed) : html("span", { class: "role" }, "client")),
    inside,
  );
}

function role(state, changed) {
  const mark = changed.has("role") ? "changed" : "";
  return [
    html("span", { class: `role ${mark}`, title: was(changed.get("role")) }, `${ROLE_SIGNS[state.role] || ""} ${state.role}`),
    html("span", { class: `term ${termClass(state.term)} ${changed.has("term") ? "changed" : ""}`, title: was(changed.get("term")) }, `t${state.term}`),
  ];
}

function was(change) {
  return change ? `${change.name}: ${change.old}, now ${change.next}` : null;
}

function server(n, state, changed) {
  const saved = state.saved || { term: null, vote: undefined, last: null, snapshot: null };
  const dash = (value) => (value === null || value === undefined || value === 0 ? "–" : `${value}`);
  const upTo = (last) => (last ? `to ${last}` : "empty");
  const unsaved = state.log.entries.some((entry) => !entry.is_saved);
  const rows = [
    both("term", `t${state.term}`, state.saved ? `t${saved.term}` : "–", changed, "term", state.term > (saved.term || 0)),
    both("vote", dash(state.vote), state.saved ? dash(saved.vote) : "–", changed, "vote", (state.vote || null) !== (saved.vote || null)),
    both("log", upTo(state.log.last), state.saved ? upTo(saved.last) : "–", changed, "log", unsaved || state.log.last !== (saved.last || 0), "last"),
  ];
  if (state.log.snapshot || saved.snapshot) {
    rows.push(both("snapshot", upTo(state.log.snapshot), upTo(saved.snapshot), changed, "snapshot", state.log.snapshot !== saved.snapshot));
  }
  const only = [];
  const memory = (field, name, text) => {
    if (text) only.push([html("dt", {}, name), html("dd", { class: changed.has(field) ? "changed" : "", title: was(changed.get(field)) }, text)]);
  };
  memory("commit", "commit", `${state.commit}`);
  if (state.applied !== state.commit) memory("applied", "applied", `${state.applied}`);
  memory("leader", "follows", state.leader);
  memory("votes", "votes of", state.votes.join(" "));
  memory("followers", "next / match", state.followers.length ? state.followers.map((it) => html("span", { class: "line" }, `${it.name} ${it.next} / ${it.match}`)) : "");
  memory("machine", "machine", state.machine === "{}" ? "" : state.machine);
  return [
    html(
      "table",
      { class: "both" },
      html("thead", {}, html("tr", {}, html("td"), html("th", { scope: "col" }, "memory"), html("th", { scope: "col" }, "disk"))),
      html("tbody", {}, rows),
    ),
    html("dl", { class: "only" }, only),
    timers(n, state.timers, changed),
  ];
}

/** A row with a value in memory and the one on disk; they may differ. */
function both(name, memory, disk, changed, field, differs, savedField) {
  const onDisk = `saved.${savedField || field}`;
  return html(
    "tr",
    { class: differs ? "unequal" : "" },
    html("th", { scope: "row" }, name),
    html("td", { class: changed.has(field) ? "changed" : "", title: was(changed.get(field)) }, memory),
    html(
      "td",
      { class: changed.has(onDisk) ? "changed" : "", title: differs ? "The disk has something else: a restart would bring that back." : was(changed.get(onDisk)) },
      disk,
      differs ? html("span", { class: "unsaved", "aria-label": "not what memory has" }, " ≠") : null,
    ),
  );
}

function timers(n, armed, changed) {
  const name = now.scene.processes[n].name;
  const chips = armed.map((timer) => {
    const command = `timeout ${name} ${timer}`;
    return isChoosable(command)
      ? html("button", { class: "chip", title: `Let the ${timer} timer of ${name} fire`, onclick: () => choose(command) }, icon("clock"), timer)
      : html("span", { class: "chip" }, icon("clock"), timer);
  });
  const restart = `restart ${name}`;
  if (isChoosable(restart)) {
    chips.push(html("button", { class: "chip", title: `Crash ${name} and start it from its disk`, "aria-label": `Restart ${name}`, onclick: () => choose(restart) }, icon("restart")));
  }
  return html("div", { class: `timers ${changed.has("timers") ? "changed" : ""}` }, chips.length ? chips : html("span", { class: "faint" }, "no timer"));
}

function client(n, state, changed) {
  const mark = (field) => (changed.has(field) ? "changed" : "");
  return [
    html(
      "dl",
      { class: "only" },
      html("dt", {}, "asks"),
      html("dd", { class: mark("request") || mark("asks") }, state.request ? `${state.asks}: ${state.request}` : "nothing"),
      html("dt", {}, "learnt"),
      html("dd", { class: mark("outcomes") }, state.outcomes.join(", ") || "nothing yet"),
    ),
    timers(n, state.timers, changed),
  ];
}
