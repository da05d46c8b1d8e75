// Parts of a page that are loading, there, or failed; each says what to do.
import { button, el, say } from "./dom.js";
import { t } from "./texts.js";

export function problemBox(problem, again) {
  const box = el("div", { class: "note", "data-tone": "bad", role: "alert" }, el("p", { class: "strong" }, problem.title ?? t("problem_title")), el("p", {}, problem.message));
  if (problem.scopeNeeded) box.append(el("p", {}, t("scope_needed", { scope: problem.scopeNeeded })));
  if (problem.traceId) box.append(el("p", { class: "quiet" }, t("trace"), " ", el("code", { class: "long" }, problem.traceId)));
  if (again) box.append(button(t("again"), again));
  return box;
}

// A section with its own loading and failure: the others of the page stay.
export function part(heading, load) {
  const title = el("h2", {}, heading);
  const body = el("div", { "aria-busy": "true" });
  const section = el("section", {}, title, body);
  async function run() {
    body.setAttribute("aria-busy", "true");
    body.replaceChildren(el("p", { class: "quiet", role: "status" }, t("loading")));
    try {
      body.replaceChildren(...[await load()].flat());
    } catch (problem) {
      body.replaceChildren(problemBox(problem, run));
    } finally {
      body.setAttribute("aria-busy", "false");
    }
  }
  section.again = run;
  section.ready = run();
  return section;
}

// One action behind a button: disabled while it runs, its failure shown beside it. `act(key)` gets the
// same idempotency key again as long as nobody knows whether the first press did it.
export function action(label, act, { confirm, attributes } = {}) {
  const failure = el("div", {});
  let asked = false;
  let key = null;
  const made = button(label, async () => {
    if (confirm && !asked) {
      asked = true;
      made.textContent = confirm;
      say(confirm);
      return;
    }
    made.disabled = true;
    failure.replaceChildren();
    key ??= crypto.randomUUID();
    try {
      await act(key);
      key = null;
    } catch (problem) {
      if (!problem.unknownOutcome) key = null;
      failure.replaceChildren(problemBox(problem));
    } finally {
      asked = false;
      made.textContent = label;
      made.disabled = false;
    }
  }, attributes);
  made.addEventListener("blur", () => {
    if (asked && !made.disabled) {
      asked = false;
      made.textContent = label;
    }
  });
  return el("div", { class: "action" }, made, failure);
}

export function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// A secret that is shown once. Copying is offered; nothing keeps it.
export function secretOnce(label, secret) {
  const field = el("input", { type: "text", readonly: true, id: "secret", value: secret, spellcheck: "false", autocomplete: "off", "aria-describedby": "secret-once" });
  const copy = button(t("copy"), async () => {
    try {
      await navigator.clipboard.writeText(secret);
      say(t("copied"));
      copy.textContent = t("copied");
    } catch {
      field.select();
    }
  });
  const box = el("div", { class: "secret", role: "group", "aria-label": label },
    el("label", { for: "secret" }, label), field, copy, el("p", { id: "secret-once", class: "strong" }, t("shown_once")));
  return box;
}
