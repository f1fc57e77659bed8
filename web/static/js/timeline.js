// The timeline: lanes above, table below, the chosen appearance beside, all following one period and one choice.

import { gestures } from "./gestures.js";
import { Lanes, lowerBound } from "./lanes.js";
import { Overview } from "./overview.js";
import { html } from "./svg.js";
import { Clock } from "./time.js";

const MIN_SPAN_MS = 2000, REFRESH_MS = 10_000;

const host = document.getElementById("lanes");
const rows = document.getElementById("rows");
const panel = document.getElementById("panel");
const narrow = matchMedia("(max-width: 1000px)");

let data, clock, whole, view;
let selected = narrow.matches ? null : host?.dataset.selected ?? null; // there is no place beside on a phone
let queued = 0, waiting = 0, asked = 0;

const overview = new Overview(host, (from, to) => show(from, to));
const lanes = new Lanes(host, { onSelect: choose, onZoom: (from, to) => show(from, to) });
const zone = html("span", { class: "soft" });
const buttons = [["\u2212", "Zoom out", () => zoom(1 / 0.6)], ["+", "Zoom in", () => zoom(0.6)], ["All", "Show everything", all]];
host.append(html("div", { class: "foot" }, zone, html("span", { class: "soft hint" }, "Scroll to zoom, drag to move"), html("span", { class: "grow" }), ...buttons.map(([text, label, act]) => {
  const button = html("button", { type: "button", class: "pill", "aria-label": label, title: label }, text);
  button.addEventListener("click", act);
  return button;
})));

gestures(lanes.body, () => lanes.plot, { view: () => view, zoom, pan, all, step, moved: (yes) => { lanes.moved = yes; lanes.plot.classList.toggle("moving", yes); } });
new ResizeObserver(() => { if (data && host.clientWidth) { overview.resize(); lanes.resize(); paint(); } }).observe(host);

load(true);

async function load(first) {
  const answer = await fetch(host.dataset.src);
  if (!answer.ok) return; // the table below is complete without the lanes
  data = await answer.json();
  clock = new Clock(data.zone);
  const [from, to] = data.extent;
  host.hidden = !data.lanes.length;
  if (host.hidden) return;
  // Room for half a face at either end.
  const room = Math.max(((to - from) * 30) / Math.max(200, lanes.plot.clientWidth), 500);
  whole = { from: from - room, to: to + room };
  view = (first ? fromAddress() : view) ?? seen() ?? { ...whole };
  zone.textContent = `Times in ${data.zone.replace(/^Etc\//, "")}`;
  lanes.body.setAttribute("aria-label", `Lanes by ${data.by}. Arrow keys move, plus and minus zoom, 0 shows everything, brackets choose the appearance before and after. The table below lists the same.`);
  overview.load(data, whole);
  lanes.load(data, clock);
  show(view.from, view.to, { quiet: first && !fromAddress() });
}

// Where the appearances are, when that is a small part of it all: a file with a wrong date must not hide them.
function seen() {
  if (!data.start.length) return null;
  const from = data.start.reduce((a, b) => Math.min(a, b)), to = data.end.reduce((a, b) => Math.max(a, b));
  const room = Math.max((to - from) * 0.06, 5000);
  return to - from < (whole.to - whole.from) / 8 ? { from: from - room, to: to + room } : null;
}

function fromAddress() {
  const [from, to] = (new URLSearchParams(location.search).get("view") ?? "").split("-").map((s) => Number(s) * 1000);
  return to > from ? { from, to } : null;
}

function show(from, to, { quiet = false } = {}) {
  const span = Math.min(Math.max(to - from, MIN_SPAN_MS), whole.to - whole.from);
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, whole.from), whole.to - span);
  const changed = Math.abs(start - view.from) > 0.5 || Math.abs(span - (view.to - view.from)) > 0.5;
  view = { from: start, to: start + span };
  paint();
  if (!quiet) { clearTimeout(waiting); waiting = setTimeout(settle, 250); }
  return changed;
}

function zoom(factor, at = (view.from + view.to) / 2) {
  const from = at - (at - view.from) * factor, to = at + (view.to - at) * factor;
  if (to - from < MIN_SPAN_MS && factor < 1) return true;
  return show(from, to);
}

function pan(share) {
  const by = share * (view.to - view.from);
  return show(view.from + by, view.to + by);
}

function all() {
  return show(whole.from, whole.to);
}

function paint() {
  cancelAnimationFrame(queued);
  queued = requestAnimationFrame(() => {
    const ticks = clock.ticks(view.from, view.to, Math.max(2, lanes.width / 96));
    const shown = lowerBound(data.start, Number, view.to) - lowerBound(data.start, Number, view.from);
    lanes.draw(view, ticks, selected);
    overview.draw(view, ticks, clock, shown, Number(host.dataset.total));
  });
}

const isWhole = () => view.from <= whole.from && view.to >= whole.to;

// Once the view rests, the address and the table follow it.
function settle() {
  const address = new URL(location.href);
  if (isWhole()) address.searchParams.delete("view");
  else address.searchParams.set("view", `${Math.floor(view.from / 1000)}-${Math.ceil(view.to / 1000)}`);
  history.replaceState(null, "", address);
  list(1);
}

async function list(page) {
  const address = new URL(rows.dataset.src ?? host.dataset.rows, location.href);
  if (!isWhole()) {
    address.searchParams.set("from", new Date(view.from).toISOString());
    address.searchParams.set("to", new Date(view.to).toISOString());
  }
  if (page > 1) address.searchParams.set("page", page);
  const mine = (asked += 1);
  const answer = await fetch(address);
  if (!answer.ok || mine !== asked) return;
  rows.innerHTML = await answer.text(); // our own template, every name escaped there
  mark();
}

function mark() {
  for (const row of rows.querySelectorAll("tr[data-id]")) {
    const on = row.dataset.id === selected;
    row.classList.toggle("on", on);
    const link = row.querySelector("a");
    if (on) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
}

async function choose(id) {
  const page = data.page.replace("ID", id);
  if (narrow.matches) { location.href = page; return; }
  selected = id;
  mark();
  paint();
  const answer = await fetch(`${page}/panel`);
  if (!answer.ok || selected !== id) return;
  panel.innerHTML = await answer.text(); // our own template, every name escaped there
  const address = new URL(location.href);
  address.searchParams.set("sel", id);
  history.replaceState(null, "", address);
}

// The appearance before or after the chosen one, of anybody shown, brought into view.
function step(way) {
  const at = data.id.indexOf(selected) + way;
  if (at < 0 || at >= data.id.length) return;
  const start = data.start[at];
  if (start < view.from || start > view.to) show(start - (view.to - view.from) / 2, start + (view.to - view.from) / 2);
  choose(data.id[at]);
}

const plain = (event) => !(event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);

rows.addEventListener("click", (event) => {
  if (!plain(event) || !data) return;
  const link = event.target.closest("a[rel]");
  if (link) {
    event.preventDefault();
    list(Number(new URL(link.href).searchParams.get("page") ?? 1));
    return;
  }
  const row = event.target.closest("tr[data-id]");
  if (!row) return;
  event.preventDefault();
  choose(row.dataset.id);
});

panel?.addEventListener("click", (event) => {
  const link = event.target.closest("[data-select]");
  if (!link || !plain(event) || !data?.id.includes(link.dataset.select)) return;
  event.preventDefault();
  const start = data.start[data.id.indexOf(link.dataset.select)];
  if (start < view.from || start > view.to) show(start - (view.to - view.from) / 2, start + (view.to - view.from) / 2);
  choose(link.dataset.select);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, .body") || event.ctrlKey || event.metaKey || event.altKey || !data) return;
  if (event.key === "[" || event.key === "]") step(event.key === "[" ? -1 : 1);
});

// While a search runs, what it finds appears without being asked for.
let refreshed = Date.now();
document.addEventListener("searching", () => {
  if (Date.now() - refreshed < REFRESH_MS) return;
  refreshed = Date.now();
  load(false);
});
document.addEventListener("searched", () => load(false));
