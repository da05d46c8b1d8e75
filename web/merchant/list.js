// A table filled page by page by the API's cursors; "more" asks for the next page.
import { get } from "./api.js";
import { button, el, say } from "./dom.js";
import { rowOf, tableOf } from "./table.js";
import { t } from "./texts.js";
import { problemBox } from "./view.js";

const PAGE = 25;

export function pagedTable({ caption, path, query = {}, columns, empty }) {
  const table = tableOf([], columns, { caption });
  const body = table.tBodies[0];
  const below = el("div", { class: "below" });
  const frame = el("div", { class: "paged", "aria-busy": "true" }, table, below);

  async function more(cursor) {
    frame.setAttribute("aria-busy", "true");
    below.replaceChildren(el("p", { class: "quiet", role: "status" }, t("loading")));
    try {
      const page = await get(path, { limit: PAGE, cursor, ...query });
      body.append(...page.data.map((item) => rowOf(item, columns)));
      const next = page.next_cursor ?? null;
      below.replaceChildren(...ending(next));
      if (cursor) {
        say(t("more_came", { count: page.data.length }));
        body.rows[body.rows.length - page.data.length]?.querySelector("a, button")?.focus();
      }
    } catch (problem) {
      below.replaceChildren(problemBox(problem, () => more(cursor)));
    } finally {
      frame.setAttribute("aria-busy", "false");
      table.hidden = body.rows.length === 0;
    }
  }

  function ending(next) {
    const shown = [];
    if (body.rows.length === 0 && !next) shown.push(el("p", { class: "quiet" }, empty));
    if (next) shown.push(button(t("more"), () => more(next), { "data-more": "" }));
    return shown;
  }

  frame.ready = more(null);
  return frame;
}
