// The panel works without this file but for the menu on a narrow screen; nothing here decides anything.
"use strict";

document.querySelectorAll("[data-opens]").forEach((button) => {
  const menu = document.getElementById(button.dataset.opens);
  button.addEventListener("click", () => {
    button.setAttribute("aria-expanded", String(menu.classList.toggle("show")));
  });
});

document.querySelectorAll("[data-chooses]").forEach((all) => {
  const each = document.querySelectorAll(`input[name="${all.dataset.chooses}"]`);
  all.addEventListener("change", () => each.forEach((one) => { one.checked = all.checked; }));
});

document.querySelectorAll("form").forEach((form) => {
  form.addEventListener("submit", (event) => {
    const chosen = form.querySelector("select[name=action]");
    const asked = (chosen ? chosen.selectedOptions[0] : event.submitter)?.dataset.confirm;
    if (asked && !window.confirm(asked)) event.preventDefault();
  });
});

// Flower shows a task under its id, on the same host as a rule.
document.querySelectorAll("[data-task]").forEach((code) => {
  const link = document.createElement("a");
  link.href = `${location.protocol}//${location.hostname}:${code.dataset.flower}/task/${code.dataset.task}`;
  link.title = "This task in Flower";
  link.rel = "noopener noreferrer";
  code.replaceWith(link);
  link.append(code);
});
