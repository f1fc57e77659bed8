// Choose recordings: how many are chosen, and all at once.

const listing = document.getElementById("listing");
const all = document.getElementById("all");
const told = document.getElementById("chosen");
const boxes = [...(listing?.querySelectorAll("input[type=checkbox]:not([data-folder])") ?? [])];

function tell() {
  const count = boxes.filter((box) => box.checked).length;
  if (told) told.textContent = count ? ` ${count} ${count === 1 ? "recording" : "recordings"}` : "";
  if (all) all.textContent = count === boxes.length ? "Choose none" : "Choose all";
}

if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    const on = boxes.some((box) => !box.checked);
    for (const box of boxes) box.checked = on;
    tell();
  });
}
listing?.addEventListener("change", tell);
tell();
