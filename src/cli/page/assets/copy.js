// Copies the path in another form: as a link, a script, a test in Rust, a Mermaid diagram, or JSON.

import { html, toast } from "./dom.js";
import { now } from "./state.js";
import { linkOf } from "./links.js";

/** Where `raft explore` serves unless it is told otherwise. */
const EXPLORE = "http://127.0.0.1:3000/";

/** The menu with all forms that the scene has. */
export function copyMenu() {
  const { copies } = now.scene;
  const forms = [
    ["Link", now.scene.kind === "traces" ? null : linkText],
    ["Script", copies.script && (() => copies.script)],
    ["Rust test", copies.test && (() => copies.test)],
    ["Mermaid", copies.mermaid && (() => copies.mermaid)],
    ["JSON", () => JSON.stringify(now.scene, null, 1)],
  ];
  const buttons = forms.filter(([, make]) => make).map(([name, make]) => html("button", { onclick: () => copy(name, make) }, name));
  return html("details", { class: "menu" }, html("summary", {}, "Copy as …"), html("div", {}, buttons));
}

/** The link to this path at this step. A file's link opens in `raft explore`, which has the whole script. */
async function linkText() {
  const at = now.at;
  const { script } = now.scene.copies;
  if (now.live) return `${location.origin}/${await linkOf(script, at)}`;
  return script ? `${EXPLORE}${await linkOf(script, at)}` : location.href;
}

async function copy(name, make) {
  const text = await make();
  try {
    await navigator.clipboard.writeText(text);
    toast(`${name} copied: ${text.length} characters.`);
  } catch {
    byHand(text);
  }
}

/** A browser may keep the clipboard from a file. Then the text is shown for people to copy it. */
function byHand(text) {
  const area = html("textarea", { readonly: true, "aria-label": "Text to copy" });
  area.value = text;
  const dialog = html("dialog", {}, html("p", {}, "The browser does not let this page use the clipboard. Copy the text from here:"), area, html("form", { method: "dialog" }, html("button", {}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  area.select();
}
