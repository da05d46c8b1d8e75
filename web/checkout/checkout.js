"use strict";
// The page works without this script; it adds the countdown, copying, the choice of coin and the live status.
const POLL_MS = 2000;
const POLL_SLOWEST_MS = 30000;
const OVER = new Set(["settled", "overpaid"]);
const main = document.querySelector("main");
const texts = JSON.parse(document.getElementById("texts").textContent);

function tick() {
  const left = Math.max(0, Math.floor((Date.parse(main.dataset.expires) - Date.now()) / 1000));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  document.getElementById("countdown").textContent = parts.map((n) => String(n).padStart(2, "0")).join(":");
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function show(invoice) {
  main.dataset.status = invoice.status;
  document.getElementById("status").textContent = texts["status_" + invoice.status] ?? invoice.status;
  const closed = OVER.has(invoice.status) || invoice.status === "expired";
  document.getElementById("countdown-line").hidden = invoice.status !== "new" && invoice.status !== "partially_paid";
  for (const option of document.querySelectorAll(".option")) option.classList.toggle("closed", closed);
  if (closed) {
    document.getElementById("choice").hidden = true;
    for (const option of document.querySelectorAll(".option")) option.hidden = true;
  }
  const list = document.querySelector("#deposits ul");
  list.replaceChildren(...invoice.deposits.map((deposit) => {
    const progress = `${deposit.confirmations} / ${deposit.confirmations_required}`;
    return element("li", `${deposit.amount} ${deposit.asset.split(".")[0]} · ${texts.confirmations} ${progress}`);
  }));
  document.getElementById("deposits").hidden = invoice.deposits.length === 0;
}

async function follow() {
  let etag = null;
  let pause = POLL_MS;
  for (;;) {
    try {
      const answer = await fetch(`${main.dataset.id}/status`, {
        headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store", signal: AbortSignal.timeout(8000),
      });
      if (answer.status === 200) {
        etag = answer.headers.get("ETag");
        show(await answer.json());
      } else if (answer.status !== 304) {
        throw new Error(String(answer.status));
      }
      pause = POLL_MS;
      document.getElementById("offline").hidden = true;
    } catch {
      pause = Math.min(pause * 2, POLL_SLOWEST_MS);
      document.getElementById("offline").hidden = false;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = texts.copied;
    setTimeout(() => { button.textContent = texts.copy; }, 2000);
  } catch {
    getSelection().selectAllChildren(source);
  }
});

document.getElementById("choice").addEventListener("change", (event) => {
  for (const option of document.querySelectorAll(".option")) option.hidden = option.id !== event.target.value;
});

tick();
setInterval(tick, 1000);
follow();
