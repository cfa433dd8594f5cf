// Makes elements of HTML and SVG. Text is always set as text, so no data can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Sets attributes of an element: `on…` is a listener, and false or null leaves an attribute out. */
function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** An element of HTML. */
export function html(tag, attributes, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

const ICONS = {
  first: "M4 3v10M13 3 6 8l7 5z",
  back: "M11 3 4 8l7 5z",
  play: "M4 2.5 13 8l-9 5.5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  next: "M5 3l7 5-7 5z",
  last: "M12 3v10M3 3l7 5-7 5z",
  clock: "M8 2a6 6 0 1 0 .01 0M8 4.5V8h2.5",
  restart: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
};

/** A small picture beside or in place of a word. It says nothing to a screen reader. */
export function icon(name) {
  const isLine = name === "clock" || name === "restart";
  return svg("svg", { class: isLine ? "icon line" : "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

/** The element with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Replaces what an element contains. */
export function fill(node, ...children) {
  node.replaceChildren();
  dress(node, {}, children);
}

/** Text whose parts between backticks are code. */
export function prose(text) {
  return text.split("`").map((part, n) => (n % 2 ? html("code", {}, part) : part));
}

/** Says something for a moment. */
export function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(node.timer);
  node.timer = setTimeout(() => node.classList.remove("shown"), 3500);
}
