// Draws the space-time diagram: time runs down, a column for each process, a row for each frame.
//
// An arrow leaves its sender, runs down a lane beside the sender's line, and crosses to its receiver in the
// row of its delivery. No other event stands in that row, so an arrow touches none.

import { byId, fill, svg, html } from "./dom.js";
import { actorOf, go, now, pastOf, stateAt } from "./state.js";
import { choose, isChoosable } from "./live.js";

const ROW = 36;
const HEAD = 4;
const NAMES = 24;
const GUTTER = 34;
const LANE = 5;
const LETTER = 6;
/** The most rows that are drawn at a time, around the current one. */
const WINDOW = 300;

/** What is drawn: the scene, the window of rows, and the parts that change with the current frame. */
let drawn = { scene: null };

/** Draws the diagram, or only moves in it, and brings the current row into view. */
export function drawDiagram() {
  const { scene, at, live } = now;
  const width = window.innerWidth;
  const pending = pendingMessages(scene, at);
  const isDrawn = drawn.scene === scene && drawn.width === width && at >= drawn.from && at < drawn.to;
  if (!isDrawn || (live && drawn.pending !== pending.length)) drawAll(scene, at, pending, width);
  mark(at);
}

function drawAll(scene, at, pending, width) {
  const panel = byId("diagram");
  const [from, to] = windowAround(at, scene.frames.length);
  const place = layout(panel, scene, from);
  const rows = to - from + pending.length;
  const height = HEAD + (rows + 0.6) * ROW;
  const lanes = assignLanes(scene);
  const here = svg("rect", { class: "here", x: 2, y: 0, width: place.width - 4, height: ROW, rx: 6 });
  const groups = [];
  const stubsOf = [];
  const arrivals = arrivalsOf(scene);
  for (let n = from; n < to; n += 1) {
    groups.push(frameRow(scene, place, lanes, n));
    stubsOf.push(svg("g", {}, stubs(scene, place, arrivals, n)));
  }
  const drawing = svg(
    "svg",
    { width: place.width, height, viewBox: `0 0 ${place.width} ${height}`, role: "group", "aria-label": "Messages and events" },
    lifelines(scene, place, height),
    here,
    stubsOf,
    groups,
    pending.map((it, n) => ghost(scene, place, it, to + n)),
  );
  const scroller = html("div", { class: "scroll", tabindex: "-1" }, names(scene, place), drawing);
  const before = panel.querySelector(".scroll");
  const top = before ? before.scrollTop : 0;
  fill(panel, html("h2", {}, "Messages", html("small", {}, " click a row to go there")), scroller);
  scroller.scrollTop = top;
  drawn = { scene, width, from, to, place, groups, stubsOf, here, scroller, pending: pending.length };
}

/** Marks the current row and those on which it rests, and dims the others. */
function mark(at) {
  const past = pastOf(at);
  drawn.groups.forEach((group, k) => {
    const n = drawn.from + k;
    const rank = n === at ? "now" : past.has(n) ? "past" : "dim";
    if (group.rank === rank) return;
    group.rank = rank;
    group.setAttribute("class", `row ${rank} ${now.scene.frames[n].kind}`);
    group.setAttribute("tabindex", rank === "now" ? "0" : "-1");
    if (rank === "now") group.setAttribute("aria-current", "step");
    else group.removeAttribute("aria-current");
    drawn.stubsOf[k].setAttribute("class", rank === "dim" ? "dim" : "");
  });
  drawn.here.setAttribute("y", drawn.place.y(at) - ROW / 2);
  keepInView(drawn.scroller, drawn.place.y(at), drawn.pending);
}

function windowAround(at, count) {
  if (count <= WINDOW) return [0, count];
  const from = Math.max(0, Math.min(count - WINDOW, at - WINDOW / 2));
  return [from, from + WINDOW];
}

function keepInView(scroller, y, pending) {
  const view = scroller.clientHeight;
  const low = NAMES + y + ROW * (1 + Math.min(pending, 4));
  if (y - 2 * ROW < scroller.scrollTop) scroller.scrollTop = y - 2 * ROW;
  else if (low > scroller.scrollTop + view) scroller.scrollTop = low - view;
}

function layout(panel, scene, from) {
  const count = scene.processes.length;
  const room = Math.max(280, panel.clientWidth - 30);
  const column = Math.max(64, Math.min(190, (room - GUTTER - 10) / count));
  return {
    column,
    width: Math.max(room, GUTTER + column * count + 10),
    x: (process) => GUTTER + column * (process + 0.5),
    y: (n) => HEAD + (n - from + 0.5) * ROW,
  };
}

function lifelines(scene, place, height) {
  return scene.processes.map((process, n) => svg("line", { class: "life", x1: place.x(n), x2: place.x(n), y1: 0, y2: height - 6 }));
}

/** The names above the lines. They stay when the drawing scrolls. */
function names(scene, place) {
  const all = scene.processes.map((process, n) => svg("text", { class: "name", x: place.x(n), y: 16, "text-anchor": "middle" }, process.name));
  return html("div", { class: "names" }, svg("svg", { width: place.width, height: NAMES, "aria-hidden": "true" }, all));
}

/** Gives each sending frame a lane on the side to which its messages go, as near to the line as is free. */
function assignLanes(scene) {
  const until = new Map();
  const note = (sent, from, to, n) => {
    const key = `${sent} ${from} ${Math.sign(to - from)}`;
    until.set(key, { sent, from, side: Math.sign(to - from), end: n });
  };
  scene.frames.forEach((frame, n) => {
    const { event } = frame;
    if (event && event.kind === "deliver" && event.sent !== null) note(event.sent, event.from, event.actor, n);
    for (const lost of frame.lost) if (lost.sent !== null) note(lost.sent, lost.from, lost.to, n);
  });
  const busy = {};
  const lanes = new Map();
  for (const [key, it] of [...until].sort((a, b) => a[1].sent - b[1].sent)) {
    const ends = (busy[`${it.from} ${it.side}`] ||= []);
    let lane = ends.findIndex((end) => end <= it.sent);
    if (lane < 0) lane = ends.length;
    ends[lane] = it.end;
    lanes.set(key, lane % 5);
  }
  return lanes;
}

function frameRow(scene, place, lanes, n) {
  const frame = scene.frames[n];
  const y = place.y(n);
  const words = frame.text.join(". ");
  const group = svg(
    "g",
    {
      class: `row ${frame.kind}`,
      tabindex: "-1",
      role: "button",
      "aria-label": `${frame.number ? `Step ${frame.number}: ` : ""}${words}`,
      onclick: () => go(n),
    },
    svg("title", {}, frame.text.join("\n")),
    svg("rect", { class: "hit", x: 0, y: y - ROW / 2, width: place.width, height: ROW }),
    svg("text", { class: "number", x: GUTTER - 10, y: y + 4, "text-anchor": "end" }, frame.number === null ? (frame.kind === "prefix" ? "·" : "") : `${frame.number}`),
  );
  if (frame.verdict.broken.length && !(n > 0 && scene.frames[n - 1].verdict.broken.length)) {
    group.append(svg("text", { class: "broken", x: 2, y: y + 4 }, "✗"));
  }
  if (frame.event) group.append(...event(scene, place, lanes, frame, n));
  else group.append(...note(place, lanes, frame, n));
  return group;
}

function event(scene, place, lanes, frame, n) {
  const { event: it } = frame;
  const [x, y] = [place.x(it.actor), place.y(n)];
  const become = becomes(scene, n, it.actor);
  if (it.kind === "deliver") {
    const side = Math.sign(it.actor - it.from) || 1;
    const start = place.x(it.from);
    const path = arrow(place, lanes, it, n, side);
    const left = Math.min(start, x);
    const room = Math.abs(x - start) - 26;
    return [
      svg("path", { class: `arrow ${it.again ? "again" : ""}`, d: path }),
      svg("path", { class: "tip", d: `M ${x - side * 2} ${y} l ${-side * 9} -4.5 v 9 z` }),
      svg("circle", { class: "stop", cx: x, cy: y, r: 2.5 }),
      label(left + Math.abs(x - start) / 2, y - 5, short(it.message, room), "middle", it.again ? "again" : ""),
      ...roleLabel(place, x, y, become, side),
    ];
  }
  if (it.kind === "restart") {
    return [svg("path", { class: "restart", d: `M ${x - 6} ${y - 6} l 12 12 m 0 -12 l -12 12` }), beside(place, x, y, `restart${become ? `, ${become}` : ""}`)];
  }
  const what = `${it.timer} timeout`;
  return [
    svg("circle", { class: "timer", cx: x, cy: y, r: 6 }),
    svg("path", { class: "hand", d: `M ${x} ${y - 4} v 4 h 3` }),
    beside(place, x, y, become ? `${it.timer}, ${become}` : what),
  ];
}

function arrow(place, lanes, it, n, side) {
  const [x, y] = [place.x(it.actor), place.y(n)];
  const start = place.x(it.from);
  if (it.sent === null) return `M ${start} ${y} H ${x - side * 9}`;
  const lane = start + side * (11 + LANE * (lanes.get(`${it.sent} ${it.from} ${side}`) || 0));
  const top = place.y(it.sent);
  return `M ${start} ${top} H ${lane - side * 4} q ${side * 4} 0 ${side * 4} 4 V ${y - 4} q 0 4 ${side * 4} 4 H ${x - side * 9}`;
}

/** The role that a process has after a frame, if it is a new one. */
function becomes(scene, n, process) {
  const [before, after] = [stateAt(n - 1, process), stateAt(n, process)];
  if (!before || !after || after.kind !== "server" || before.role === after.role) return "";
  return after.role === "leader" ? `★ leader t${after.term}` : after.role;
}

/** The new role stands behind the line of its process, or below the arrow if there is no room. */
function roleLabel(place, x, y, become, side) {
  if (!become) return [];
  const end = x + side * (10 + become.length * LETTER);
  if (end > GUTTER && end < place.width) return [label(x + side * 10, y + 4, become, side > 0 ? "start" : "end", "becomes")];
  return [label(x - side * 10, y + 14, become, side > 0 ? "end" : "start", "becomes")];
}

function beside(place, x, y, text) {
  const isRight = x + 22 + text.length * LETTER < place.width;
  return label(isRight ? x + 20 : x - 20, y + 4, text, isRight ? "start" : "end", "words");
}

function label(x, y, text, anchor, kind) {
  return svg("text", { class: `label ${kind}`, x, y, "text-anchor": anchor }, text);
}

const SHORT = {
  RequestVote: "RV",
  RequestVoteResponse: "RV reply",
  AppendEntries: "AE",
  AppendEntriesResponse: "AE reply",
  InstallSnapshot: "IS",
  InstallSnapshotResponse: "IS reply",
  PreVote: "PV",
  PreVoteResponse: "PV reply",
};

/** A message in as many words as fit: all of them, its type and term, or an abbreviation. */
function short(message, room) {
  const name = message.split(" ")[0];
  const term = (message.match(/ (for )?t\d+/) || [""])[0].trim();
  const granted = /granted/.test(message) ? " ✓" : /refused|no match|stale/.test(message) ? " ✗" : "";
  const entries = (message.match(/\d+@t\d+(?= [^,;]*(?:[,;]|$))/g) || []).slice(-2).join(" ");
  const carried = name === "AppendEntries" ? (/: nothing;/.test(message) ? " nothing" : ` ${entries}`) : "";
  const choices = [
    `${name} ${term}${carried}${granted}`,
    `${name} ${term}${granted}`,
    `${SHORT[name] || name} ${term}${carried}${granted}`,
    `${SHORT[name] || name} ${term}${granted}`,
    `${SHORT[name] || name}${granted}`,
  ];
  return choices.find((it) => it.length * LETTER <= room) || choices[choices.length - 1];
}

/** The messages that arrive or get lost, by the frames that sent them. */
function arrivalsOf(scene) {
  const found = new Set();
  for (const { event, lost } of scene.frames) {
    if (event && event.kind === "deliver") found.add(`${event.sent} ${event.actor} ${event.message}`);
    for (const it of lost) found.add(`${it.sent} ${it.to} ${it.message}`);
  }
  return found;
}

/** Messages of a frame that neither arrive nor get lost by a later frame: a short dashed line each. */
function stubs(scene, place, arrivals, n) {
  const frame = scene.frames[n];
  const from = actorOf(frame);
  if (from === null) return [];
  const waiting = frame.sent.filter((it) => !arrivals.has(`${n} ${it.to} ${it.message}`));
  const sides = new Set(waiting.map((it) => Math.sign(it.to - from)));
  return [...sides].map((side) => svg("path", { class: "stub", d: `M ${place.x(from) + side * 7} ${place.y(n)} h ${side * 14}` }));
}

function note(place, lanes, frame, n) {
  const y = place.y(n);
  if (frame.kind === "start") return [label(GUTTER + 4, y + 4, "start", "start", "words")];
  const marks = frame.lost.filter((lost) => lost.sent !== null).map((lost) => {
    const side = Math.sign(lost.to - lost.from) || 1;
    const lane = place.x(lost.from) + side * (11 + LANE * (lanes.get(`${lost.sent} ${lost.from} ${side}`) || 0));
    return [
      svg("path", { class: "arrow lost", d: `M ${place.x(lost.from)} ${place.y(lost.sent)} H ${lane - side * 4} q ${side * 4} 0 ${side * 4} 4 V ${y - 6}` }),
      svg("path", { class: "cross", d: `M ${lane - 4} ${y - 8} l 8 8 m 0 -8 l -8 8` }),
    ];
  });
  return [...marks.flat(), label(place.width / 2, y + 12, frame.text[0], "middle", "note")];
}

/** The messages that could arrive now, on a live page. */
function pendingMessages(scene, at) {
  const { next } = scene.frames[at];
  if (!next || at !== scene.frames.length - 1 || !now.live) return [];
  return next.filter((it) => it.kind === "deliver" && it.has_effect).slice(0, 24);
}

/** A message that could arrive now, as an arrow to click. */
function ghost(scene, place, it, n) {
  const [start, x, y] = [place.x(it.from), place.x(it.actor), place.y(n)];
  const side = Math.sign(x - start) || 1;
  const names = scene.processes;
  return svg(
    "g",
    {
      class: "row ghost",
      tabindex: "0",
      role: "button",
      "aria-label": `Deliver from ${names[it.from].name} to ${names[it.actor].name}: ${it.what}`,
      onclick: () => isChoosable(it.command) && choose(it.command),
      onkeydown: (key) => key.key === "Enter" && choose(it.command),
    },
    svg("title", {}, `Deliver: ${it.what}`),
    svg("rect", { class: "hit", x: 0, y: y - ROW / 2, width: place.width, height: ROW }),
    svg("text", { class: "number", x: GUTTER - 10, y: y + 4, "text-anchor": "end" }, "+"),
    svg("path", { class: "arrow", d: `M ${start} ${y} H ${x - side * 9}` }),
    svg("path", { class: "tip", d: `M ${x - side * 2} ${y} l ${-side * 9} -4.5 v 9 z` }),
    label((start + x) / 2, y - 5, short(it.what, Math.abs(x - start) - 26), "middle", ""),
  );
}
