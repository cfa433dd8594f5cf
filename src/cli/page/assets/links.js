// Keeps the scenario in the fragment of the page's address, so a link holds all of it.
//
// In a file the fragment has the step. On a live page it has the whole script as well: plain if it is short,
// or else deflated.

/** The longest script that stands plainly in a link. */
const PLAIN = 600;

/** What the fragment of this page says: a script, if any, and a step, if any. */
export async function readLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const step = fields.has("step") ? Number(fields.get("step")) : null;
  if (fields.has("z")) return { script: await inflate(fields.get("z")), step };
  return { script: fields.get("script"), step };
}

/** The fragment for a script and a step. */
export async function linkOf(script, step) {
  const fields = new URLSearchParams();
  if (script !== null) {
    if (script.length > PLAIN && "CompressionStream" in window) fields.set("z", await deflate(script));
    else fields.set("script", script);
  }
  if (step !== null) fields.set("step", step);
  return `#${fields}`;
}

async function through(stream, bytes) {
  const source = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(source).arrayBuffer());
}

async function deflate(text) {
  const bytes = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(text));
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function inflate(text) {
  const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes));
}
