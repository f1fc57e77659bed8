// The video of an appearance: start where it starts, step by frames, say so when it cannot be played.

const video = document.getElementById("video");
const problem = document.getElementById("no-video");

if (video) {
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
      if (button.dataset.seek === "from") video.play();
    });
  }
  video.addEventListener("error", () => { problem.hidden = false; });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select, video") || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "," || event.key === ".") document.querySelector(`[data-seek="${event.key === "," ? -1 : 1}"]`).click();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, video") || event.metaKey || event.ctrlKey || event.altKey) return;
  const way = { "[": "prev", "]": "next" }[event.key];
  if (way) document.querySelector(`a[rel=${way}]`)?.click();
});
