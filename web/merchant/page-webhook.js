// Deliveries of one endpoint, each with its attempts on request, and sending it again.
import { call, get } from "./api.js";
import { button, el, say } from "./dom.js";
import { code, known, time } from "./invoice-words.js";
import { pagedTable } from "./list.js";
import { t, word } from "./texts.js";
import { action, problemBox } from "./view.js";

function attempt(made) {
  return el("li", {}, time(made.at), " ", word("outcome", made.outcome), " ",
    t("attempt_facts", { status: made.status ?? made.error ?? t("unknown"), ms: known(made.duration_ms) }),
    made.answer ? el("pre", { class: "long" }, made.answer) : null);
}

function attempts(delivery) {
  const found = el("div", { role: "status" });
  const open = button(t("attempts"), async () => {
    found.replaceChildren(el("p", { class: "quiet" }, t("loading")));
    try {
      const whole = await get(`webhook-deliveries/${encodeURIComponent(delivery.id)}`);
      found.replaceChildren(whole.attempts.length === 0 ? el("p", { class: "quiet" }, t("no_attempts")) : el("ol", {}, whole.attempts.map(attempt)));
    } catch (problem) {
      found.replaceChildren(problemBox(problem));
    }
  });
  return el("div", {}, open, found);
}

const columns = (again) => [
  { title: t("event"), cell: (delivery) => [el("span", {}, delivery.event_type), el("br"), code(delivery.event_id)] },
  { title: t("state"), cell: (delivery) => [word("delivery", delivery.state), delivery.next_attempt_at ? el("br") : null, delivery.next_attempt_at ? time(delivery.next_attempt_at) : null] },
  { title: t("last_answer"), cell: (delivery) => known(delivery.last_status ?? delivery.last_error) },
  { title: t("made"), cell: (delivery) => time(delivery.created_at) },
  { title: t("attempts"), cell: attempts },
  { title: t("action"), cell: (delivery) => action(t("redeliver"), async (idempotencyKey) => {
    await call("POST", `webhook-deliveries/${encodeURIComponent(delivery.id)}/redeliver`, { idempotencyKey });
    say(t("redelivery_asked"));
    again();
  }) },
];

export function render(id) {
  if (!id) return [el("p", {}, t("choose_endpoint"))];
  const place = el("div", { id: "list" });
  const again = () => place.replaceChildren(pagedTable({
    caption: t("deliveries_caption"), path: `webhook-endpoints/${encodeURIComponent(id)}/deliveries`, columns: columns(again), empty: t("no_deliveries"),
  }));
  again();
  return [el("section", { "aria-label": t("deliveries") }, button(t("reload"), again), place)];
}
