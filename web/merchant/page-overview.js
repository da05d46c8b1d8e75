// Balances, and what was paid lately.
import { get } from "./api.js";
import { el } from "./dom.js";
import { choice } from "./form.js";
import { tableOf } from "./table.js";
import { t } from "./texts.js";
import { part } from "./view.js";
import * as volume from "./volume.js";

// An amount that the answer does not have is unknown, never zero.
const amount = (value, asset) => (typeof value === "string" ? `${value} ${asset.split(".")[0]}` : t("unknown"));

function assetName(row) {
  const [symbol, chain] = row.asset.split(".");
  return [symbol, " ", el("span", { class: "quiet" }, chain ?? "")];
}

const columns = () => [
  { title: t("asset"), cell: assetName },
  ...["available", "settling", "total"].map((name) => ({ title: t(name), cell: (row) => amount(row[name], row.asset), number: true })),
];

async function balances() {
  const answer = await get("balances");
  if (answer.data.length === 0) return el("p", { class: "quiet" }, t("no_balances"));
  return [tableOf(answer.data, columns(), { caption: t("balances_caption"), attributes: { id: "balances" } }), el("p", { class: "quiet" }, t("settling_hint"))];
}

async function paid() {
  const days = volume.lastDays(Date.now());
  const { complete, volumes } = await volume.volumes(days);
  if (volumes.size === 0) return el("p", { class: "quiet" }, complete ? t("no_volume") : t("volume_cut"));
  const currencies = [...volumes.keys()].toSorted();
  const drawing = el("div");
  const show = (currency) => drawing.replaceChildren(
    volume.picture(days, volumes.get(currency), currency), volume.table(days, volumes.get(currency), currency));
  const select = choice("currency", t("currency"), currencies.map((code) => [code, code]), currencies[0]);
  select.querySelector("select").addEventListener("change", (event) => show(event.target.value));
  show(currencies[0]);
  return [complete ? null : el("p", { class: "note", "data-tone": "warn" }, t("volume_cut")), currencies.length > 1 ? select : null, drawing].filter(Boolean);
}

export function render() {
  return [part(t("balances"), balances), part(t("volume"), paid)];
}
