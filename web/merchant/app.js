// The frame of every page: sign-in, navigation, languages, and which page this is.
import { Problem, known } from "./api.js";
import { button, el, say } from "./dom.js";
import { field, form } from "./form.js";
import * as invoice from "./page-invoice.js";
import * as invoices from "./page-invoices.js";
import * as keys from "./page-keys.js";
import * as links from "./page-links.js";
import * as overview from "./page-overview.js";
import * as payments from "./page-payments.js";
import * as settings from "./page-settings.js";
import * as webhook from "./page-webhook.js";
import * as webhooks from "./page-webhooks.js";
import { currentKey, keep, leave, onLeave } from "./session.js";
import { language, t } from "./texts.js";
import { problemBox } from "./view.js";

const PAGES = { overview, invoices, invoice, payments, links, webhooks, webhook, keys, settings };
const MENU = ["overview", "invoices", "payments", "links", "webhooks", "keys", "settings"];
const PARENT = { invoice: "invoices", webhook: "webhooks" };
const LANGUAGES = { en: "English", zh: "中文", ja: "日本語", nl: "Nederlands" };

const name = document.documentElement.dataset.page;
const main = document.getElementById("content");
const heading = main.querySelector("h1");

function menu() {
  const here = PARENT[name] ?? name;
  return el("nav", { "aria-label": t("menu") }, el("ul", {}, MENU.map((page) => el("li", {},
    el("a", { href: page + location.search, "aria-current": page === here ? "page" : null }, t(`title_${page}`))))));
}

function languages() {
  return el("nav", { "aria-label": t("language") }, Object.entries(LANGUAGES).map(([code, label]) => el("a", {
    href: `?lang=${code}${location.hash}`, lang: code, "aria-current": code === language ? "true" : null,
  }, label)));
}

function frame(signedIn) {
  const parts = [el("p", { class: "product" }, t("product"))];
  if (signedIn) parts.push(menu(), button(t("sign_out"), () => leave(t("signed_out")), { class: "sign-out" }));
  document.getElementById("top").replaceChildren(...parts);
  document.getElementById("bottom").replaceChildren(languages());
}

function signIn(reason) {
  frame(false);
  heading.textContent = t("sign_in");
  const key = field("key", t("api_key"), { type: "password", required: true, maxlength: 200, autocomplete: "off" }, t("key_hint"));
  const shown = form({
    label: t("sign_in"),
    fields: [key],
    submit: t("sign_in"),
    read: (data) => ({ key: String(data.get("key")).trim() }),
    send: async (values) => {
      // What a header cannot carry is no key, and fetch would refuse it without saying why.
      const fits = /^[\x21-\x7e]{1,200}$/.test(values.key);
      if (!fits || !(await known(values.key))) {
        throw new Problem(401, { code: "unauthorized", title: t("key_wrong"), detail: t("key_wrong_detail"), field: "key" });
      }
      keep(values.key);
      show();
    },
  });
  main.replaceChildren(heading, ...(reason ? [el("p", { class: "note", "data-tone": "warn" }, reason)] : []),
    el("p", {}, t("sign_in_about")), shown, el("p", { class: "quiet" }, t("sign_in_kept")));
  main.setAttribute("aria-busy", "false");
  if (reason) say(reason);
}

function show() {
  frame(true);
  heading.textContent = t(`title_${name}`);
  main.setAttribute("aria-busy", "true");
  try {
    main.replaceChildren(heading, ...PAGES[name].render(decodeURIComponent(location.hash.slice(1))));
  } catch (error) {
    main.replaceChildren(heading, problemBox(error));
  }
  main.setAttribute("aria-busy", "false");
}

function start() {
  if (currentKey()) show();
  else signIn(null);
}

onLeave((reason) => signIn(reason));
addEventListener("hashchange", () => {
  if (!["#content", ""].includes(location.hash)) start();
});
start();
