// What applies to invoices made from now on.
import { call, get } from "./api.js";
import { el } from "./dom.js";
import { field, form } from "./form.js";
import { t } from "./texts.js";
import { part } from "./view.js";

const FIELDS = ["tolerance_bps", "expires_in_s"];

export function render() {
  return [part(t("title_settings"), async () => {
    const now = await get("settings");
    return [el("p", { class: "quiet" }, t("settings_about")), form({
      label: t("title_settings"),
      fields: FIELDS.map((name) => field(name, t(name), { required: true, inputmode: "numeric", pattern: "[0-9]{1,7}", value: now[name] ?? "" }, t(`${name}_hint`))),
      submit: t("save"),
      // Whole numbers of no money: basis points and seconds.
      read: (data) => Object.fromEntries(FIELDS.map((name) => [name, Number.parseInt(data.get(name), 10)])),
      send: (body, idempotencyKey) => call("PUT", "settings", { body, idempotencyKey }),
    })];
  })];
}
