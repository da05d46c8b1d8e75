// The public API, called as any program would: a key in a header, problem documents as errors.
import { currentKey, leave } from "./session.js";
import { language, t } from "./texts.js";

const TIMEOUT_MS = 15000;
const ROOT = new URL("../v1/", location.href);

export class Problem extends Error {
  constructor(status, fields) {
    super(fields.detail ?? t("problem_unreadable"));
    this.status = status;
    this.code = fields.code ?? "unknown";
    this.title = fields.title ?? t("problem_title");
    this.traceId = fields.trace_id ?? null;
    this.retry = fields.retry ?? null;
    this.field = fields.field ?? null;
    this.scopeNeeded = fields.scope_needed ?? null;
  }

  // Whether what was asked may have happened although no answer came.
  get unknownOutcome() {
    return ["no_answer", "idempotency_key_in_flight"].includes(this.code) || this.retry === "same_key" || this.status >= 500;
  }
}

function headersFor(key, body, idempotencyKey) {
  const headers = { Accept: "application/json", "Accept-Language": language, Authorization: `Bearer ${key}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  return headers;
}

async function ask(method, path, key, { body, idempotencyKey } = {}) {
  try {
    return await fetch(new URL(path, ROOT), {
      method,
      headers: headersFor(key, body, idempotencyKey),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Problem(0, { code: "no_answer", title: t("problem_title"), detail: t("no_answer") });
  }
}

async function problemOf(answer) {
  try {
    return new Problem(answer.status, await answer.json());
  } catch {
    return new Problem(answer.status, {});
  }
}

async function checked(method, path, options) {
  const key = currentKey();
  if (!key) {
    leave(t("signed_out"));
    throw new Problem(401, { code: "unauthorized", detail: t("signed_out") });
  }
  const answer = await ask(method, path, key, options);
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.status === 401) leave(t("key_refused"));
  throw problem;
}

export async function call(method, path, options) {
  const answer = await checked(method, path, options);
  if (answer.status === 204) return {};
  try {
    return await answer.json();
  } catch {
    throw new Problem(answer.status, { code: "no_answer", detail: t("problem_unreadable") });
  }
}

export const get = (path, query = {}) => call("GET", path + queryText(query));

function queryText(query) {
  const asked = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return asked.length ? `?${new URLSearchParams(asked)}` : "";
}

// True when the key is known, whatever it may do. Throws a Problem when nobody could say.
export async function known(key) {
  const answer = await ask("GET", "balances", key);
  if (answer.status === 401) return false;
  if (answer.ok || answer.status === 403) return true;
  throw await problemOf(answer);
}
