// Draws the verdicts: whether the checked actor does what each server did, and the properties of what was seen.
//
// No property "holds" here. The page says in how many calls or states it was judged and not violated. The parts of
// the panel stay and only their texts change, so that a click or a scroll meets what it aims at.

import { byId, fill, html } from "./dom.js";
import { bytes, count, dye, heading, many, onlyIfNew, seen, write } from "./base.js";

const judged = { replays: null, sum: null, counts: null, note: null, rows: new Map() };

/** Draws the verdicts of the latest overview. */
export function drawVerdicts() {
  if (!judged.replays) buildJudged();
  const { servers, properties, trace_limit: limit } = seen.now;
  onlyIfNew("replays", servers.map(({ id, trace }) => ({ id, trace })), () => fill(judged.replays, servers.map(replayOf)));
  onlyIfNew("sum", properties, () => drawSum(properties));
  for (const property of properties) drawProperty(property);
  write(judged.note, `The actor that was model checked does every handler call again. Each trace ends at ${limit} MiB.`);
}

function buildJudged() {
  judged.replays = html("ul", { class: "replays" });
  judged.sum = html("div", {});
  judged.counts = html("ul", { class: "counts", tabindex: "0", "aria-label": "Properties with their counts" });
  judged.note = html("p", { class: "faint small" });
  fill(
    byId("judged"),
    heading("Replayed as it happens"),
    judged.replays,
    judged.sum,
    html("details", {}, html("summary", {}, "Every property, with its count"), judged.counts),
    judged.note,
  );
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

function drawSum(properties) {
  const broken = properties.filter((property) => property.broken);
  const most = properties.reduce((most, property) => Math.max(most, property.judged), 0);
  const violations = broken.map(({ name, broken: where }) => html("p", {}, html("b", {}, `${name} is violated`), `: line ${where.line} of the trace of S${where.server}.`));
  fill(
    judged.sum,
    broken.length
      ? html("div", { class: "verdict-line", role: "alert" }, violations)
      : html("p", { class: "sum" }, html("b", {}, `${properties.length} properties, none violated`), ` in ${many(most, "state")} that the servers were seen in.`),
  );
}

function drawProperty({ name, of, judged: times, broken }) {
  if (!judged.rows.has(name)) {
    const count = html("span", { class: "faint" });
    const node = html("li", {}, html("span", {}, name), count);
    judged.counts.append(node);
    judged.rows.set(name, { node, count });
  }
  const row = judged.rows.get(name);
  const verdict = broken ? "violated" : "not violated";
  write(row.count, times ? `${verdict} in ${count(times)} ${of}` : "not judged yet");
  dye(row.node, broken ? "bad" : "");
}
