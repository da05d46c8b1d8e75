"use strict";
// The page works without this script. It adds the countdown, copying, the choice of coin, and what
// changes while the page is open: a message or a question says that something did, and then the
// same server-rendered document is read again (docs/checkout.md, "Live status").
const POLL_MS = 3000;
const WATCHED_MS = 60000;
const OVER_MS = 30000;
const SLOWEST_MS = 30000;
const ANSWER_MS = 8000;
const BEAT_MS = 240000;
const RECONNECT_SLOWEST_MS = 60000;
const LOOKS_AFTER_MESSAGE = 2;
const SPOKEN_AT_S = [[300, "minutes_5"], [60, "minutes_1"], [0, "time_over"]];

const main = document.querySelector("main");
const texts = JSON.parse(document.getElementById("texts").textContent);
// The countdown follows the server's clock: a phone's may be wrong.
const skewMs = Date.now() - Date.parse(main.dataset.now);

function speak(text) {
  const line = document.getElementById("spoken");
  line.textContent = "";
  setTimeout(() => { line.textContent = text; }, 50);
}

let secondsBefore = Infinity;
function tick() {
  const left = Math.max(0, Math.floor((Date.parse(main.dataset.expires) - Date.now() + skewMs) / 1000));
  const clock = document.getElementById("countdown");
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  clock.textContent = parts.map((n) => String(n).padStart(2, "0")).join(":");
  clock.toggleAttribute("data-short", left < 60);
  if (!document.getElementById("countdown-line").hidden) {
    for (const [at, text] of SPOKEN_AT_S) {
      if (secondsBefore > at && left <= at && secondsBefore !== Infinity) speak(texts[text]);
    }
  }
  secondsBefore = left;
}

// Which option shows follows from the radio buttons, in the style sheet.
function choose(assetCode) {
  const wanted = [...document.querySelectorAll(".option")].find((o) => o.dataset.asset === assetCode);
  const radio = wanted && document.querySelector(`#choice input[value="${wanted.id}"]`);
  if (radio) radio.checked = true;
}

function chosenAsset() {
  const radio = document.querySelector("#choice input:checked");
  return radio && document.getElementById(radio.value).dataset.asset;
}

// Puts the newly rendered document in place of this one, and leaves the person where they were.
function replaceBy(fresh) {
  const next = fresh.querySelector("main");
  const chosen = chosenAsset();
  const focused = document.activeElement?.id || document.activeElement?.dataset?.copy;
  const inLive = document.getElementById("live").contains(document.activeElement);
  const open = [...document.querySelectorAll("#live details[open]")].map((d) => d.id);
  for (const name of ["status", "etag", "expires"]) main.dataset[name] = next.dataset[name];
  main.toggleAttribute("data-over", next.hasAttribute("data-over"));
  const status = fresh.getElementById("status");
  const shown = document.getElementById("status");
  if (shown.textContent !== status.textContent) shown.replaceChildren(...status.childNodes);
  shown.dataset.tone = status.dataset.tone;
  document.querySelector("h1").replaceChildren(...fresh.querySelector("h1").childNodes);
  document.getElementById("countdown-line").hidden = fresh.getElementById("countdown-line").hidden;
  document.getElementById("live").replaceChildren(...fresh.getElementById("live").childNodes);
  if (chosen) choose(chosen);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (inLive) {
    const same = focused && (document.getElementById(focused)?.closest("button, input, a, summary")
      ?? document.querySelector(`[data-copy="${focused}"]`));
    (same ?? document.querySelector("h1")).focus({ preventScroll: Boolean(same) });
  }
}

async function read(url, headers) {
  const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
  return answer;
}

let failures = 0;
let looksLeft = 0;
let timer = 0;
let looking = false;
let askedMeanwhile = false;

function pauseMs() {
  if (failures > 0) return Math.min(POLL_MS * 2 ** failures, SLOWEST_MS);
  if (looksLeft > 0) return POLL_MS;
  if (main.dataset.live) return WATCHED_MS;
  return main.hasAttribute("data-over") ? OVER_MS : POLL_MS;
}

async function look() {
  if (looking) { askedMeanwhile = true; return; }
  looking = true;
  clearTimeout(timer);
  try {
    const answer = await read(`${main.dataset.id}/status`, { "If-None-Match": `"${main.dataset.etag}"` });
    if (answer.status === 200) {
      const language = document.documentElement.lang;
      const page = await read(`${main.dataset.id}?lang=${language}`, {});
      replaceBy(new DOMParser().parseFromString(await page.text(), "text/html"));
      looksLeft = 0;
    } else if (looksLeft > 0) {
      looksLeft -= 1;
    }
    failures = 0;
  } catch {
    failures += 1;
  }
  looking = false;
  // One failure may be a change of network: it is told when the next one follows.
  document.getElementById("offline").hidden = failures < 2;
  if (document.hidden) return;
  if (askedMeanwhile) { askedMeanwhile = false; look(); return; }
  timer = setTimeout(look, pauseMs());
}

let socket = null;
let attempts = 0;
function connect() {
  if (!main.dataset.socket || socket || document.hidden) return;
  let beat = 0;
  socket = new WebSocket(`${main.dataset.socket}?invoice=${main.dataset.id}`);
  socket.addEventListener("open", () => {
    main.dataset.live = "socket";
    beat = setInterval(() => socket?.send("{}"), BEAT_MS);
    look();
  });
  socket.addEventListener("message", () => { attempts = 0; looksLeft = LOOKS_AFTER_MESSAGE; look(); });
  socket.addEventListener("close", () => {
    clearInterval(beat);
    socket = null;
    delete main.dataset.live;
    clearTimeout(timer);
    timer = setTimeout(look, pauseMs());
    attempts += 1;
    const waitMs = Math.min(500 * 2 ** attempts, RECONNECT_SLOWEST_MS);
    setTimeout(connect, waitMs * (0.5 + Math.random() / 2));
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { clearTimeout(timer); return; }
  look();
  connect();
});

document.addEventListener("click", async (event) => {
  if (event.target.closest("[data-print]")) { print(); return; }
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    speak(texts.copied.replace("{what}", button.dataset.what));
    button.dataset.done = "";
    const label = button.firstChild;
    label.textContent = "\u2713 " + texts.copy;
    setTimeout(() => { label.textContent = texts.copy; delete button.dataset.done; }, 2000);
  } catch {
    getSelection().selectAllChildren(source);
    speak(texts.not_copied);
  }
});

tick();
setInterval(tick, 1000);
timer = setTimeout(look, pauseMs());
connect();
