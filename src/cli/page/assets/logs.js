// Draws all logs as one grid, as the paper draws them: a column is an index, a colour is a term.
//
// A bar follows the last entry that the server knows to be committed. A cell with stripes is not on the
// disk. A cell with a dot has made way for a snapshot.

import { byId, fill, html } from "./dom.js";
import { frame, now, stateAt, termClass } from "./state.js";

/** Draws the logs as they are at the current frame. */
export function drawLogs() {
  const servers = now.scene.processes
    .map((process, n) => ({ name: process.name, n, state: stateAt(now.at, n) }))
    .filter((server) => server.state && server.state.kind === "server");
  const first = Math.min(...servers.map(({ state }) => firstShown(state.log)));
  const last = Math.max(...servers.map(({ state }) => state.log.last), 0);
  const title = html("h2", {}, "Logs");
  if (!servers.length || last === 0) {
    fill(byId("logs"), title, html("p", { class: "faint" }, "All logs are empty."));
    return;
  }
  const indexes = [];
  for (let index = first; index <= last; index += 1) indexes.push(index);
  fill(
    byId("logs"),
    title,
    html(
      "div",
      { class: "scroll", tabindex: "0", "aria-label": "The grid of logs" },
      html(
        "table",
        { class: "grid" },
        html("thead", {}, html("tr", {}, html("td"), indexes.map((index) => html("th", { scope: "col" }, `${index}`)))),
        html("tbody", {}, servers.map((server) => logRow(server, indexes))),
      ),
    ),
    legend(servers),
  );
}

function firstShown(log) {
  const hidden = log.last - log.entries.length;
  return Math.max(1, log.start > 6 || hidden > log.start ? hidden : 1);
}

function logRow({ name, n, state }, indexes) {
  const before = n in frame().states ? stateAt(now.at - 1, n) : state;
  const old = new Map((before && before.log ? before.log.entries : []).map((it) => [it.index, it]));
  const entries = new Map(state.log.entries.map((it) => [it.index, it]));
  const cells = indexes.map((index) => {
    const entry = entries.get(index);
    const bar = index === state.commit ? "committed" : "";
    const edge = index === indexes[0] && state.commit < index ? "uncommitted" : "";
    if (!entry) {
      const isDropped = index <= state.log.start;
      const known = old.get(index);
      const gone = known && !isDropped ? "gone" : "";
      const words = isDropped ? `in the snapshot` : gone ? `${known.text}, deleted in this step` : "no entry";
      return html("td", { class: `${bar} ${edge} ${isDropped ? "dropped" : "none"} ${gone}`, title: `${name}, index ${index}: ${words}` }, isDropped ? "·" : "");
    }
    const known = old.get(index);
    const isNew = !known || known.term !== entry.term || known.text !== entry.text;
    const words = `${name}, index ${index}: t${entry.term} ${entry.text}${entry.is_saved ? "" : ", not on disk"}${index <= state.commit ? ", committed" : ""}${isNew ? ", new in this step" : ""}`;
    return html(
      "td",
      { class: `${bar} ${edge}`, title: words },
      html(
        "div",
        { class: `cell ${termClass(entry.term)} ${entry.is_saved ? "" : "stripes"} ${isNew && now.at > 0 ? "fresh" : ""}`, "aria-label": words },
        html("b", {}, `t${entry.term}`),
        html("small", {}, entry.text),
      ),
      index === state.log.snapshot ? html("span", { class: "snapshot", title: `The snapshot of ${name} covers everything up to ${index}` }, "▾") : null,
    );
  });
  return html("tr", { "aria-label": `Log of ${name}: ${state.log.last} entries, ${state.commit} committed` }, html("th", { scope: "row" }, name), cells);
}

function legend(servers) {
  const some = (test) => servers.some(({ state }) => test(state));
  return html(
    "p",
    { class: "legend" },
    html("span", {}, html("i", { class: "bar" }), "committed up to here"),
    some((state) => state.log.entries.some((entry) => !entry.is_saved)) ? html("span", {}, html("i", { class: "stripes" }), "not on disk") : null,
    some((state) => state.log.snapshot > 0) ? html("span", {}, "▾ snapshot") : null,
  );
}
