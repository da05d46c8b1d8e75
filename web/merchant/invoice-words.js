// How an invoice's state and its parts are said, in lists and on its own page.
import { el } from "./dom.js";
import { moment, t, word } from "./texts.js";

const KIND = {
  settled: "good", overpaid: "good", underpaid: "warn", paid_late: "warn", expired: "quiet", invalid: "bad", cancelled: "quiet",
  partially_refunded: "quiet", refunded: "quiet",
};

export const status = (value) => el("span", { class: `state ${KIND[value] ?? "open"}`, "data-status": value }, word("status", value));
export const time = (iso) => (iso ? el("time", { datetime: iso }, moment(iso)) : t("unknown"));
export const code = (value) => el("code", { class: "long" }, value ?? t("unknown"));
// A link to another page of this kind keeps the language that was asked for.
export const within = (page, id, label) => el("a", { href: `${page}${location.search}#${encodeURIComponent(id)}` }, label);
export const known = (value) => (value === null || value === undefined ? t("unknown") : String(value));
