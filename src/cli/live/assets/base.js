// What all panels share: the latest overview, how to ask the cluster for something, and how to write numbers.

import { html, toast } from "./dom.js";

/** The latest overview and the one before it. The page has none before the cluster answers. */
export const seen = { now: null, before: null, isGone: true };

/** Sends an order in the words of the prompt, and says what came of it. */
export async function order(text) {
  const answer = await post("/order", { order: text });
  toast(answer.text);
  return answer.isDone;
}

/** Sends JSON to the cluster; the answer is a sentence either way. */
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const data = await answer.json();
    return { isDone: answer.ok, text: answer.ok ? data.told : data.error };
  } catch {
    return { isDone: false, text: "The cluster does not answer: it is gone, or it is stopping." };
  }
}

/** Sets the text of an element, if it is another one. So the cursor of a reader does not jump. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets a class name, if it is another one. */
export function dye(node, name) {
  if (node.getAttribute("class") !== name) node.setAttribute("class", name);
}

/** Calls `draw` only when `data` differs from the last call under this key. */
const drawn = new Map();
export function onlyIfNew(key, data, draw) {
  const text = JSON.stringify(data);
  if (drawn.get(key) === text) return;
  drawn.set(key, text);
  draw();
}

/** Forgets what was drawn, so that everything is drawn again. */
export function drawAnew() {
  drawn.clear();
}

/** A number with spaces between thousands. */
export function count(number) {
  return `${number}`.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** A noun with its number. */
export function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A time in microseconds, for people. */
export function duration(micros) {
  if (micros === null || micros === undefined) return "–";
  if (micros < 1000) return `${micros} µs`;
  if (micros < 10000) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 1000000) return `${Math.round(micros / 1000)} ms`;
  return `${(micros / 1000000).toFixed(1)} s`;
}

/** Bytes, for people. */
export function bytes(number) {
  if (number < 1024) return `${number} B`;
  if (number < 1048576) return `${Math.round(number / 1024)} KiB`;
  return `${(number / 1048576).toFixed(1)} MiB`;
}

/** A moment since the start of the page's server, as minutes and seconds. */
export function clock(millis) {
  const seconds = Math.floor(millis / 1000);
  const pad = (number) => `${number}`.padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** The colour class of a term. */
export function termClass(term) {
  return term === 0 ? "term-0" : `term-${((term - 1) % 7) + 1}`;
}

/** The signs of roles and of processes that do not run. No meaning rests on colour alone. */
export const SIGNS = {
  leader: "★",
  candidate: "◐",
  "pre-candidate": "◔",
  follower: "○",
  halted: "■",
  paused: "‖",
  killed: "✕",
  ended: "✕",
  silent: "?",
};

/** The state of a server in one word: its role, or why it has none. */
export function stateOf(server) {
  if (server.process !== "runs") return server.process;
  if (!server.status || server.answered_ago > 1500) return "silent";
  return server.status.role;
}

/** Whether datagrams from one server to another are dropped. */
export function isCut(overview, from, to) {
  return overview.cuts.some(([sender, receiver]) => sender === from && receiver === to);
}

/** A heading of a panel. */
export function heading(text) {
  return html("h2", {}, text);
}
