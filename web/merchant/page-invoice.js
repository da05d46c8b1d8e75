// One invoice: its state and why, how it came there, what may be paid, what was paid.
import { call, get } from "./api.js";
import { el, outside, say } from "./dom.js";
import { code, known, status, time } from "./invoice-words.js";
import { pagedTable } from "./list.js";
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
      [t("customer_fee"), `${known(invoice.customer_fee)} ${invoice.currency}`],
      [t("made"), time(invoice.created_at)],
      [t("expires"), time(invoice.expires_at)],
      [t("id"), code(invoice.id)],
      [t("checkout"), invoice.checkout_url ? outside(invoice.checkout_url) : null],
    ]),
  ];
}

function history(path) {
  const columns = [
    { title: t("since"), cell: (change) => time(change.cause.at) },
    { title: t("state"), cell: (change) => status(change.to_status) },
    { title: t("cause"), cell: (change) => word("cause", change.cause.type) },
    { title: t("trace"), cell: (change) => code(change.cause.trace_id) },
  ];
  return [el("h2", {}, t("changes")), el("div", { id: "changes" }, pagedTable({
    caption: t("changes_caption"), path: `${path}/changes`, columns, empty: t("unknown"),
  }))];
}

function options(invoice) {
  return [el("h2", {}, t("payment_options")), tableOf(invoice.payment_options, [
    { title: t("asset"), cell: (option) => option.asset },
    { title: t("amount"), cell: (option) => `${known(option.amount)} ${symbol(option.asset)}` },
    { title: t("remaining"), cell: (option) => `${known(option.remaining)} ${symbol(option.asset)}` },
    { title: t("paid"), cell: (option) => `${known(option.paid)} ${symbol(option.asset)}` },
    { title: t("rate"), cell: (option) => `${known(option.rate)} ${invoice.currency}` },
    { title: t("address"), cell: (option) => code(option.address) },
  ], { caption: t("options_caption") })];
}

function refunds(invoice) {
  if (invoice.refunds.length === 0) return [];
  return [el("h2", {}, t("refunds")), tableOf(invoice.refunds, [
    { title: t("amount"), cell: (refund) => `${known(refund.amount)} ${symbol(refund.asset)}` },
    { title: t("made"), cell: (refund) => time(refund.at) },
    { title: t("id"), cell: (refund) => code(refund.id) },
  ], { caption: t("refunds_caption") })];
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
    const parts = [...summary(invoice), ...deposits(invoice), ...refunds(invoice), ...history(path), ...options(invoice)];
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
