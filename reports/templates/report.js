"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const films = () => document.getAnimations().filter((animation) => animation.animationName === "film");
  const play = document.getElementById("play");
  const frame = document.getElementById("frame");

  // One clock for all clips, however late each was parsed or shown.
  const synchronise = () => {
    for (const animation of films()) {
      if (play.checked) animation.startTime = 0;
      else animation.currentTime = (Number(frame.value) + 0.5) * Number(animation.effect.target.dataset.frameMs);
    }
  };

  const group = document.getElementById("groups");
  if (group) {
    group.hidden = false;
    const choose = (name) => {
      for (const part of all("[data-group]")) part.hidden = part.dataset.group !== name;
      for (const part of all("[data-sample-group]")) part.hidden = name !== "all" && part.dataset.sampleGroup !== name;
      if (play) requestAnimationFrame(synchronise);
    };
    group.addEventListener("change", (event) => choose(event.target.value));
    choose(group.querySelector("input:checked").value);
  }

  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.dataset.first || "descending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const numeric = column > 0;
        const key = (row) => row.cells[column].dataset.value ?? "";
        const rows = all("tbody tr", table).sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  if (play) {
    document.getElementById("stepper").hidden = false;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) play.checked = false;
    play.addEventListener("change", () => requestAnimationFrame(synchronise));
    frame.addEventListener("input", () => {
      play.checked = false;
      document.getElementById("frame-number").textContent = frame.value;
      requestAnimationFrame(synchronise);
    });
    addEventListener("load", synchronise);
  }
})();
