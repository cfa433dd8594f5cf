// Holds the scene and the place in it, and tells the panels when either changes.
//
// `docs/page.md` describes a scene. A frame has the states that its step changed; `stateAt` gives the state
// of any process at any frame.

/** The scene that is shown, the number of the current frame, and whether a server answers questions. */
export const now = { scene: null, at: 0, live: false };

let states = [];
let causes = [];
const listeners = [];

/** Calls a function after each change of the scene or of the place. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Shows another scene, at a frame of it. */
export function show(scene, at) {
  now.scene = scene;
  states = [];
  for (const frame of scene.frames) {
    const before = states.length ? states[states.length - 1] : [];
    const after = before.slice();
    for (const [process, state] of Object.entries(frame.states)) after[process] = state;
    states.push(after);
  }
  causes = directCauses(scene);
  go(at, true);
}

/** Goes to a frame. */
export function go(at, always) {
  const last = now.scene.frames.length - 1;
  const to = Math.max(0, Math.min(last, at));
  if (to === now.at && !always) return;
  now.at = to;
  for (const listener of listeners) listener();
}

/** Tells all panels again, because a frame has learnt something. */
export function refresh() {
  go(now.at, true);
}

/** The current frame. */
export function frame() {
  return now.scene.frames[now.at];
}

/** The state of a process at a frame. */
export function stateAt(at, process) {
  return at < 0 ? undefined : states[at][process];
}

/** The number of the process to which an event happens. */
export function actorOf(frame) {
  return frame.event ? frame.event.actor : null;
}

/** The frame in whose past nothing was done: steps of the path begin after it. */
export function firstStep() {
  return now.scene.frames.findIndex((frame) => frame.kind === "step" || frame.kind === "note");
}

function directCauses(scene) {
  const last = {};
  return scene.frames.map((frame, n) => {
    const found = [];
    const actor = actorOf(frame);
    if (actor !== null && actor in last) found.push(last[actor]);
    if (frame.event && typeof frame.event.sent === "number") found.push(frame.event.sent);
    for (const lost of frame.lost) if (typeof lost.sent === "number") found.push(lost.sent);
    if (actor !== null) last[actor] = n;
    return found;
  });
}

/** The frames on which a frame rests: what its process did before, what sent its message, and so on. */
export function pastOf(at) {
  const found = new Set();
  const open = [at];
  while (open.length) {
    for (const cause of causes[open.pop()]) {
      if (!found.has(cause)) {
        found.add(cause);
        open.push(cause);
      }
    }
  }
  return found;
}

/** The fields of a process that differ between two states, with the words for both. */
export function differences(before, after) {
  if (!before || !after || before.kind !== after.kind) return [];
  const found = [];
  const compare = (field, name, old, next) => {
    if (old !== next) found.push({ field, name, old, next });
  };
  if (after.kind === "client") {
    compare("asks", "asks", before.asks || "nobody", after.asks || "nobody");
    compare("request", "request", before.request || "none", after.request || "none");
    compare("outcomes", "has learnt", before.outcomes.join(", "), after.outcomes.join(", "));
    compare("timers", "timers", before.timers.join(" "), after.timers.join(" "));
    return found;
  }
  compare("role", "role", before.role, after.role);
  compare("term", "term", `t${before.term}`, `t${after.term}`);
  compare("vote", "vote", before.vote || "none", after.vote || "none");
  compare("leader", "follows", before.leader || "nobody", after.leader || "nobody");
  compare("votes", "has votes of", before.votes.join(" ") || "nobody", after.votes.join(" ") || "nobody");
  compare("log", "log", logWords(before.log), logWords(after.log));
  compare("commit", "commit", `${before.commit}`, `${after.commit}`);
  compare("applied", "applied", `${before.applied}`, `${after.applied}`);
  compare("followers", "next/match", followerWords(before), followerWords(after));
  compare("machine", "state machine", before.machine, after.machine);
  compare("timers", "timers", before.timers.join(" ") || "none", after.timers.join(" ") || "none");
  const [old, next] = [before.saved || {}, after.saved || {}];
  const none = (value) => (value === undefined ? "nothing" : value === null ? "none" : `${value}`);
  compare("saved.term", "term on disk", none(old.term), none(next.term));
  compare("saved.vote", "vote on disk", none(old.vote), none(next.vote));
  compare("saved.last", "log on disk", none(old.last), none(next.last));
  compare("saved.snapshot", "snapshot on disk", none(old.snapshot), none(next.snapshot));
  return found;
}

function logWords(log) {
  const terms = log.entries.map((entry) => `t${entry.term}`).join(" ");
  return terms || (log.last ? `up to ${log.last}` : "empty");
}

function followerWords(state) {
  return state.followers.map((it) => `${it.name} ${it.next}/${it.match}`).join(", ") || "none";
}

/** The differences that the current frame makes to a process. */
export function changesHere(process) {
  return process in frame().states
    ? differences(stateAt(now.at - 1, process), stateAt(now.at, process))
    : [];
}

/** The bounds of the model that the path has left by the current frame, with the frame that left each. */
export function leftBounds() {
  for (let n = 0; n <= now.at; n += 1) {
    const { beyond } = now.scene.frames[n];
    if (beyond.length) return { bound: beyond[0], at: n };
  }
  return null;
}

/** The colour class of a term. */
export function termClass(term) {
  return term === 0 ? "term-0" : `term-${((term - 1) % 7) + 1}`;
}
