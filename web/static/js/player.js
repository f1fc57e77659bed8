// The moment of an appearance: its kept frame or its video, which starts where it starts and steps by frames.

const video = document.getElementById("video");
const problem = document.getElementById("no-video");

const views = { still: document.getElementById("still"), moving: document.getElementById("moving") };
const choice = document.getElementById("switch");

function show(name) {
  for (const [key, view] of Object.entries(views)) view.hidden = key !== name;
  for (const button of choice.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.show === name);
  if (name === "still") video.pause();
}

if (video) {
  choice.hidden = false;
  choice.addEventListener("click", (event) => {
    const name = event.target.dataset?.show;
    if (name) show(name);
    if (name === "moving") document.querySelector("[data-seek=from]").click();
  });
  show("still");
  const from = Number(video.dataset.from);
  const best = Number(video.dataset.best);
  const frame = 1 / (Number(video.dataset.fps) || 25);
  const seek = { from: () => from, best: () => best, "-1": () => video.currentTime - frame, 1: () => video.currentTime + frame };

  for (const button of document.querySelectorAll("[data-seek]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const move = () => { video.currentTime = Math.max(0, seek[button.dataset.seek]()); };
      if (button.dataset.seek !== "from") video.pause();
      if (video.readyState) move();
      else { video.addEventListener("loadedmetadata", move, { once: true }); video.load(); }
      if (button.dataset.seek === "from") video.play().catch(() => {}); // a browser may want a press on the video itself
    });
  }
  video.addEventListener("error", () => { show("still"); problem.hidden = false; });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select, video") || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "," || event.key === ".") {
      show("moving");
      document.querySelector(`[data-seek="${event.key === "," ? -1 : 1}"]`).click();
    }
  });
}
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, video") || event.metaKey || event.ctrlKey || event.altKey) return;
  const way = { "[": "prev", "]": "next" }[event.key];
  if (way) document.querySelector(`a[rel=${way}]`)?.click();
});
