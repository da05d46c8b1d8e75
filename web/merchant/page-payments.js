// Every payment that arrived, newest first: also late ones, and those whose block was undone.
import { choice, field, form } from "./form.js";
import { code, known, time, within } from "./invoice-words.js";
import { el } from "./dom.js";
import { pagedTable } from "./list.js";
import { t, word } from "./texts.js";

const STATES = ["seen", "included", "confirmed", "final", "reversed", "invalid"];

const columns = () => [
  { title: t("amount"), cell: (payment) => `${known(payment.amount)} ${payment.asset}` },
  { title: t("state"), cell: (payment) => word("deposit", payment.state) },
  { title: t("invoice"), cell: (payment) => (payment.invoice_id ? within("invoice", payment.invoice_id, payment.invoice_id) : t("unknown")) },
  { title: t("first_seen"), cell: (payment) => time(payment.first_seen_at) },
  { title: t("transaction"), cell: (payment) => code(payment.txid) },
];

function list(query) {
  const asked = Object.values(query).some(Boolean);
  return pagedTable({ caption: t("payments_caption"), path: "payments", query, columns: columns(), empty: asked ? t("none_of_these") : t("no_payments") });
}

export function render() {
  const place = el("div", { id: "list" }, list({}));
  return [el("section", { "aria-label": t("payments") }, form({
    label: t("filter"),
    inline: true,
    fields: [
      choice("state", t("state"), [["", t("all")], ...STATES.map((value) => [value, word("deposit", value)])], ""),
      field("asset", t("asset"), { maxlength: 64, placeholder: "BTC.bitcoin" }),
    ],
    submit: t("show"),
    read: (data) => ({ state: data.get("state"), asset: data.get("asset").trim() }),
    send: async (query) => {
      const found = list(query);
      place.replaceChildren(found);
      await found.ready;
    },
  }), place)];
}
