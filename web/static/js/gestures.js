// Wheel, drag, pinch and keys for a period of time on screen.

export function gestures(element, area, { view, zoom, pan, all, step, moved }) {
  const at = (clientX) => {
    const box = area().getBoundingClientRect();
    return view().from + ((clientX - box.left) / box.width) * (view().to - view().from);
  };

  element.addEventListener("wheel", (event) => {
    const tall = element.clientHeight > innerHeight && !event.ctrlKey && !event.metaKey;
    if (tall && Math.abs(event.deltaY) >= Math.abs(event.deltaX)) return; // the page must still scroll
    const lines = event.deltaMode === 1 ? 16 : 1;
    let used;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) used = pan(((event.deltaX || event.deltaY) * lines) / area().clientWidth);
    else used = zoom(Math.exp(event.deltaY * lines * 0.0016), at(event.clientX));
    if (used) event.preventDefault();
  }, { passive: false });

  const down = new Map();
  let travelled = 0;
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down.set(event.pointerId, event.clientX);
    if (down.size === 1) { travelled = 0; moved(false); }
  });
  element.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = [...down.values()];
    const shift = event.clientX - down.get(event.pointerId);
    down.set(event.pointerId, event.clientX);
    const now = [...down.values()];
    if (down.size === 2) {
      const wide = (xs) => Math.max(20, Math.abs(xs[0] - xs[1]));
      zoom(wide(before) / wide(now), at((now[0] + now[1]) / 2));
      moved(true);
      return;
    }
    travelled += Math.abs(shift);
    if (travelled < 5) return;
    if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
    moved(true);
    pan(-shift / area().clientWidth);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    element.addEventListener(type, (event) => {
      down.delete(event.pointerId);
      if (!down.size) setTimeout(() => moved(false));
    });
  }

  const keys = {
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6),
    Home: all, 0: all, "[": () => step(-1), "]": () => step(1),
  };
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  });
}
