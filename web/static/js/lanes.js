// The lanes: faces on wall-clock time, clustered so that a hundred thousand of them stay readable and quick.

import { html, set, svg } from "./svg.js";

const BAR = 5; // height of a coverage bar
const FAN = 17; // people seen at the same moment peek out from behind each other by this much
export const MARGIN = 14; // free room at the right end
const BLOCK = 2000; // pixels of time that are clustered at once
const ZOOMABLE_MS = 1500; // a cluster shorter than this is not taken apart by zooming

export class Lanes {
  constructor(host, { onSelect, onZoom }) {
    this.onSelect = onSelect;
    this.onZoom = onZoom;
    this.names = html("div", { class: "names" });
    this.plot = svg("svg", { class: "plot", "aria-hidden": "true" });
    this.layers = Object.fromEntries(["grid", "bars", "marks", "hits", "badges"].map((name) => [name, svg("g")]));
    this.plot.append(...Object.values(this.layers));
    this.body = html("div", { class: "body", tabindex: "0", role: "group" }, this.names, this.plot);
    host.append(this.body);
    this.drawn = new Map();
    this.plot.addEventListener("click", (event) => this.pressed(event));
  }

  load(data, clock) {
    this.data = data;
    this.clock = clock;
    const place = new Map(data.lanes.map((lane, index) => [lane.id, index]));
    const column = data.by === "person" ? data.person : data.camera;
    this.members = data.lanes.map(() => []);
    data.start.forEach((_, i) => this.members[place.get(column[i])]?.push(i));
    this.layers.hits.replaceChildren();
    this.drawn.clear();
    this.clusters = null;
    this.resize();
  }

  // Heights follow from the room there is: faces shrink where there are many lanes.
  resize() {
    const narrow = matchMedia("(max-width: 640px)").matches;
    const many = this.data.lanes.length;
    this.size = narrow ? 38 : many <= 8 ? 44 : many <= 20 ? 34 : 26;
    this.pad = narrow ? 28 : 12;
    this.height = this.pad + this.size + 22;
    this.full = Math.max(50, this.plot.clientWidth);
    this.width = this.full - (narrow ? 0 : MARGIN);
    this.clusters = null;
    const total = this.height * many;
    set(this.plot, { viewBox: `0 0 ${this.full} ${total}`, height: total });
    this.names.replaceChildren(...this.data.lanes.map((lane) => {
      const row = html("div", {}, html("span", { class: "name", dir: "auto", title: lane.name }, lane.name), html("small", { title: lane.note }, lane.note));
      row.style.height = `${this.height}px`;
      return row;
    }));
  }

  draw(view, ticks, selected) {
    this.view = view;
    const scale = this.width / (view.to - view.from);
    const x = (ms) => (ms - view.from) * scale;
    this.grid(x, ticks, selected);
    this.bars(x, scale);
    this.gather(scale, this.data.id.indexOf(selected));
    this.hits(x, scale, selected);
  }

  // Cluster what is in view, in whole blocks of absolute time, so that moving the view changes little but places.
  gather(scale, selected) {
    const block = BLOCK / scale, margin = (this.size + 3 * FAN) / scale;
    const from = Math.floor((this.view.from - margin) / block) * block;
    const to = Math.ceil((this.view.to + margin) / block) * block;
    const held = this.clusters;
    if (held && Math.abs(held.scale / scale - 1) < 1e-6 && held.selected === selected && held.from <= from && held.to >= to) return;
    const { start } = this.data;
    // One block more in front settles where the first cluster in view begins.
    const lanes = this.members.map((list) => {
      const first = lowerBound(list, (i) => start[i], from - block), last = lowerBound(list, (i) => start[i], to);
      return this.cluster(list, first, last, scale, selected);
    });
    this.clusters = { scale, selected, from, to, lanes };
  }

  grid(x, ticks, selected) {
    const bottom = this.height * this.data.lanes.length;
    const lines = ticks.map(({ ms }) => svg("line", { class: "grid", x1: x(ms), x2: x(ms), y1: 0, y2: bottom }));
    this.data.lanes.forEach((_, i) => lines.push(svg("line", { class: "lane", x1: 0, x2: this.full, y1: i * this.height + 0.5, y2: i * this.height + 0.5 })));
    this.layers.grid.replaceChildren(...lines);
    const at = this.data.id.indexOf(selected);
    const marks = at < 0 ? [] : [svg("line", { class: "cursor", x1: x(this.data.start[at]), x2: x(this.data.start[at]), y1: 0, y2: bottom })];
    this.layers.marks.replaceChildren(...marks);
  }

  // What was looked at: one rectangle for each span, those narrower than a pixel joined.
  bars(x, scale) {
    const shapes = [];
    this.data.lanes.forEach((lane, i) => {
      const y = (i + 1) * this.height - 14;
      let last = null;
      for (const [from, to, tone, words, why] of lane.spans) {
        const left = Math.max(-4, x(from)), right = Math.min(this.width + 4, x(to));
        if (right < 0 || left > this.width) continue;
        if (last && last.tone === tone && left - last.right < 1.5) {
          last.right = Math.max(last.right, right);
          set(last.shape, { width: Math.max(2, last.right - last.left) });
          continue;
        }
        const shape = svg("rect", { class: tone, x: left, y, width: Math.max(2, right - left), height: BAR, rx: BAR / 2 });
        if (words) shape.append(svg("title", {}, why ? `${words}: ${why}` : words));
        shapes.push(shape);
        last = { tone, left, right, shape };
        if (tone !== "seen" && tone !== "open" && right - left > 6.4 * words.length + 16) {
          shapes.push(svg("text", { x: Math.max(0, left) + 8, y: y - 6 }, words));
        }
      }
    });
    this.layers.bars.replaceChildren(...shapes);
  }

  // Put appearances too close together to be drawn apart into groups, each with the best of up to three people.
  cluster(list, first, last, scale, selected) {
    const { start, person, similarity } = this.data;
    const clusters = [];
    let open = null, until = 0;
    for (let n = first; n < last; n += 1) {
      const i = list[n];
      if (!open || start[i] >= until) {
        open = { from: start[i], members: [], best: new Map() };
        clusters.push(open);
      }
      open.members.push(i);
      const held = open.best.get(person[i]);
      if (held === undefined ? open.best.size < 3 || i === selected : i === selected || (held !== selected && similarity[i] > similarity[held])) {
        open.best.set(person[i], i);
        until = open.from + (this.size + 4 + FAN * (open.best.size - 1)) / scale;
      }
    }
    return clusters;
  }

  hits(x, scale, selected) {
    const kept = new Set();
    const badges = [];
    const margin = this.size + 3 * FAN;
    this.clusters.lanes.forEach((clusters, lane) => {
      const first = lowerBound(clusters, (cluster) => cluster.from, this.view.from - margin / scale);
      for (let n = Math.max(0, first - 1); n < clusters.length; n += 1) {
        const cluster = clusters[n];
        const left = x(cluster.from) - this.size / 2;
        if (left > this.width) break;
        const faces = [...cluster.best.values()];
        faces.forEach((i, k) => {
          const id = this.data.id[i];
          kept.add(id);
          const length = Math.max(0, (this.data.end[i] - this.data.start[i]) * scale);
          this.face(id, i, cluster, left + k * FAN, lane * this.height + this.pad, length, id === selected);
        });
        const more = cluster.members.length - faces.length;
        if (more) badges.push(this.badge(more + 1, left + (faces.length - 1) * FAN + this.size, lane * this.height + this.pad));
      }
    });
    for (const [id, { group }] of this.drawn) {
      if (!kept.has(id)) { group.remove(); this.drawn.delete(id); }
    }
    this.layers.badges.replaceChildren(...badges);
    // From left to right, and whoever is selected is never hidden behind somebody else.
    const { hits } = this.layers;
    [...kept].sort((a, b) => (a === selected) - (b === selected)).forEach((id, n) => {
      const { group } = this.drawn.get(id);
      if (hits.children[n] !== group) hits.insertBefore(group, hits.children[n] ?? null);
    });
  }

  badge(count, right, y) {
    const text = count > 999 ? "999+" : String(count);
    const wide = 8 + 6.5 * text.length;
    return svg("g", { class: "badge" },
      svg("rect", { x: right + 6 - wide, y: y - 6, width: wide, height: 16, rx: 8 }),
      svg("text", { x: right + 6 - wide / 2, y: y + 5.8 }, text));
  }

  face(id, i, cluster, x, y, length, on) {
    let held = this.drawn.get(id);
    if (!held) {
      held = this.makeFace(id, i);
      this.drawn.set(id, held);
      this.layers.hits.append(held.group);
    }
    held.cluster = cluster;
    set(held.group, { transform: `translate(${x.toFixed(1)} ${y})`, class: `hit${on ? " on" : ""}${this.data.weak ? " weak" : ""}` });
    // The bar says how long, once that is more than the face is wide.
    set(held.length, { width: length > this.size / 2 + 6 ? length.toFixed(1) : 0, x: this.size / 2 });
  }

  makeFace(id, i) {
    const { data, size } = this;
    const time = `${this.clock.day(data.start[i])}, ${this.clock.time(data.start[i])}`;
    const title = `${data.people[data.person[i]]} · ${data.cameras[data.camera[i]]}\n${time} · similarity ${data.similarity[i].toFixed(1)}`;
    const length = svg("rect", { class: "length", y: size - 3, height: 3, width: 0, rx: 1.5 });
    const group = svg("g", { class: "hit" },
      length,
      svg("rect", { class: "back", width: size, height: size, rx: 8 }),
      svg("image", { href: data.face.replace("ID", id), ...closer(size), preserveAspectRatio: "xMidYMid slice" }),
      svg("rect", { class: "edge", width: size, height: size, rx: 8 }),
      svg("title", {}, title));
    group.dataset.id = id;
    return { group, length };
  }

  pressed(event) {
    const group = event.target.closest?.(".hit");
    if (!group || this.moved) return;
    const { cluster } = this.drawn.get(group.dataset.id);
    const members = cluster.members;
    const last = this.data.start[members.at(-1)];
    if (members.length > cluster.best.size && last - cluster.from > ZOOMABLE_MS && this.view.to - this.view.from > 4000) {
      const room = Math.max(last - cluster.from, 1000);
      this.onZoom(cluster.from - room * 0.35, last + room * 0.35);
    } else if (members.length > cluster.best.size) {
      // They cannot be drawn apart: each press shows the next.
      const at = members.indexOf(this.clusters.selected);
      this.onSelect(this.data.id[members[(at + 1) % members.length]]);
    } else {
      this.onSelect(group.dataset.id);
    }
  }
}

// The kept face has much around it: show its middle, cut to the square by the style sheet (same figure there).
function closer(size) {
  const large = size * 1.3;
  return { x: (size - large) / 2, y: (size - large) / 2, width: large, height: large };
}

// Where in a list in order of time the first item at or after an instant is.
export function lowerBound(list, time, ms) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(list[middle]) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}
