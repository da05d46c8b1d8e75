// What people read, in the language of the page; the file is one of four, made from merchant.toml.
export const language = document.documentElement.lang;
const answer = await fetch(new URL(`texts.${language}.json`, import.meta.url));
if (!answer.ok) throw new Error(`texts: ${answer.status}`);
const texts = await answer.json();

export function t(name, values = {}) {
  const found = Object.hasOwn(texts, name) ? texts[name] : name;
  return found.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

// A word of the API (a status, a scope) in the reader's language; a word that is new here stays as it is.
export function word(kind, value) {
  const name = `${kind}_${String(value).replaceAll(/[.:-]/g, "_")}`;
  return Object.hasOwn(texts, name) ? texts[name] : String(value);
}

const MOMENT = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" });

export const moment = (iso) => MOMENT.format(new Date(iso));
export const day = (iso) => DAY.format(new Date(iso));
