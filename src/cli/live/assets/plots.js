// Draws throughput and latency, second by second, with a line for each kill, cut and new leader.

import { byId, fill, html, svg } from "./dom.js";
import { count, duration, heading, onlyIfNew, seen } from "./base.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [440, 118, 40, 16];
const SECONDS = 120;

/** Draws the plots of the latest overview. */
export function drawPlots() {
  const { seconds, strip, at } = seen.now;
  const end = Math.floor(at / 1000);
  const events = strip.filter((it) => ["leader", "order"].includes(it.kind)).map(({ at: then, kind, text }) => ({ second: then / 1000, kind, text }));
  onlyIfNew("plots", { seconds, events }, () => drawPair(seconds, events, end));
}

function drawPair(seconds, events, end) {
  const latest = seconds[seconds.length - 1];
  const value = (number, unit) => (number === null || number === undefined ? "–" : `${count(number)}${unit}`);
  const throughput = plotOf({
    name: "Throughput",
    seconds,
    events,
    end,
    lines: [
      { name: "committed", field: "committed", kind: "solid", now: latest && value(latest.committed, " /s") },
      { name: "answered", field: "done", kind: "dashed", now: latest && value(latest.done, " /s") },
    ],
    text: (number) => count(Math.round(number)),
    least: 5,
  });
  const latency = plotOf({
    name: "Latency",
    seconds,
    events,
    end,
    lines: [
      { name: "half within", field: "p50", kind: "solid", now: latest && duration(latest.p50) },
      { name: "99 % within", field: "p99", kind: "dashed", now: latest && duration(latest.p99) },
    ],
    text: (number) => duration(Math.round(number)),
    least: 2000,
  });
  fill(byId("plots"), heading("Two minutes of commits, and of this page’s commands"), html("div", { class: "pair" }, throughput, latency));
}

function plotOf({ name, seconds, events, end, lines, text, least }) {
  const top = niceTop(Math.max(least, ...seconds.flatMap((second) => lines.map(({ field }) => second[field] || 0))));
  const x = (second) => LEFT + ((second - end + SECONDS) / SECONDS) * (WIDTH - LEFT - 4);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - 8);
  const grid = [0, 0.5, 1].map((part) => [
    svg("line", { class: "grid-line", x1: LEFT, x2: WIDTH - 4, y1: y(part * top), y2: y(part * top) }),
    svg("text", { x: LEFT - 5, y: y(part * top) + 4, "text-anchor": "end" }, text(part * top)),
  ]);
  const times = [-120, -90, -60, -30, 0].map((second) =>
    svg("text", { x: x(end + second), y: HEIGHT - 3, "text-anchor": second === 0 ? "end" : second === -120 ? "start" : "middle" }, second === 0 ? "now" : `${second} s`),
  );
  const marks = events
    .filter(({ second }) => second > end - SECONDS)
    .map(({ second, kind, text: words }) => svg("g", {}, svg("title", {}, words), svg("line", { class: `event ${kind}`, x1: x(second), x2: x(second), y1: 6, y2: HEIGHT - BOTTOM })));
  const failures = seconds
    .filter((second) => second.failed)
    .map((second) => svg("g", {}, svg("title", {}, `${second.failed} commands failed`), svg("path", { class: "failure", d: `M${x(second.second + 0.5) - 3} ${HEIGHT - BOTTOM - 7}l6 6m0 -6l-6 6` })));
  const curves = lines.map(({ field, kind }) => svg("path", { class: `curve ${kind}`, d: curveOf(seconds, field, x, y) }));
  const words = lines.map((line) => `${line.name}: ${line.now || "–"}`).join(", ");
  return html(
    "figure",
    {},
    html(
      "figcaption",
      {},
      html("b", {}, name),
      lines.map((line) => html("span", { class: `key ${line.kind}` }, `${line.name} `, html("b", {}, line.now || "–"))),
    ),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name}. ${words}` }, grid, times, marks, curves, failures),
  );
}

/** A line through the seconds that have a value; a second without one is a gap. */
function curveOf(seconds, field, x, y) {
  let isOn = false;
  return seconds
    .map((second, n) => {
      const value = second[field];
      if (value === null) {
        isOn = false;
        return "";
      }
      const point = `${x(second.second + 0.5).toFixed(1)} ${y(value).toFixed(1)}`;
      const isAlone = !isOn && (n + 1 >= seconds.length || seconds[n + 1][field] === null);
      const part = `${isOn ? "L" : "M"}${point}${isAlone ? "h.1" : ""}`;
      isOn = true;
      return part;
    })
    .join("");
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}
