// Draws a card for each server: its role and term, how far its log is, its rates, and buttons for its process.
//
// A card is built once, and only its texts change, so that a button keeps the focus.

import { byId, html } from "./dom.js";
import { SIGNS, count, dye, isCut, order, seen, stateOf, termClass, write } from "./base.js";

const cards = new Map();
/** Counters of a second ago or more, by server, for rates. */
const marks = new Map();

/** Draws the cards of the latest overview. */
export function drawCards() {
  const servers = seen.now.servers;
  if (servers.map((server) => server.id).join() !== [...cards.keys()].join()) {
    cards.clear();
    byId("cards").replaceChildren(...servers.map((server) => buildCard(server.id)));
    dye(byId("cards"), servers.length > 3 ? "many-servers" : "");
    dye(byId("ring"), servers.length > 3 ? "panel many-servers" : "panel");
  }
  for (const server of servers) drawCard(server);
}

const FIELDS = [
  ["last", "log to", "The index of the last entry of the log"],
  ["commit", "commit", "The index of the last entry that the server knows to be committed"],
  ["snapshot", "snapshot", "The index of the last entry that the snapshot covers"],
  ["lag", "behind", "How many entries the leader does not know to be on this server"],
  ["traffic", "in, out /s", "Datagrams that the server received and sent in a second"],
  ["dropped", "dropped", "Datagrams that the server has dropped since it started: those of links that are cut, and others"],
];

function buildCard(id) {
  const card = { id, fields: {} };
  card.role = html("span", { class: "role" });
  card.term = html("span", { class: "term" });
  const rows = FIELDS.map(([field, name, words]) => {
    card.fields[field] = html("dd", {});
    return [html("dt", { title: words }, name), card.fields[field]];
  });
  const button = (name, run) => html("button", { onclick: () => run() }, name);
  card.pause = button("Pause", () => order(`${stateOfId(id) === "paused" ? "resume" : "pause"} ${id}`));
  card.kill = button("Kill", () => order(`${isDown(id) ? "restart" : "kill"} ${id}`));
  card.lead = button("Lead", () => order(`transfer ${id}`));
  card.lead.title = `Hand the leadership over to server ${id}`;
  card.isolate = button("Isolate", () => isolate(id));
  card.warning = html("p", { class: "warning", hidden: true });
  card.trace = html("p", { class: "trace" });
  card.node = html(
    "article",
    { class: "card", "aria-label": `Server ${id}` },
    html("header", {}, html("h3", {}, `S${id}`), card.role, card.term),
    html("dl", { class: "facts" }, rows),
    card.trace,
    card.warning,
    html("div", { class: "buttons", role: "group", "aria-label": `Orders for server ${id}` }, card.kill, card.pause, card.isolate, card.lead),
  );
  cards.set(id, card);
  return card.node;
}

function stateOfId(id) {
  return stateOf(seen.now.servers.find((server) => server.id === id));
}

function isDown(id) {
  return ["killed", "ended"].includes(stateOfId(id));
}

function others(id) {
  return seen.now.servers.map((server) => server.id).filter((other) => other !== id);
}

function isIsolated(id) {
  return others(id).length > 0 && others(id).every((other) => isCut(seen.now, id, other) && isCut(seen.now, other, id));
}

function isolate(id) {
  order(`${isIsolated(id) ? "heal" : "cut"} ${id} | ${others(id).join(" ")}`);
}

function drawCard(server) {
  const card = cards.get(server.id);
  const state = stateOf(server);
  const { status } = server;
  dye(card.node, `card ${state} ${["killed", "ended", "paused", "silent"].includes(state) ? "away" : ""}`);
  write(card.role, `${SIGNS[state] || "?"} ${state}`);
  write(card.term, status ? `t${status.term}` : "–");
  dye(card.term, `term ${termClass(status ? status.term : 0)}`);
  const { fields } = card;
  write(fields.last, status ? count(status.last_log_index) : "–");
  write(fields.commit, status ? count(status.commit_index) : "–");
  write(fields.snapshot, status && status.snapshot_index ? `to ${count(status.snapshot_index)}` : "none");
  write(fields.lag, lagOf(server));
  write(fields.traffic, trafficOf(server));
  write(fields.dropped, status ? droppedOf(status.counters) : "–");
  write(card.kill, isDown(server.id) ? "Restart" : "Kill");
  write(card.pause, state === "paused" ? "Resume" : "Pause");
  write(card.isolate, isIsolated(server.id) ? "Rejoin" : "Isolate");
  card.pause.disabled = isDown(server.id);
  card.lead.disabled = state !== "follower" || seen.now.servers.length < 2;
  card.isolate.disabled = seen.now.servers.length < 2;
  drawTrace(card, server.trace);
  const warnings = status && state === status.role ? status.warnings : [];
  card.warning.hidden = !warnings.length;
  write(card.warning, warnings.join(" "));
}

/** A short word on the replay. The panel of verdicts says more. */
function drawTrace(card, trace) {
  if (!trace) return write(card.trace, "not traced");
  dye(card.trace, `trace ${trace.verdict}`);
  if (trace.verdict === "accept") return write(card.trace, `✓ ACCEPT ${count(trace.records)} calls`);
  if (trace.verdict === "reject") return write(card.trace, `✕ REJECT at line ${count(trace.rejected.line)}`);
  return write(card.trace, "? The trace cannot be read.");
}

/** How far the server is behind its leader, as the leader knows. */
function lagOf(server) {
  const leaders = seen.now.servers.filter((other) => stateOf(other) === "leader");
  leaders.sort((a, b) => b.status.term - a.status.term);
  const [leader] = leaders;
  if (!leader) return "–";
  if (leader.id === server.id) return "leads";
  const progress = leader.status.progress.find((it) => it.id === server.id);
  if (!progress) return "–";
  if (progress.snapshot_bytes !== null) return "gets a snapshot";
  // A new leader knows nothing of a server that has not answered it.
  if (progress.match_index === 0 && leader.status.last_log_index > 0) return "not known";
  return count(Math.max(0, leader.status.last_log_index - progress.match_index));
}

function trafficOf(server) {
  if (!server.status || stateOf(server) !== server.status.role) return "–";
  const { received, sent } = server.status.counters;
  const at = seen.now.at - server.answered_ago;
  const list = marks.get(server.id) || [];
  if (list.length && received < list[list.length - 1].received) list.length = 0;
  list.push({ at, received, sent });
  while (list.length > 2 && list[1].at <= at - 1000) list.shift();
  marks.set(server.id, list);
  const [first] = list;
  const seconds = (at - first.at) / 1000;
  if (seconds < 0.3) return "–";
  const rate = (now, then) => count(Math.round((now - then) / seconds));
  return `${rate(received, first.received)}, ${rate(sent, first.sent)}`;
}

function droppedOf(counters) {
  const others = Object.values(counters.dropped).reduce((sum, number) => sum + number, 0);
  const parts = [counters.cut ? `${count(counters.cut)} cut` : "", others ? count(others) : ""];
  return parts.filter((part) => part).join(", ") || "none";
}

/** Forgets the cards of another run. */
export function forgetCards() {
  cards.clear();
  marks.clear();
}
