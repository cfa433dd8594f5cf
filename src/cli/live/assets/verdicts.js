// Draws the verdicts: whether the checked actor does what each server did, and the properties of what was seen.
//
// No property "holds" here. The page says in how many calls or states it was judged and not violated.

import { byId, fill, html } from "./dom.js";
import { bytes, count, heading, many, onlyIfNew, seen } from "./base.js";

let isOpen = false;

/** Draws the verdicts of the latest overview. */
export function drawVerdicts() {
  const { servers, properties, trace_limit: limit } = seen.now;
  const traces = servers.map(({ id, trace }) => ({ id, trace }));
  onlyIfNew("verdicts", [traces, properties], () => drawJudged(traces, properties, limit));
}

function drawJudged(traces, properties, limit) {
  const broken = properties.filter((property) => property.broken);
  const judged = properties.reduce((most, property) => Math.max(most, property.judged), 0);
  const list = html("details", { open: isOpen, ontoggle: (event) => (isOpen = event.target.open) }, html("summary", {}, "Every property, with its count"), html("ul", { class: "counts" }, properties.map(propertyOf)));
  const old = byId("judged").querySelector("details");
  const at = old ? old.querySelector("ul").scrollTop : 0;
  const hadFocus = old && old.contains(document.activeElement);
  fill(
    byId("judged"),
    heading("Replayed as it happens"),
    html("ul", { class: "replays" }, traces.map(replayOf)),
    broken.length
      ? html("div", { class: "verdict-line", role: "alert" }, broken.map(({ name, broken: where }) => html("p", {}, html("b", {}, `${name} is violated`), `: line ${where.line} of the trace of S${where.server}.`)))
      : html("p", { class: "sum" }, html("b", {}, `${properties.length} properties, none violated`), ` in ${many(judged, "state")} that the servers were seen in.`),
    list,
    html("p", { class: "faint small" }, `The actor that was model checked does every handler call again. Each trace ends at ${limit} MiB.`),
  );
  const next = byId("judged").querySelector("details");
  next.querySelector("ul").scrollTop = at;
  if (hadFocus) next.querySelector("summary").focus();
}

function replayOf({ id, trace }) {
  if (!trace) return html("li", {}, html("b", {}, `S${id}`), " is not traced.");
  const kinds = `${many(trace.starts, "start")}, ${many(trace.delivers, "message")}, ${many(trace.timeouts, "timeout")}; ${many(trace.saves, "save")}, ${many(trace.sends, "send")}`;
  if (trace.verdict === "reject") {
    const { line, field, expected, seen: found } = trace.rejected;
    return html(
      "li",
      { class: "verdict-line", role: "alert" },
      html("b", {}, `S${id} REJECT, line ${line}, ${field}`),
      html("p", {}, "The actor gives ", html("code", {}, shortened(expected)), "; the trace has ", html("code", {}, shortened(found)), "."),
      html("p", {}, `${many(trace.records, "call")} before it were accepted.`),
    );
  }
  if (trace.verdict === "unreadable") {
    return html("li", { class: "verdict-line" }, html("b", {}, `S${id}`), ` The trace cannot be judged: ${trace.error}`);
  }
  const notes = [
    trace.undone ? `${many(trace.undone, "call")} undone by a kill` : "",
    trace.behind > 65536 ? `${bytes(trace.behind)} behind` : "",
    trace.is_full ? "the trace is full: nothing more is replayed" : "",
  ].filter((note) => note);
  return html(
    "li",
    { title: kinds },
    html("b", {}, `S${id} `),
    html("span", { class: "accept" }, "ACCEPT"),
    ` ${count(trace.records)} calls `,
    html("span", { class: "faint" }, notes.length ? notes.join("; ") : bytes(trace.bytes)),
  );
}

function shortened(text) {
  return text.length > 90 ? `${text.slice(0, 90)}…` : text;
}

function propertyOf({ name, of, judged, broken }) {
  const verdict = broken ? "violated" : judged ? "not violated" : "not judged yet";
  return html("li", { class: broken ? "bad" : "" }, html("span", {}, name), html("span", { class: "faint" }, judged ? `${verdict} in ${count(judged)} ${of}` : verdict));
}
