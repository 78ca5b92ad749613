"use strict";
(() => {
  const cases = [...document.querySelectorAll(".case")];
  const criteria = document.body.dataset.criteria.split(" ");
  const steps = cases.flatMap((section) => criteria.map((criterion) => ({ section, criterion, order: [] })));
  const [state, rater, finish, tie] = ["state", "rater", "finish", "tie"].map((id) => document.getElementById(id));
  const page = document.body.dataset.page;
  const kept = `i2v-ballot ${page}`;
  let at = 0;
  let finished = false;
  let tied = false;

  const lettersOf = (section) => [...section.querySelectorAll(".tiles button")].map((button) => button.dataset.letter);
  const complete = ({ section, order }) => order.flat().length === lettersOf(section).length;

  function keep() {
    try {
      localStorage.setItem(kept, JSON.stringify({ rater: rater.value, orders: steps.map((step) => step.order), finished }));
    } catch { /* a browser that keeps nothing: the ballot is saved by its buttons alone */ }
  }
  function resume() {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      rater.value = found.rater;
      finished = found.finished;
      found.orders.forEach((order, index) => {
        const free = new Set(lettersOf(steps[index].section));
        const places = order.map((place) => place.filter((letter) => free.delete(letter)));
        steps[index].order = places.filter((place) => place.length);
      });
      at = Math.max(0, steps.findIndex((step) => !complete(step)));
    } catch { /* nothing kept */ }
  }
  function show() {
    const now = steps[at];
    for (const section of cases) section.hidden = section !== now.section;
    for (const question of now.section.querySelectorAll(".question")) question.hidden = question.dataset.criterion !== now.criterion;
    for (const button of now.section.querySelectorAll(".tiles button")) {
      const place = now.order.findIndex((letters) => letters.includes(button.dataset.letter)) + 1;
      button.setAttribute("aria-pressed", String(place > 0));
      button.querySelector(".place").textContent = place > 0 ? `place ${place}` : "";
    }
    tied = tied && now.order.length > 0 && !complete(now);
    tie.disabled = !now.order.length || complete(now);
    tie.setAttribute("aria-pressed", String(tied));
    const done = steps.filter(complete).length;
    finish.disabled = finished || done < steps.length;
    state.textContent = `${done} of ${steps.length} questions answered. ` + (finished ? "Finished; thank you." : "Only complete answers are saved.");
  }
  function choose(letter) {
    const { section, order } = steps[at];
    if (!lettersOf(section).includes(letter) || order.flat().includes(letter)) return;
    if (tied && order.length) order.at(-1).push(letter);
    else order.push([letter]);
    tied = false;
    keep();
    show();
  }
  function undo() {
    const { order } = steps[at];
    order.at(-1)?.pop();
    if (order.at(-1)?.length === 0) order.pop();
    tied = false;
    keep();
    show();
  }
  function share() {
    tied = !tied;
    show();
  }
  function move(step) {
    at = Math.min(steps.length - 1, Math.max(0, at + step));
    tied = false;
    show();
    steps[at].section.querySelector("h2").focus();
  }
  function rankings() {
    const found = {};
    for (const step of steps) if (complete(step)) (found[step.section.dataset.case] ??= {})[step.criterion] = step.order;
    return found;
  }
  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const file = (suffix) => `ballot-${(rater.value.trim() || "unnamed").replace(/[^A-Za-z0-9_-]+/g, "-")}.${suffix}`;
  const quoted = (text) => `"${text.replace(/"/g, '""')}"`;

  const saveJson = () => save(file("json"), "application/json",
    JSON.stringify({ format: "i2v-ballot.v2", page, rater: rater.value, rankings: rankings() }, null, 1) + "\n");
  document.getElementById("json").addEventListener("click", saveJson);
  finish.addEventListener("click", () => {
    finished = true;
    keep();
    show();
    saveJson();
  });
  rater.addEventListener("input", keep);
  document.getElementById("csv").addEventListener("click", () => {
    const rows = ["page,rater,case,criterion,clip,rank"];
    for (const [name, answers] of Object.entries(rankings())) {
      for (const [criterion, order] of Object.entries(answers)) {
        order.forEach((letters, i) => letters.forEach((letter) => rows.push([page, quoted(rater.value), name, criterion, letter, i + 1].join(","))));
      }
    }
    save(file("csv"), "text/csv", rows.join("\n") + "\n");
  });
  document.getElementById("back").addEventListener("click", () => move(-1));
  document.getElementById("next").addEventListener("click", () => move(1));
  document.getElementById("undo").addEventListener("click", undo);
  tie.addEventListener("click", share);
  document.querySelectorAll(".tiles button").forEach((button) => {
    button.addEventListener("click", () => choose(button.dataset.letter));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target === rater || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace") { event.preventDefault(); undo(); }
    else if (event.key === "=") share();
    else if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (/^[a-t]$/i.test(event.key)) choose(event.key.toUpperCase());
  });
  resume();
  show();
})();
