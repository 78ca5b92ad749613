"use strict";
(() => {
  const cases = [...document.querySelectorAll(".case")];
  const orders = cases.map(() => []);
  const state = document.getElementById("state");
  const rater = document.getElementById("rater");
  const page = document.body.dataset.page;
  const finish = document.getElementById("finish");
  const kept = `i2v-ballot ${page}`;
  let at = 0;
  let finished = false;

  function keep() {
    try {
      localStorage.setItem(kept, JSON.stringify({ rater: rater.value, orders, finished }));
    } catch { /* a browser that keeps nothing: the ballot is saved by its buttons alone */ }
  }
  function resume() {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      rater.value = found.rater;
      finished = found.finished;
      found.orders.forEach((order, index) => {
        const letters = [...cases[index].querySelectorAll("button")].map((button) => button.dataset.letter);
        orders[index].push(...new Set(order.filter((letter) => letters.includes(letter))));
      });
      at = Math.max(0, cases.findIndex((section, index) => !complete(index)));
    } catch { /* nothing kept */ }
  }
  function show() {
    cases.forEach((section, index) => { section.hidden = index !== at; });
    cases.forEach((section, index) => section.querySelectorAll("button").forEach((button) => {
      const place = orders[index].indexOf(button.dataset.letter) + 1;
      button.setAttribute("aria-pressed", String(place > 0));
      button.querySelector(".place").textContent = place > 0 ? `place ${place}` : "";
    }));
    const done = orders.filter((order, index) => complete(index)).length;
    finish.disabled = finished || done < cases.length;
    state.textContent = `${done} of ${cases.length} cases ranked. ` + (finished ? "Finished; thank you." : "Only fully ranked cases are saved.");
  }
  function complete(index) {
    return orders[index].length === cases[index].querySelectorAll("button").length;
  }
  function choose(letter) {
    if (cases[at].querySelector(`button[data-letter="${letter}"]`) && !orders[at].includes(letter)) {
      orders[at].push(letter);
      keep();
      show();
    }
  }
  function undo() { orders[at].pop(); keep(); show(); }
  function move(step) {
    at = Math.min(cases.length - 1, Math.max(0, at + step));
    show();
    cases[at].querySelector("h2").focus();
  }
  function rankings() {
    return Object.fromEntries(cases.flatMap((section, i) => complete(i) ? [[section.dataset.case, orders[i]]] : []));
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
    JSON.stringify({ format: "i2v-ballot.v1", page, rater: rater.value, rankings: rankings() }, null, 1) + "\n");
  document.getElementById("json").addEventListener("click", saveJson);
  finish.addEventListener("click", () => {
    finished = true;
    keep();
    show();
    saveJson();
  });
  rater.addEventListener("input", keep);
  document.getElementById("csv").addEventListener("click", () => {
    const rows = ["page,rater,case,clip,rank"];
    for (const [name, order] of Object.entries(rankings())) {
      order.forEach((letter, i) => rows.push([page, quoted(rater.value), name, letter, i + 1].join(",")));
    }
    save(file("csv"), "text/csv", rows.join("\n") + "\n");
  });
  document.getElementById("back").addEventListener("click", () => move(-1));
  document.getElementById("next").addEventListener("click", () => move(1));
  document.getElementById("undo").addEventListener("click", undo);
  document.querySelectorAll(".tiles button").forEach((button) => {
    button.addEventListener("click", () => choose(button.dataset.letter));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target === rater || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace") { event.preventDefault(); undo(); }
    else if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (/^[a-t]$/i.test(event.key)) choose(event.key.toUpperCase());
  });
  resume();
  show();
})();
