// What every page has: filters that apply at once, photo drops, lists to filter, and how a search is going.

const POLL_MS = 2000;

const filters = document.getElementById("filters");
filters?.addEventListener("change", (event) => {
  if (event.target.closest(".period")) return;
  filters.requestSubmit();
});
filters?.addEventListener("submit", () => {
  // An address without empty parts is one that can be read and passed on.
  for (const field of filters.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of filters?.elements ?? []) field.disabled = false;
});

for (const list of document.querySelectorAll("[data-filtered]")) {
  list.querySelector("input[type=search]")?.addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLocaleLowerCase();
    for (const label of list.querySelectorAll("label")) label.hidden = !label.textContent.toLocaleLowerCase().includes(wanted);
  });
  list.querySelector("input[type=search]")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});

for (const drop of document.querySelectorAll(".drop")) {
  const input = drop.querySelector("input");
  const told = drop.querySelector("output");
  input.addEventListener("change", () => {
    const bytes = [...input.files].reduce((sum, file) => sum + file.size, 0);
    const many = input.files.length === 1 ? input.files[0].name : `${input.files.length} photos`;
    told.value = input.files.length ? `${many}, ${(bytes / 1e6).toFixed(1)} MB` : "";
    input.setCustomValidity(bytes > 100 * 1024 * 1024 ? "At most 100 MB can be sent at once. Choose fewer photos." : "");
    input.reportValidity();
  });
  for (const type of ["dragenter", "dragover"]) drop.addEventListener(type, () => drop.classList.add("over"));
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
}
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    // Sent once: enrolling takes a moment, and a second click would do it again.
    const button = form.querySelector("button:not([type=button])");
    setTimeout(() => { if (button) { button.disabled = true; button.setAttribute("aria-busy", "true"); } });
  });
}
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) { button.disabled = false; button.removeAttribute("aria-busy"); }
});

follow(document.getElementById("searching"), document.getElementById("footage"));

function follow(tag, table) {
  if (!tag || !Number(tag.dataset.open)) return;
  let was = Number(tag.dataset.open);
  const look = async () => {
    let state;
    try {
      const answer = await fetch(table?.dataset.src ?? tag.dataset.src);
      if (!answer.ok) throw new Error(answer.status);
      state = await answer.json();
    } catch {
      setTimeout(look, 5 * POLL_MS); // the server restarts, or the lid was closed
      return;
    }
    tag.hidden = !state.open;
    tag.querySelector("[data-percent]").textContent = state.percent;
    for (const [id, value] of [["progress", "value"], ["percent", "textContent"]]) {
      const shown = document.getElementById(id);
      if (shown) shown[value] = state.percent;
    }
    const waits = document.getElementById("waits");
    if (waits) {
      waits.hidden = !state.waits;
      waits.querySelector("span").textContent = state.waits;
    }
    if (table) update(table, state.rows);
    document.dispatchEvent(new CustomEvent("searching", { detail: state }));
    if (state.open) setTimeout(look, document.hidden ? 5 * POLL_MS : POLL_MS);
    else if (was) document.dispatchEvent(new CustomEvent("searched", { detail: state }));
    was = state.open;
  };
  setTimeout(look, POLL_MS);
}

function update(table, rows) {
  for (const row of table.querySelectorAll("tr[data-id]")) {
    for (const [name, html] of Object.entries(rows[row.dataset.id] ?? {})) {
      const cell = row.querySelector(`[data-cell="${name}"]`);
      // Made by our own templates, every name escaped there.
      if (cell && cell.dataset.html !== html) { cell.innerHTML = html; cell.dataset.html = html; }
    }
  }
}

document.addEventListener("searched", () => {
  if (document.querySelector("#footage, #progress, .steps")) location.reload();
});
