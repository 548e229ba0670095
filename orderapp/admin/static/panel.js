// The panel works without this file but for the menu on a narrow screen and the dashboard's refresh; nothing here decides
// anything.
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

// The dashboard: asks for its figures again and again, but not while nobody looks, and says when what it shows is old.
const LONGEST_ANSWER = 8000; // ms: a database that hangs must not look like one that has no news

function words(status, page) {
  const told = new DOMParser().parseFromString(page, "text/html").querySelector("main p");
  return told ? told.textContent : `The answer was ${status}.`;
}

async function ask(address) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), LONGEST_ANSWER);
  try {
    const answer = await fetch(address, { signal: stop.signal, redirect: "manual" });
    if (answer.type === "opaqueredirect") return { fault: "You are logged out: open the page again to log in." };
    const page = await answer.text();
    return answer.ok ? { page } : { fault: words(answer.status, page) };
  } catch (error) {
    return { fault: stop.signal.aborted ? "No answer for 8 s." : "The service cannot be reached." };
  } finally {
    clearTimeout(timer);
  }
}

function show(box, page) {
  const link = box.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  box.innerHTML = page;
  if (link) [...box.querySelectorAll("a")].find((one) => one.getAttribute("href") === link)?.focus();
}

document.querySelectorAll("[data-live]").forEach((box) => {
  const state = document.getElementById(box.dataset.state);
  let timer, asking = false, shown = "";
  const say = (line, stale) => {
    state.setAttribute("aria-live", stale ? "polite" : "off"); // a reader aloud hears of faults, not of every refresh
    state.textContent = line;
    state.classList.toggle("fault", stale);
    box.classList.toggle("stale", stale);
  };
  const refresh = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    box.setAttribute("aria-busy", "true");
    const { page, fault } = await ask(box.dataset.live);
    box.setAttribute("aria-busy", "false");
    asking = false;
    const next = `every ${box.dataset.every} s`;
    if (fault) {
      say(`${fault} ${shown ? `These are the figures of ${shown} UTC.` : "There are no figures yet."} Trying again ${next}.`, true);
    } else {
      show(box, page);
      shown = new Date(box.querySelector("[data-now]").dataset.now * 1000).toISOString().slice(11, 19);
      say(`As of ${shown} UTC, ${next}`, false);
    }
    timer = setTimeout(refresh, box.dataset.every * 1000);
  };
  document.addEventListener("visibilitychange", refresh);
  refresh();
});
