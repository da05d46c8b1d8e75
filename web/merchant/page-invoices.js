// All invoices, newest first, and a form for a new one.
import { call } from "./api.js";
import { el } from "./dom.js";
import { choice, field, filled, form, words } from "./form.js";
import { known, status, time, within } from "./invoice-words.js";
import { pagedTable } from "./list.js";
import { t, word } from "./texts.js";

export const STATUSES = [
  "new", "seen", "partially_paid", "confirming", "settled", "overpaid", "underpaid", "paid_late", "expired", "invalid", "cancelled",
  "partially_refunded", "refunded",
];

const columns = () => [
  { title: t("invoice"), cell: (invoice) => within("invoice", invoice.id, invoice.reference || invoice.id) },
  { title: t("state"), cell: (invoice) => status(invoice.status) },
  { title: t("amount"), cell: (invoice) => `${known(invoice.amount)} ${invoice.currency}` },
  { title: t("made"), cell: (invoice) => time(invoice.created_at) },
];

function list({ status: wanted, reference }) {
  return pagedTable({
    caption: t("invoices_caption"), path: "invoices", columns: columns(), empty: wanted || reference ? t("none_of_these") : t("no_invoices"),
    query: { status: wanted, reference },
  });
}

function filters(apply) {
  return form({
    label: t("filter"),
    inline: true,
    fields: [
      choice("status", t("state"), [["", t("all")], ...STATUSES.map((value) => [value, word("status", value)])], ""),
      field("reference", t("reference"), { maxlength: 255 }, t("filter_reference_hint")),
    ],
    submit: t("show"),
    read: (data) => ({ status: data.get("status"), reference: data.get("reference") }),
    send: apply,
  });
}

function create() {
  return form({
    label: t("new_invoice"),
    fields: [
      field("amount", t("amount"), { required: true, inputmode: "decimal", maxlength: 60, placeholder: "25.00" }),
      field("currency", t("currency"), { required: true, maxlength: 10, value: "EUR" }),
      field("assets", t("assets"), { required: true, maxlength: 400, value: "BTC.bitcoin" }, t("assets_hint")),
      field("reference", t("reference"), { maxlength: 255 }, t("reference_hint")),
    ],
    submit: t("create"),
    read: (data) => filled({ amount: data.get("amount").trim(), currency: data.get("currency").trim(), assets: words(data.get("assets")), reference: data.get("reference") }),
    send: async (body, idempotencyKey) => {
      const made = await call("POST", "invoices", { body, idempotencyKey });
      location.assign(`invoice${location.search}#${made.id}`);
    },
  });
}

export function render() {
  const place = el("div", { id: "list" }, list({}));
  return [
    el("details", { class: "new" }, el("summary", {}, t("new_invoice")), create()),
    el("section", { "aria-label": t("invoices") }, filters(async (wanted) => {
      const found = list(wanted);
      place.replaceChildren(found);
      await found.ready;
    }), place),
  ];
}
