// Draws the strip of events, the newest first.

import { byId, fill, html } from "./dom.js";
import { clock, heading, onlyIfNew, seen } from "./base.js";

const MARKS = { leader: "★", order: "▸", silent: "?", back: "✓", reject: "✕", broken: "✕", trace: "▪" };

/** Draws the events of the latest overview. */
export function drawStrip() {
  const { strip, events, run } = seen.now;
  onlyIfNew("strip", [run, events], () => drawEvents(strip, events));
}

function drawEvents(strip, events) {
  const rows = strip.map((event) =>
    html(
      "li",
      { class: `happened ${event.kind}` },
      html("time", {}, clock(event.at)),
      html("span", { class: "sign", "aria-hidden": "true" }, MARKS[event.kind] || "·"),
      html("span", {}, event.text),
    ),
  );
  const more = events > strip.length ? html("p", { class: "faint" }, `${events - strip.length} earlier events are not kept.`) : null;
  fill(
    byId("strip"),
    heading("What happened, newest first"),
    strip.length ? null : html("p", { class: "faint" }, "Nothing yet. Kill the leader and see."),
    html("div", { class: "scroll", tabindex: "0", "aria-label": "The list of events" }, html("ol", { class: "events" }, rows), more),
  );
}
