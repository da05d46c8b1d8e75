// Payment links: make one, see how each stands, switch it off and on.
import { call } from "./api.js";
import { el, outside } from "./dom.js";
import { field, filled, form, words } from "./form.js";
import { known, time } from "./invoice-words.js";
import { pagedTable } from "./list.js";
import { t, word } from "./texts.js";
import { action } from "./view.js";

function price(link) {
  if (link.amount !== null && link.amount !== undefined) return `${link.amount} ${link.currency}`;
  const bounds = [link.min_amount, link.max_amount].map((bound) => bound ?? "…").join(" – ");
  return `${t("free_amount")} (${bounds} ${link.currency})`;
}

const uses = (link) => (link.use_limit === null || link.use_limit === undefined ? t("no_limit") : `${known(link.uses)} / ${link.use_limit}`);

function columns(again) {
  return [
    { title: t("name"), cell: (link) => [el("span", { class: "strong" }, link.title), el("br"), outside(link.url)] },
    { title: t("amount"), cell: price },
    { title: t("state"), cell: (link) => word("link", link.status) },
    { title: t("uses"), cell: uses },
    { title: t("made"), cell: (link) => time(link.created_at) },
    { title: t("action"), cell: (link) => action(link.active ? t("switch_off") : t("switch_on"), async () => {
      await call("PATCH", `payment-links/${encodeURIComponent(link.id)}`, { body: { active: !link.active } });
      again();
    }) },
  ];
}

export function render() {
  const place = el("div", { id: "list" });
  const again = () => place.replaceChildren(pagedTable({
    caption: t("links_caption"), path: "payment-links", columns: columns(again), empty: t("no_links"),
  }));
  again();
  const make = form({
    label: t("new_link"),
    fields: [
      field("title", t("name"), { required: true, maxlength: 120 }, t("link_title_hint")),
      field("amount", t("amount"), { inputmode: "decimal", maxlength: 60 }, t("link_amount_hint")),
      field("currency", t("currency"), { required: true, maxlength: 10, value: "EUR" }),
      field("assets", t("assets"), { required: true, maxlength: 400, value: "BTC.bitcoin" }, t("assets_hint")),
      field("use_limit", t("use_limit"), { inputmode: "numeric", pattern: "[0-9]{1,5}" }, t("use_limit_hint")),
    ],
    submit: t("create"),
    read: (data) => filled({
      title: data.get("title").trim(), amount: data.get("amount").trim(), currency: data.get("currency").trim(),
      assets: words(data.get("assets")), use_limit: data.get("use_limit") ? Number.parseInt(data.get("use_limit"), 10) : null,
    }),
    send: async (body, idempotencyKey) => {
      await call("POST", "payment-links", { body, idempotencyKey });
      make.reset();
      again();
    },
  });
  return [el("details", { class: "new" }, el("summary", {}, t("new_link")), make), el("section", { "aria-label": t("title_links") }, place)];
}
