// Starts the page: it listens to the cluster, draws each overview, and waits where the cluster is gone.

import { byId } from "./dom.js";
import { drawAnew, dye, many, seen, stateOf, write } from "./base.js";
import { drawCards, forgetCards } from "./cards.js";
import { drawDesk, restDesk } from "./desk.js";
import { drawPlots } from "./plots.js";
import { drawRing, forgetRing } from "./ring.js";
import { drawStrip } from "./events.js";
import { drawTails } from "./tails.js";
import { drawVerdicts } from "./verdicts.js";

/** After so many milliseconds without an overview, the cluster counts as gone. */
const PATIENCE = 3000;
let timer = null;

function showOverview(overview) {
  if (seen.now && seen.now.run !== overview.run) {
    forgetRing();
    forgetCards();
    drawAnew();
    seen.now = null;
  }
  seen.before = seen.now;
  seen.now = overview;
  setGone(false);
  drawHead(overview);
  for (const panel of [drawRing, drawCards, drawTails, drawPlots, drawStrip, drawVerdicts, drawDesk]) panel();
}

function drawHead({ cluster, servers }) {
  const leaders = servers.filter((server) => stateOf(server) === "leader");
  leaders.sort((a, b) => b.status.term - a.status.term);
  const [leader] = leaders;
  const lead = leader ? `S${leader.id} leads term ${leader.status.term}` : "no leader";
  const away = servers.filter((server) => stateOf(server) !== (server.status && server.status.role)).length;
  const rest = away ? `, ${away} of them away` : "";
  write(byId("cluster-name"), `Cluster ${cluster}`);
  write(byId("summary"), `${many(servers.length, "server")}${rest} · ${lead}`);
  const title = `${lead} · ${cluster}`;
  if (document.title !== title) document.title = title;
}

/** Shows whether the cluster is there. */
function setGone(isGone, sentence) {
  clearTimeout(timer);
  timer = setTimeout(() => setGone(true), PATIENCE);
  const words = isGone ? sentence || "The cluster is gone. This page waits for it." : "live";
  write(byId("connection"), words);
  dye(byId("connection"), isGone ? "gone" : "here");
  if (seen.isGone === isGone) return;
  seen.isGone = isGone;
  document.body.classList.toggle("is-gone", isGone);
  for (const control of document.querySelectorAll("#cards button, #heal")) control.disabled = isGone;
  restDesk(isGone);
}

function listen() {
  const source = new EventSource("/events");
  source.onmessage = (event) => showOverview(JSON.parse(event.data));
  source.onerror = () => {
    // The browser comes back by itself, unless the server has refused the stream.
    if (source.readyState !== EventSource.CLOSED) return setGone(true);
    setGone(true, "The cluster refuses one page more: close another page that watches it. This page tries again.");
    setTimeout(listen, 3000);
  };
}

setGone(true, "The page waits for the cluster.");
listen();
