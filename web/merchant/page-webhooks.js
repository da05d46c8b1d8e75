// Webhook endpoints: where events go, and whether they are taken.
import { call, get } from "./api.js";
import { el, say } from "./dom.js";
import { field, form, words } from "./form.js";
import { time, within } from "./invoice-words.js";
import { t, word } from "./texts.js";
import { action, facts, part, secretOnce } from "./view.js";

const place = (endpoint) => `webhook-endpoints/${encodeURIComponent(endpoint.id)}`;

function state(endpoint) {
  if (endpoint.enabled) return t("enabled");
  return endpoint.disabled_reason ? `${t("disabled")}: ${word("disabled", endpoint.disabled_reason)}` : t("disabled");
}

function card(endpoint, listed, once) {
  return el("li", { class: "card", "data-endpoint": endpoint.id },
    el("h3", { class: "long" }, endpoint.url),
    facts([
      [t("state"), state(endpoint)], [t("events"), endpoint.events.join(", ")],
      [t("failing_since"), endpoint.failing_since ? time(endpoint.failing_since) : null],
      [t("old_secret_until"), endpoint.previous_secret_expires_at ? time(endpoint.previous_secret_expires_at) : null],
      [t("made"), time(endpoint.created_at)],
    ]),
    el("p", {}, within("webhook", endpoint.id, t("deliveries"))),
    el("div", { class: "actions" },
      action(endpoint.enabled ? t("switch_off") : t("switch_on"), async () => {
        await call("PATCH", place(endpoint), { body: { enabled: !endpoint.enabled } });
        await listed.again();
      }),
      action(t("send_test"), async (idempotencyKey) => {
        await call("POST", `${place(endpoint)}/test`, { idempotencyKey });
        say(t("test_sent"));
      }),
      action(t("rotate_secret"), async (idempotencyKey) => {
        const made = await call("POST", `${place(endpoint)}/rotate-secret`, { idempotencyKey });
        once.replaceChildren(made.secret ? secretOnce(t("secret"), made.secret) : el("p", { class: "note", "data-tone": "warn" }, t("secret_lost")));
        once.querySelector("input")?.focus();
      }, { confirm: t("rotate_sure") }),
      action(t("delete"), async () => {
        await call("DELETE", place(endpoint));
        await listed.again();
      }, { confirm: t("delete_sure"), attributes: { class: "danger" } })));
}

export function render() {
  const once = el("div", { role: "status" });
  const listed = part(t("endpoints"), async () => {
    const answer = await get("webhook-endpoints");
    if (answer.data.length === 0) return el("p", { class: "quiet" }, t("no_endpoints"));
    return el("ul", { class: "cards" }, answer.data.map((endpoint) => card(endpoint, listed, once)));
  });
  const make = form({
    label: t("new_endpoint"),
    fields: [
      field("url", t("address"), { required: true, type: "url", maxlength: 2048, placeholder: "https://" }, t("endpoint_url_hint")),
      field("events", t("events"), { required: true, maxlength: 400, value: "*" }, t("endpoint_events_hint")),
    ],
    submit: t("create"),
    read: (data) => ({ url: data.get("url").trim(), events: words(data.get("events")) }),
    send: async (body, idempotencyKey) => {
      const made = await call("POST", "webhook-endpoints", { body, idempotencyKey });
      once.replaceChildren(made.secret ? secretOnce(t("secret"), made.secret) : el("p", { class: "note", "data-tone": "warn" }, t("secret_lost")));
      make.reset();
      await listed.again();
    },
  });
  return [el("details", { class: "new" }, el("summary", {}, t("new_endpoint")), make), once, listed];
}
