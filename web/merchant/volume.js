// Paid invoices a day: a picture made here, and the same figures as a table (docs/merchant-pages.md, "Volume over time").
import { get } from "./api.js";
import { drawn, el } from "./dom.js";
import { ZERO, add, larger, parse, text, thousandths } from "./money.js";
import { tableOf } from "./table.js";
import { day, t } from "./texts.js";

const DAYS = 30;
const DAY_MS = 86400000;
const PAGE = 100;
const PAGES_MAX = 20;
const PAID = new Set(["settled", "overpaid", "paid_late", "partially_refunded"]);
const WIDTH = 600;
const HEIGHT = 160;

export function lastDays(now) {
  return Array.from({ length: DAYS }, (_, number) => new Date(now - (DAYS - 1 - number) * DAY_MS).toISOString().slice(0, 10));
}

// {complete, volumes: currency -> day -> {sum, count}}; only days that are asked for.
export async function volumes(days, read = (query) => get("invoices", query)) {
  const found = new Map();
  let cursor = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await read({ limit: PAGE, cursor, created_from: `${days[0]}T00:00:00Z` });
    for (const invoice of answer.data) count(found, invoice, days);
    const oldest = answer.data.at(-1);
    cursor = answer.next_cursor ?? null;
    if (!cursor || !oldest || oldest.created_at.slice(0, 10) < days[0]) return { complete: true, volumes: found };
  }
  return { complete: false, volumes: found };
}

function count(found, invoice, days) {
  const made = new Date(invoice.created_at).toISOString().slice(0, 10);
  if (!PAID.has(invoice.status) || !days.includes(made)) return;
  const perDay = found.get(invoice.currency) ?? new Map();
  const before = perDay.get(made) ?? { sum: ZERO, count: 0 };
  perDay.set(made, { sum: add(before.sum, parse(invoice.amount)), count: before.count + 1 });
  found.set(invoice.currency, perDay);
}

export function picture(days, perDay, currency) {
  const most = [...perDay.values()].reduce((top, entry) => larger(top, entry.sum), ZERO);
  const step = WIDTH / days.length;
  const bars = days.map((date, number) => {
    const entry = perDay.get(date);
    const high = entry ? Math.max(2, Math.floor((thousandths(entry.sum, most) * (HEIGHT - 10)) / 1000)) : 0;
    return drawn("rect", { class: "bar", x: (number * step + 2).toFixed(1), y: HEIGHT - high, width: (step - 4).toFixed(1), height: high, rx: 2 });
  });
  const label = t("volume_label", { currency, from: day(days[0]), to: day(days.at(-1)), most: text(most) });
  return el("figure", { class: "volume" },
    drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 4}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
      ...bars, drawn("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT + 1, y2: HEIGHT + 1 })),
    el("figcaption", { class: "ends" }, el("span", {}, day(days[0])), el("span", {}, t("volume_most", { most: text(most), currency })), el("span", {}, day(days.at(-1)))));
}

export function table(days, perDay, currency) {
  const rows = days.filter((date) => perDay.has(date)).toReversed().map((date) => ({ date, ...perDay.get(date) }));
  return tableOf(rows, [
    { title: t("day_utc"), cell: (row) => el("time", { datetime: row.date }, day(row.date)) },
    { title: t("amount"), cell: (row) => `${text(row.sum)} ${currency}`, number: true },
    { title: t("invoices"), cell: (row) => String(row.count), number: true },
  ], { caption: t("volume_caption", { currency }), attributes: { "data-volume": currency } });
}
