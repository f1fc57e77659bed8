// Choose a face by pressing it in the picture.

const picture = document.getElementById("picture");
const form = document.getElementById("faces");

function show() {
  const chosen = form?.elements.face?.value;
  for (const box of picture?.querySelectorAll("[data-face]") ?? []) box.classList.toggle("on", box.dataset.face === chosen);
}

picture?.addEventListener("click", (event) => {
  const number = event.target.dataset?.face;
  const choice = form?.querySelector(`input[name=face][value="${number}"]`);
  if (!choice) return;
  choice.checked = true;
  choice.focus();
  show();
});
form?.addEventListener("change", show);
show();
