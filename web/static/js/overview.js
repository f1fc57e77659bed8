// The strip above the lanes: how much was seen when, and the part of it that the lanes show.

import { html, set, svg } from "./svg.js";

const HEIGHT = 52, TOP = 8, ROOM = 40, GRIP = 8;

export class Overview {
  constructor(host, onView) {
    this.onView = onView;
    this.range = html("div", { class: "range" });
    this.plot = svg("svg", { height: 84, "aria-hidden": "true" });
    this.bins = svg("g");
    this.window = svg("rect", { class: "window", y: TOP, height: ROOM, rx: 6 });
    this.grips = [svg("rect", { class: "grip", y: TOP, height: ROOM, width: GRIP }), svg("rect", { class: "grip", y: TOP, height: ROOM, width: GRIP })];
    this.frame = svg("rect", { class: "frame", x: 0.5, y: TOP, height: ROOM, rx: 6 });
    this.ticks = svg("g");
    this.plot.append(this.frame, this.bins, this.window, ...this.grips, this.ticks);
    host.append(html("div", { class: "axis" }, this.range, this.plot));
    this.plot.addEventListener("pointerdown", (event) => this.grab(event));
  }

  load(data, whole) {
    this.data = data;
    this.whole = whole;
    this.resize();
  }

  resize() {
    this.width = Math.max(50, this.plot.clientWidth);
    set(this.plot, { viewBox: `0 0 ${this.width} 84` });
    set(this.frame, { width: this.width - 1 });
    const count = Math.max(10, Math.floor(this.width / 19));
    const bins = new Array(count).fill(0);
    const { from, to } = this.whole;
    for (const start of this.data.start) bins[Math.min(count - 1, Math.max(0, Math.floor(((start - from) / (to - from)) * count)))] += 1;
    const most = Math.max(1, ...bins), wide = this.width / count;
    // The square root keeps a single appearance visible beside a crowd.
    this.bins.replaceChildren(...bins.flatMap((n, i) => {
      if (!n) return [];
      const tall = Math.max(4, (ROOM - 6) * Math.sqrt(n / most));
      return [svg("rect", { class: "bin", x: i * wide + 1, y: TOP + ROOM - tall, width: wide - 2, height: tall, rx: 1.5 })];
    }));
  }

  draw(view, ticks, clock, shown, total) {
    const { from, to } = this.whole;
    const x = (ms) => ((ms - from) / (to - from)) * this.width;
    const left = Math.max(0.5, x(view.from)), right = Math.min(this.width - 0.5, Math.max(x(view.to), left + 6));
    const part = view.to - view.from < (to - from) * 0.995;
    set(this.window, { x: left, width: right - left, visibility: part ? "visible" : "hidden" });
    set(this.grips[0], { x: left - GRIP / 2, visibility: part ? "visible" : "hidden" });
    set(this.grips[1], { x: right - GRIP / 2, visibility: part ? "visible" : "hidden" });
    this.view = view;
    const scale = this.width / (view.to - view.from);
    this.ticks.replaceChildren(...ticks.map(({ ms, text }) => {
      const at = (ms - view.from) * scale;
      const anchor = at < 24 ? "start" : at > this.width - 24 ? "end" : "middle";
      return svg("text", { x: anchor === "start" ? Math.max(0, at) : anchor === "end" ? Math.min(this.width, at) : at, y: 72, "text-anchor": anchor }, text);
    }));
    const [first, second] = clock.period(view.from, view.to);
    this.range.replaceChildren(html("b", {}, first), html("b", {}, second), html("b", {}, `${shown.toLocaleString("en")} of ${total.toLocaleString("en")}${total < 10_000 ? " shown" : ""}`));
  }

  grab(event) {
    if (event.button || event.offsetY > HEIGHT) return;
    const box = this.plot.getBoundingClientRect();
    const at = (e) => this.whole.from + ((e.clientX - box.left) / box.width) * (this.whole.to - this.whole.from);
    const start = at(event), { from, to } = this.view;
    const part = from > this.whole.from || to < this.whole.to;
    const grip = this.grips.indexOf(event.target);
    const inside = part && start >= from && start <= to;
    const move = (e) => {
      const now = at(e);
      if (grip === 0) this.onView(Math.min(now, to - 1000), to);
      else if (grip === 1) this.onView(from, Math.max(now, from + 1000));
      else if (inside) this.onView(from + now - start, to + now - start);
      else if (Math.abs(now - start) * box.width > 4 * (this.whole.to - this.whole.from)) this.onView(Math.min(start, now), Math.max(start, now));
    };
    const end = (e) => {
      this.plot.removeEventListener("pointermove", move);
      // A press beside the window brings the window there.
      const still = Math.abs(e.clientX - event.clientX) < 4;
      if (still && grip < 0 && !inside && part) this.onView(start - (to - from) / 2, start + (to - from) / 2);
    };
    this.plot.setPointerCapture(event.pointerId);
    this.plot.addEventListener("pointermove", move);
    this.plot.addEventListener("pointerup", end, { once: true });
    event.preventDefault();
  }
}
