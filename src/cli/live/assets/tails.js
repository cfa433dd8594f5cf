// Draws the ends of all logs as one grid: a column is an index, a colour is a term.

import { byId, fill, html } from "./dom.js";
import { count, heading, onlyIfNew, seen, stateOf, termClass, write } from "./base.js";

const COLUMNS = 24;
/** The parts of the panel. They stay, so that a reader who has scrolled stays where he is. */
const tails = { title: null, table: null };

/** Draws the logs of the latest overview. */
export function drawTails() {
  const logs = seen.now.servers.map((server) => ({
    id: server.id,
    isAway: stateOf(server) !== (server.status && server.status.role),
    log: server.log && {
      start: server.log.log_start,
      last: server.log.last_log_index,
      commit: server.log.commit_index,
      entries: server.log.entries,
    },
  }));
  onlyIfNew("tails", logs, () => drawGrid(logs));
}

function buildTails() {
  tails.title = heading("Ends of the logs");
  tails.table = html("table", { class: "grid ends" });
  fill(
    byId("tails"),
    tails.title,
    html("div", { class: "scroll", tabindex: "0", "aria-label": "The grid of logs" }, tails.table),
    html(
      "p",
      { class: "legend" },
      html("span", {}, html("i", { class: "bar" }), "committed up to here"),
      html("span", {}, "· in the snapshot"),
      html("span", {}, "A colour and a number are a term: a no-op, a session, or a command."),
    ),
  );
}

function drawGrid(logs) {
  if (!tails.table) buildTails();
  const known = logs.filter(({ log }) => log);
  const last = Math.max(0, ...known.map(({ log }) => log.last));
  write(tails.title, last ? `Ends of the logs, up to index ${count(last)}` : "Ends of the logs, which are empty");
  const first = Math.max(1, last - COLUMNS + 1);
  const indexes = Array.from({ length: COLUMNS }, (_, n) => first + n);
  const head = indexes.map((index) => html("th", { scope: "col" }, index % 4 === 0 || index === last ? shortIndex(index) : ""));
  fill(tails.table, html("thead", {}, html("tr", {}, html("td"), head)), html("tbody", {}, logs.map((server) => logOf(server, indexes))));
}

function shortIndex(index) {
  return index < 10000 ? `${index}` : `…${`${index}`.slice(-3)}`;
}

function logOf({ id, log, isAway }, indexes) {
  const name = html("th", { scope: "row" }, `S${id}`);
  if (!log) return html("tr", { class: "away" }, name, html("td", { class: "unknown", colspan: indexes.length }, "not seen yet"));
  if (log.last < indexes[0]) {
    const end = log.last ? `ends at index ${count(log.last)}` : "empty";
    return html("tr", { class: isAway ? "away" : "" }, name, html("td", { class: "unknown", colspan: indexes.length }, end));
  }
  const entries = new Map(log.entries.map((entry) => [entry.index, entry]));
  const cells = indexes.map((index) => {
    const entry = entries.get(index);
    const bar = index === log.commit ? "committed" : "";
    if (entry) {
      const words = `S${id}, index ${index}: term ${entry.term}, ${wordsOf(entry)}${index <= log.commit ? ", committed" : ", not known to be committed"}`;
      const lag = index <= log.commit ? "" : "waits";
      return html("td", { class: bar, title: words }, html("div", { class: `cell ${termClass(entry.term)} ${lag}`, "aria-label": words }, html("b", {}, `${entry.term}`), html("small", {}, signOf(entry))));
    }
    if (index <= log.start) return html("td", { class: `dropped ${bar}`, title: `S${id}, index ${index}: in the snapshot` }, "·");
    return html("td", { class: `none ${bar}`, title: `S${id}, index ${index}: ${index > log.last ? "no entry" : "not shown"}` });
  });
  return html("tr", { class: isAway ? "away" : "", "aria-label": `Log of S${id}: ${log.last} entries, ${log.commit} committed` }, name, cells);
}

function wordsOf(entry) {
  if (entry.kind === "noop") return "no-op";
  if (entry.kind === "register") return "opens a session";
  return entry.command || "command";
}

function signOf(entry) {
  if (entry.kind === "noop") return "–";
  if (entry.kind === "register") return "ses";
  return (entry.command || "").slice(0, 3).toLowerCase();
}
