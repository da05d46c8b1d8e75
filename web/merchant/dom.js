// Elements from names, attributes and text. Nothing here, or anywhere on these pages, reads markup from a value.
const ATTRIBUTES = new Set([
  "aria-busy", "aria-current", "aria-describedby", "aria-invalid", "aria-label", "aria-labelledby", "autocomplete",
  "checked", "class", "colspan", "datetime", "dir", "disabled", "download", "for", "hidden", "href", "id", "inputmode",
  "lang", "max", "maxlength", "min", "name", "pattern", "placeholder", "readonly", "rel", "required", "role", "scope",
  "selected", "spellcheck", "tabindex", "target", "type", "value",
]);
const SVG = "http://www.w3.org/2000/svg";

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(made, key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function set(made, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("data-") || ATTRIBUTES.has(key)) made.setAttribute(key, value === true ? "" : String(value));
  else throw new TypeError(`attribute ${key} is not used here`);
}

export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

// A link to an address that came from outside: only to the web, never to a script.
export function outside(address, label) {
  const parsed = URL.parse ? URL.parse(address) : readUrl(address);
  if (!parsed || !["https:", "http:"].includes(parsed.protocol)) return el("span", { class: "long" }, String(address));
  return el("a", { href: parsed.href, target: "_blank", rel: "noopener noreferrer", class: "long" }, label ?? String(address));
}

function readUrl(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

export function button(label, act, attributes = {}) {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

export function say(text) {
  const place = document.getElementById("announcement");
  place.textContent = "";
  // A screen reader speaks what changes: the same words again are a change only after nothing.
  setTimeout(() => { place.textContent = text; }, 50);
}
