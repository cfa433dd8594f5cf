// Draws the servers in a ring, with a line for each direction of each link, and the messages that pass.
//
// A click on a line cuts that direction, or makes it whole again. The messages come from the replayed traces, so
// they are what the servers sent and received. A message that a cut has dropped ends half-way.

import { byId, fill, html, svg } from "./dom.js";
import { SIGNS, drawAnew, heading, isCut, order, seen, stateOf, write } from "./base.js";

const RING_SIZE = 340;
const RING_MIDDLE = RING_SIZE / 2;
/** How long a message takes across the picture, in milliseconds. */
const FLIGHT = 420;
const MOST_FLIGHTS = 90;
const MOST_OF_A_LINK = 3;

const ring = { servers: [], nodes: new Map(), links: new Map(), flights: null, moving: [] };
const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Draws the ring of the latest overview. */
export function drawRing() {
  const ids = seen.now.servers.map((server) => server.id);
  if (ids.join() !== ring.servers.join()) buildRing(ids);
  for (const server of seen.now.servers) drawNode(server);
  for (const link of ring.links.values()) drawLink(link);
  if (!isCalm.matches && !document.hidden) launchFlights();
}

function placeOf(n, total) {
  if (total === 1) return { x: RING_MIDDLE, y: RING_MIDDLE };
  const angle = -Math.PI / 2 + (2 * Math.PI * n) / total;
  const far = RING_MIDDLE - radiusOf(total) - 16;
  return { x: RING_MIDDLE + far * Math.cos(angle), y: RING_MIDDLE + far * Math.sin(angle) };
}

/** The part of the picture in which the servers are. */
function boxOf(places, total) {
  const margin = radiusOf(total) + 10;
  const [left, right] = [Math.min, Math.max].map((most) => most(...places.map(({ x }) => x)));
  const [top, bottom] = [Math.min, Math.max].map((most) => most(...places.map(({ y }) => y)));
  return [left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin].map(Math.round).join(" ");
}

function radiusOf(total) {
  return total <= 5 ? 37 : total <= 9 ? 26 : 13;
}

function buildRing(ids) {
  ring.servers = ids;
  ring.nodes.clear();
  ring.links.clear();
  ring.moving = [];
  const total = ids.length;
  const places = new Map(ids.map((id, n) => [id, placeOf(n, total)]));
  const links = [];
  for (const from of ids) {
    for (const to of ids) if (from !== to) links.push(buildLink(from, to, places, total));
  }
  const nodes = ids.map((id) => buildNode(id, places.get(id), total));
  ring.flights = svg("g", { class: "flights", "aria-hidden": "true" });
  fill(
    byId("ring"),
    heading("Servers and links"),
    svg(
      "svg",
      { viewBox: boxOf([...places.values()], total), role: "group", "aria-label": "The ring of servers. Each line is a direction of a link." },
      svg("g", {}, links),
      ring.flights,
      svg("g", {}, nodes),
    ),
    html(
      "p",
      { class: "legend" },
      html("span", {}, html("i", { class: "dot entries" }), "entries"),
      html("span", {}, html("i", { class: "dot heartbeat" }), "heartbeat"),
      html("span", {}, html("i", { class: "dot vote" }), "election"),
      html("span", {}, html("i", { class: "dot piece" }), "snapshot"),
    ),
    html(
      "p",
      { class: "foot" },
      html("span", { class: "faint small" }, "A click on a line cuts that direction, or heals it."),
      html("button", { id: "heal", onclick: () => order("heal") }, "Heal all"),
    ),
  );
}

/** A link runs from rim to rim and bends to its right, so that two directions do not cover each other. */
function buildLink(from, to, places, total) {
  const [a, b] = [places.get(from), places.get(to)];
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  const [dx, dy] = [(b.x - a.x) / length, (b.y - a.y) / length];
  const side = total <= 5 ? 9 : 4;
  const rim = radiusOf(total) + 4;
  const shifted = (p, along) => ({ x: p.x + dx * along - dy * side, y: p.y + dy * along + dx * side });
  const [start, end] = [shifted(a, rim), shifted(b, -rim - 3)];
  const bend = Math.min(16, length / 9);
  const control = { x: (start.x + end.x) / 2 - dy * bend, y: (start.y + end.y) / 2 + dx * bend };
  const d = `M${start.x.toFixed(1)} ${start.y.toFixed(1)} Q${control.x.toFixed(1)} ${control.y.toFixed(1)} ${end.x.toFixed(1)} ${end.y.toFixed(1)}`;
  const link = { from, to, start, control, end, isCut: null };
  const half = pointOf(link, 0.5);
  const tip = tipOf(link, total <= 5 ? 7 : 4);
  const sign = { x: half.x, y: half.y };
  link.mark = svg("path", { class: "cross", d: `M${sign.x - 5} ${sign.y - 5}l10 10M${sign.x + 5} ${sign.y - 5}l-10 10` });
  link.title = svg("title", {});
  link.node = svg(
    "g",
    {
      class: "link",
      role: "button",
      tabindex: "0",
      onclick: () => toggleLink(link),
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggleLink(link);
      },
    },
    link.title,
    svg("path", { class: "hit", d }),
    svg("path", { class: "line", d }),
    svg("path", { class: "tip", d: tip }),
    link.mark,
  );
  ring.links.set(`${from} ${to}`, link);
  return link.node;
}

function pointOf({ start, control, end }, part) {
  const rest = 1 - part;
  const mix = (a, b, c) => rest * rest * a + 2 * rest * part * b + part * part * c;
  return { x: mix(start.x, control.x, end.x), y: mix(start.y, control.y, end.y) };
}

function tipOf({ control, end }, size) {
  const length = Math.hypot(end.x - control.x, end.y - control.y);
  const [dx, dy] = [(end.x - control.x) / length, (end.y - control.y) / length];
  const corner = (side) => `${(end.x - dx * size - dy * side).toFixed(1)} ${(end.y - dy * size + dx * side).toFixed(1)}`;
  return `M${end.x.toFixed(1)} ${end.y.toFixed(1)}L${corner(size / 2)}L${corner(-size / 2)}Z`;
}

function toggleLink(link) {
  if (seen.isGone) return;
  const links = `${link.from} > ${link.to}`;
  order(isCut(seen.now, link.from, link.to) ? `heal ${links}` : `cut ${links}`);
}

function drawLink(link) {
  const cut = isCut(seen.now, link.from, link.to);
  if (cut === link.isCut) return;
  link.isCut = cut;
  link.node.setAttribute("class", cut ? "link cut" : "link");
  const now = cut ? "is cut; click to heal it" : "is whole; click to cut it";
  const words = `The direction from server ${link.from} to server ${link.to} ${now}`;
  link.node.setAttribute("aria-label", words);
  link.node.setAttribute("aria-pressed", cut ? "true" : "false");
  write(link.title, words);
}

function buildNode(id, { x, y }, total) {
  const size = radiusOf(total);
  const isLarge = total <= 9;
  const text = (dy, name) => svg("text", { class: name, x, y: y + dy, "text-anchor": "middle" });
  const parts = {
    halo: svg("circle", { class: "halo", cx: x, cy: y, r: size + 6 }),
    disc: svg("circle", { class: "disc", cx: x, cy: y, r: size }),
    sign: text(isLarge ? -size * 0.35 : -1, "sign"),
    name: text(isLarge ? size * 0.22 : 10, "name"),
    term: text(size * 0.66, "term-word"),
  };
  parts.name.textContent = `S${id}`;
  parts.node = svg("g", { class: "server", role: "img" }, parts.halo, parts.disc, parts.sign, parts.name, isLarge ? parts.term : null);
  ring.nodes.set(id, parts);
  return parts.node;
}

function drawNode(server) {
  const parts = ring.nodes.get(server.id);
  const state = stateOf(server);
  const name = `server ${state}`;
  if (parts.node.getAttribute("class") !== name) parts.node.setAttribute("class", name);
  write(parts.sign, SIGNS[state] || "?");
  const term = server.status ? server.status.term : 0;
  write(parts.term, term ? `term ${term}` : "");
  const words = `Server ${server.id}: ${state}${term ? `, term ${term}` : ""}`;
  if (parts.node.getAttribute("aria-label") !== words) parts.node.setAttribute("aria-label", words);
}

/** How a kind of message is drawn. */
const FLIGHT_KINDS = {
  entries: "entries",
  snapshot: "piece",
  candidacy: "vote",
  vote: "vote",
  handover: "vote",
  heartbeat: "heartbeat",
  answer: "heartbeat",
};

/** Lets the messages fly that were counted since the overview before. */
function launchFlights() {
  if (!seen.before) return;
  launch(grownSince(seen.before.arrived, seen.now.arrived), false);
  const lost = grownSince(seen.before.sent, seen.now.sent);
  launch(lost.filter(([from, to]) => isCut(seen.now, from, to)), true);
}

function grownSince(before, now) {
  const old = new Map(before.map(([from, to, kind, number]) => [`${from} ${to} ${kind}`, number]));
  const grown = now.map(([from, to, kind, number]) => [from, to, kind, number - (old.get(`${from} ${to} ${kind}`) || 0)]);
  return grown.filter(([, , , number]) => number > 0);
}

function launch(messages, isLost) {
  const start = performance.now();
  for (const [from, to, kind, number] of messages) {
    const link = ring.links.get(`${from} ${to}`);
    const shown = Math.min(number, MOST_OF_A_LINK);
    for (let n = 0; link && n < shown && ring.moving.length < MOST_FLIGHTS; n += 1) {
      const size = kind === "snapshot" ? 5.5 : kind === "heartbeat" || kind === "answer" ? 2.4 : 4.2;
      const dot = svg("circle", { class: `flight ${FLIGHT_KINDS[kind]}`, r: size, visibility: "hidden" });
      ring.flights.append(dot);
      // The messages of one link spread over the time to the next overview.
      ring.moving.push({ dot, link, isLost, since: start + (200 * n) / shown });
    }
  }
  if (messages.length) requestAnimationFrame(moveFlights);
}

function moveFlights(time) {
  ring.moving = ring.moving.filter(({ dot, link, isLost, since }) => {
    const part = (time - since) / FLIGHT;
    if (part > (isLost ? 0.5 : 1)) {
      dot.remove();
      return false;
    }
    if (part >= 0) {
      const { x, y } = pointOf(link, part);
      dot.setAttribute("cx", x.toFixed(1));
      dot.setAttribute("cy", y.toFixed(1));
      dot.setAttribute("visibility", "visible");
    }
    return true;
  });
  cancelAnimationFrame(ring.next);
  if (ring.moving.length) ring.next = requestAnimationFrame(moveFlights);
}

/** Forgets the ring, so that it is built again. */
export function forgetRing() {
  ring.servers = [];
  drawAnew();
}
