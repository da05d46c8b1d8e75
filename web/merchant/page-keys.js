// API keys: what each may do, a new one whose secret is shown once, and taking one back.
import { call, get } from "./api.js";
import { el } from "./dom.js";
import { checks, field, form } from "./form.js";
import { code, time } from "./invoice-words.js";
import { tableOf } from "./table.js";
import { t, word } from "./texts.js";
import { action, part, secretOnce } from "./view.js";

const SCOPES = [
  "invoices:read", "invoices:write", "payments:read", "balances:read", "statements:read", "exports:read", "links:read", "links:write",
  "rates:read", "rates:write", "webhooks:read", "webhooks:write", "events:read", "settings:read", "settings:write", "keys:write",
];

const columns = (listed) => [
  { title: t("name"), cell: (key) => key.name },
  { title: t("scopes"), cell: (key) => key.scopes.join(", ") },
  { title: t("made"), cell: (key) => time(key.created_at) },
  { title: t("id"), cell: (key) => code(key.id) },
  { title: t("action"), cell: (key) => action(t("revoke"), async () => {
    await call("DELETE", `api-keys/${encodeURIComponent(key.id)}`);
    await listed.again();
  }, { confirm: t("revoke_sure", { name: key.name }), attributes: { class: "danger" } }) },
];

export function render() {
  const listed = part(t("title_keys"), async () => {
    const answer = await get("api-keys");
    return tableOf(answer.data, columns(listed), { caption: t("keys_caption"), attributes: { id: "keys" } });
  });
  const once = el("div", { role: "status" });
  const make = form({
    label: t("new_key"),
    fields: [
      field("name", t("name"), { required: true, maxlength: 80 }, t("key_name_hint")),
      checks("scopes", t("scopes"), SCOPES.map((scope) => [scope, `${scope} (${word("scope", scope)})`])),
    ],
    submit: t("create"),
    read: (data) => ({ name: data.get("name").trim(), scopes: data.getAll("scopes") }),
    send: async (body, idempotencyKey) => {
      const made = await call("POST", "api-keys", { body, idempotencyKey });
      once.replaceChildren(made.api_key ? secretOnce(t("api_key"), made.api_key) : el("p", { class: "note", "data-tone": "warn" }, t("secret_lost")));
      make.reset();
      await listed.again();
    },
  });
  return [el("section", {}, el("h2", {}, t("new_key")), make, once), listed];
}
