// Draws the strip of events, the newest first.

import { byId, fill, html } from "./dom.js";
import { clock, heading, onlyIfNew, seen } from "./base.js";

const MARKS = { leader: "★", order: "▸", silent: "?", back: "✓", reject: "✕", broken: "✕", trace: "▪" };

/** The list. It stays, so that a reader who has scrolled stays where he is. */
let happened = null;

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
  if (!happened) {
    happened = html("div", { class: "scroll", tabindex: "0", "aria-label": "The list of events" });
    fill(byId("strip"), heading("What happened, newest first"), happened);
  }
  const more = events > strip.length ? html("p", { class: "faint" }, `${events - strip.length} earlier events are not kept.`) : null;
  const none = html("p", { class: "faint" }, "Nothing yet. Kill the leader and see.");
  fill(happened, strip.length ? html("ol", { class: "events" }, rows) : none, more);
}
