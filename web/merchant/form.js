// Forms: each field with its label, the API's refusal beside the field that it names.
import { Problem } from "./api.js";
import { el, say } from "./dom.js";
import { t } from "./texts.js";
import { problemBox } from "./view.js";

let made = 0;

export function field(name, label, attributes = {}, hint = null) {
  made += 1;
  const id = `field-${made}`;
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes, id, name, "aria-describedby": hint ? `${id}-hint` : null });
  return el("p", { class: "field" }, el("label", { for: id }, label), input,
    hint ? el("span", { class: "quiet", id: `${id}-hint` }, hint) : null);
}

export function choice(name, label, options, selected) {
  made += 1;
  const id = `field-${made}`;
  const select = el("select", { id, name }, options.map(([value, text]) => el("option", { value, selected: value === selected }, text)));
  return el("p", { class: "field" }, el("label", { for: id }, label), select);
}

export function checks(name, legend, options) {
  return el("fieldset", {}, el("legend", {}, legend), options.map(([value, text, checked]) => el("label", { class: "check" },
    el("input", { type: "checkbox", name, value, checked: Boolean(checked) }), " ", text)));
}

// `inline`: in one line, for filters. `send(values, key)`: `key` stays the same while the form says the same and no answer came.
export function form({ label, fields, submit, read, send, inline = false }) {
  const trouble = el("div", {});
  const go = el("button", { type: "submit", class: "main" }, submit);
  const whole = el("form", { "aria-label": label, "data-inline": inline ? "" : null }, fields, el("p", {}, go), trouble);
  let last = null;

  function keyFor(values) {
    const text = JSON.stringify(values);
    if (last === null || last.text !== text) last = { text, key: crypto.randomUUID() };
    return last.key;
  }

  function complain(problem) {
    for (const input of whole.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    trouble.replaceChildren(problemBox(problem));
    const wrong = problem.field ? whole.elements.namedItem(problem.field.split(/[.[]/)[0]) : null;
    if (wrong instanceof HTMLElement) {
      wrong.setAttribute("aria-invalid", "true");
      wrong.focus();
    } else {
      go.focus();
    }
  }

  whole.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    trouble.replaceChildren();
    try {
      const values = read(new FormData(whole));
      await send(values, keyFor(values));
      last = null;
      say(t("done"));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (!problem.unknownOutcome) last = null;
      complain(problem);
    } finally {
      go.disabled = false;
    }
  });
  return whole;
}

// Fields that people left empty are not sent.
export function filled(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined));
}

export const words = (text) => String(text).split(/[\s,;]+/).filter(Boolean);
