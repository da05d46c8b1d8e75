// One invoice: its state and why, how it came there, what may be paid, what was paid.
import { call, get } from "./api.js";
import { el, outside, say } from "./dom.js";
import { code, known, status, time } from "./invoice-words.js";
import { tableOf } from "./table.js";
import { t, word } from "./texts.js";
import { action, facts, part } from "./view.js";

const symbol = (asset) => String(asset).split(".")[0];

function summary(invoice) {
  const why = invoice.cause ?? {};
  return [
    el("p", { class: "headline" }, el("strong", {}, `${known(invoice.amount)} ${invoice.currency}`), " ", status(invoice.status)),
    el("p", { id: "why" }, t(`why_${invoice.status}`)),
    facts([
      [t("reference"), invoice.reference],
      [t("cause"), why.type ? word("cause", why.type) : t("unknown")],
      [t("since"), time(why.at)],
      [t("trace"), why.trace_id ? code(why.trace_id) : null],
      [t("made"), time(invoice.created_at)],
      [t("expires"), time(invoice.expires_at)],
      [t("id"), code(invoice.id)],
      [t("checkout"), invoice.checkout_url ? outside(invoice.checkout_url) : null],
    ]),
  ];
}

function history(invoice) {
  if (!Array.isArray(invoice.changes)) return [];
  return [el("h2", {}, t("changes")), el("ol", { id: "changes" }, invoice.changes.map((change) => el("li", {},
    time(change.at), " ", status(change.to_status ?? change.status), " ",
    word("cause", change.cause?.type ?? change.cause_type ?? ""), " ", code(change.cause?.trace_id ?? change.trace_id))))];
}

function options(invoice) {
  return [el("h2", {}, t("payment_options")), tableOf(invoice.payment_options, [
    { title: t("asset"), cell: (option) => option.asset },
    { title: t("amount"), cell: (option) => `${known(option.amount)} ${symbol(option.asset)}` },
    { title: t("paid"), cell: (option) => `${known(option.paid)} ${symbol(option.asset)}` },
    { title: t("rate"), cell: (option) => `${known(option.rate)} ${invoice.currency}` },
    { title: t("address"), cell: (option) => code(option.address) },
  ], { caption: t("options_caption") })];
}

function deposits(invoice) {
  const heading = el("h2", {}, t("payments"));
  if (invoice.deposits.length === 0) return [heading, el("p", { class: "quiet" }, t("no_payments"))];
  return [heading, tableOf(invoice.deposits, [
    { title: t("amount"), cell: (deposit) => `${known(deposit.amount)} ${symbol(deposit.asset)}` },
    { title: t("state"), cell: (deposit) => word("deposit", deposit.state) },
    { title: t("confirmations"), cell: (deposit) => `${known(deposit.confirmations)} / ${known(deposit.confirmations_required)}` },
    { title: t("credited"), cell: (deposit) => (deposit.credited ? t("yes") : t("no")) },
    { title: t("transaction"), cell: (deposit) => code(deposit.txid) },
  ], { caption: t("payments_of_invoice"), attributes: { id: "deposits" } })];
}

export function render(id) {
  if (!id) return [el("p", {}, t("choose_invoice"))];
  const path = `invoices/${encodeURIComponent(id)}`;
  const shown = part(t("invoice"), async () => {
    const invoice = await get(path);
    const parts = [...summary(invoice), ...deposits(invoice), ...history(invoice), ...options(invoice)];
    if (invoice.status === "new") {
      parts.push(action(t("cancel_invoice"), async (idempotencyKey) => {
        await call("POST", `${path}/cancel`, { idempotencyKey });
        say(t("done"));
        await shown.again();
      }, { confirm: t("cancel_sure") }));
    }
    return parts;
  });
  return [shown];
}
