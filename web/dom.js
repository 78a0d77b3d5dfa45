// Making elements. Text becomes text nodes only, whatever is in it.

const SVG = "http://www.w3.org/2000/svg";

/** Gives an element attributes (true: present, false or null: absent), listeners (onclick: f) and children. */
function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child != null && child !== false));
  return node;
}

/** An HTML element. */
export function el(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

/** Sets the text of a node, without touching it when nothing changes. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A labelled input with a place for its error. */
export function field({id, label, hint, ...attributes}) {
  const input = el("input", {id, name: id, autocomplete: "off", ...attributes});
  const error = el("p", {class: "error", id: `${id}-error`, hidden: true});
  const node = el("div", {class: "field"}, el("label", {for: id}, label, hint && el("span", {class: "hint"}, ` ${hint}`)),
    input, error);
  return {node, input, error, label};
}

/** Shows an error at its field; "" takes it away. */
export function setError({input, error}, text) {
  error.hidden = !text;
  setText(error, text);
  if (text) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", error.id);
  } else {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}
