"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  let group = "all";
  document.documentElement.classList.add("scripted");
  byId("bar").hidden = false;
  byId("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; });
  byId("bar").addEventListener("submit", (event) => event.preventDefault());

  // One clock for all clips, however late each was parsed or shown; clips out of sight are neither
  // decoded nor moved.
  const play = byId("play");
  const frame = byId("frame");
  let playing = true;
  const synchronise = () => requestAnimationFrame(() => {
    if (!play) return;
    for (const animation of document.getAnimations()) {
      if (!animation.animationName?.startsWith("film-")) continue;
      if (playing) animation.startTime = 0;
      else animation.currentTime = (Number(frame.value) + 0.5) * Number(animation.effect.target.dataset.frameMs);
    }
  });
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) target.classList.toggle("live", isIntersecting);
    synchronise();
  }, { rootMargin: "200px" });
  const watchFilms = (within) => {
    for (const film of all(".film", within)) {
      film.classList.remove("live");
      sight.observe(film);
      film.tabIndex = 0;
      film.setAttribute("role", "button");
    }
  };
  const setPlaying = (wanted) => {
    playing = wanted;
    document.documentElement.classList.toggle("paused", !playing);
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
    byId("frame-number").textContent = playing ? "–" : frame.value;
    synchronise();
  };
  if (play) {
    play.addEventListener("click", () => setPlaying(!playing));
    frame.addEventListener("input", () => setPlaying(false));
    setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);
    addEventListener("load", synchronise);
  }
  watchFilms(document);

  // Clips of a cell, copied from the grid, so that no picture is in the file twice.
  const grid = byId("clip-grid");
  const rowOf = (cell) => grid && all("tbody tr", grid).find((row) => row.dataset.cell === String(cell));
  const columns = () => (grid ? all("thead tr:first-child th", grid).slice(1) : [])
    .map((head, at) => ({ head, at: at + 1 })).filter(({ head }) => !head.hidden);
  const clipsOf = (rows) => {
    const table = make("table");
    table.append(make("caption", "Clips, one column a sample", "unseen"));
    const lines = [];
    for (const row of rows) {
      // a copy, so that a long name breaks where it does in the grid
      const name = row.cells[0].querySelector("code")?.cloneNode(true) ?? make("span", row.cells[0].textContent);
      lines.push([name, (at) => {
        const content = make("span");
        content.append(...[...row.cells[at].childNodes].map((node) => node.cloneNode(true)));
        content.title = grid.tHead.rows[0].cells[at].textContent;
        return content;
      }]);
    }
    for (const [name, content] of lines) {
      const line = table.insertRow();
      const head = make("th");
      head.append(name);
      head.scope = "row";
      line.append(head);
      for (const { at } of columns()) line.insertCell().append(content(at));
    }
    watchFilms(table);
    return table;
  };

  // A clip large, frame by frame, beside its input and others of its sample.
  const viewer = make("dialog");
  viewer.id = "viewer";
  viewer.setAttribute("aria-label", "Clip");
  document.body.append(viewer);
  const nameOf = (film) => (film.dataset.cell || "input");
  const large = (film, under) => {
    const figure = make("figure");
    figure.style.setProperty("--wide", `${film.dataset.width}px`);
    figure.append(make("figcaption", under ? `${nameOf(film)} minus input` : nameOf(film)));
    const layers = make("div", undefined, "layers");
    for (const each of under ? [film, under] : [film]) {
      const copy = each.cloneNode();
      copy.removeAttribute("tabindex");
      copy.setAttribute("role", "img");
      copy.classList.add("live");
      layers.append(copy);
    }
    figure.append(layers);
    const at = !grid || under ? null : all(".film", grid).find((each) => each.dataset.sample === film.dataset.sample && each.dataset.cell === film.dataset.cell);
    const values = at?.parentElement.querySelector(".value")?.cloneNode(true);
    if (values) {
      values.hidden = false;
      figure.append(values);
    }
    return figure;
  };
  const openViewer = (film) => {
    const kin = new Map();
    for (const each of all(".film", document)) {
      if (each.dataset.sample === film.dataset.sample && !viewer.contains(each)) kin.set(nameOf(each), each);
    }
    kin.set(nameOf(film), film);
    const controls = make("div", undefined, "controls");
    const stage = make("div", undefined, "stage");
    const back = make("button", "‹ frame");
    const on = make("button", "frame ›");
    const number = make("output");
    const other = make("select");
    other.setAttribute("aria-label", "Beside it");
    for (const name of ["", ...kin.keys()]) if (name !== nameOf(film)) other.append(new Option(name || "beside it: nothing else", name));
    const minus = make("input");
    minus.type = "checkbox";
    const label = make("label", "difference to the input ");
    label.append(minus);
    const close = make("button", "Close");
    for (const button of [back, on, close]) button.type = "button";
    const fill = () => {
      const shown = [...new Set(["input", nameOf(film), other.value].filter((name) => kin.has(name)))];
      stage.replaceChildren(...shown.map((name) => large(kin.get(name))));
      if (minus.checked && kin.has("input")) {
        stage.append(...shown.filter((name) => name !== "input").map((name) => large(kin.get(name), kin.get("input"))));
      }
      synchronise();
    };
    const step = (by) => {
      if (!frame) return;
      const count = Number(film.dataset.frames);
      const now = playing ? (by > 0 ? -1 : 1) : Number(frame.value);
      frame.value = (now + by + count) % count;
      setPlaying(false);
      number.textContent = `frame ${frame.value} of ${count - 1}`;
    };
    back.addEventListener("click", () => step(-1));
    on.addEventListener("click", () => step(1));
    other.addEventListener("change", fill);
    minus.addEventListener("change", fill);
    close.addEventListener("click", () => viewer.close());
    viewer.onkeydown = (event) => {
      if (event.target === other) return;
      if (event.key === "ArrowRight") step(1);
      if (event.key === "ArrowLeft") step(-1);
    };
    controls.append(back, on, number, other, label, close);
    viewer.replaceChildren(controls, stage);
    fill();
    viewer.showModal();
    viewer.onclose = () => film.focus();
  };
  document.addEventListener("click", (event) => {
    const film = event.target.closest?.(".film[role=button]");
    if (film) openViewer(film);
  });
  document.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && event.target.matches?.(".film[role=button]")) {
      event.preventDefault();
      openViewer(event.target);
    }
  });

  // The sheet shows one sample at a time.
  for (const sheets of all(".sheets")) {
    const pages = all(".sheet", sheets);
    const turn = sheets.querySelector(".turn");
    let at = 0;
    const show = (to) => {
      at = (to + pages.length) % pages.length;
      pages.forEach((page, i) => { page.hidden = i !== at; });
      turn.querySelector("output").textContent = `sample ${at + 1} of ${pages.length}`;
      turn.hidden = pages.length < 2;
    };
    turn.querySelector(".turn-back").addEventListener("click", () => show(at - 1));
    turn.querySelector(".turn-on").addEventListener("click", () => show(at + 1));
    show(0);
  }

  // What a link leads to is opened.
  const unfold = () => {
    const target = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target?.querySelector(":scope > details")?.setAttribute("open", "");
  };
  addEventListener("hashchange", unfold);
  unfold();

  const data = byId("pair-data") && JSON.parse(byId("pair-data").textContent);
  const peek = byId("peek");
  let pinned = null;
  const names = all(".peek[data-cell]").reduce((found, link) => found.set(link.dataset.cell, link), new Map());
  const showPeek = (cell, x) => {
    const row = rowOf(cell);
    const name = row ? row.cells[0].querySelector("code").textContent : names.get(cell)?.textContent ?? "";
    byId("peek-title").textContent = name;
    const at = data ? data.cells.indexOf(name) : -1;
    byId("peek-values").textContent = at < 0 ? "" : data.measures
      .map((measure, i) => [measure.label, data.means[group]?.[i]?.[at]]).filter(([, mean]) => mean)
      .map(([label, mean]) => `${label} ${mean[0]} (${mean[1]})`).join(" · ");
    byId("peek-clips").replaceChildren(...(row ? [clipsOf([row])] : []));
    peek.classList.toggle("left", x > innerWidth / 2);
    peek.hidden = false;
    synchronise();
  };
  const hidePeek = () => { peek.hidden = true; pinned = null; };
  const watch = (element, cell) => {
    const middle = () => { const box = element.getBoundingClientRect(); return box.left + box.width / 2; };
    element.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && pinned === null) showPeek(cell, middle());
    });
    element.addEventListener("pointerleave", () => { if (pinned === null) hidePeek(); });
    element.addEventListener("focus", () => { if (element.matches(":focus-visible") && pinned === null) showPeek(cell, middle()); });
    element.addEventListener("blur", (event) => { if (pinned === null && !peek.contains(event.relatedTarget)) hidePeek(); });
    element.addEventListener("click", (event) => {
      event.preventDefault();
      if (pinned === element) return hidePeek();
      showPeek(cell, middle());
      pinned = element;
    });
  };
  for (const link of all(".peek[data-cell]")) watch(link, link.dataset.cell);
  for (const marker of all('svg [id*="-point-"]')) {
    marker.classList.add("marker");
    watch(marker, marker.id.split("-point-")[1]);
  }
  const close = () => { const from = pinned; hidePeek(); from?.focus?.(); };
  byId("peek-close").addEventListener("click", close);
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !peek.hidden) close(); });

  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = make("button");
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
        const key = (row) => row.cells[column]?.dataset.value ?? "";
        const rows = all("tbody tr", table).sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          return sign * (column > 0 ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  const filter = byId("cell-filter");
  const applyFilter = () => {
    const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const table of all("table.filtered")) {
      const heads = all("thead th", table);
      const passes = (row, word) => {
        const [, name, sign, limit] = word.match(/^([^<>]+)([<>])(-?[\d.]+)$/) ?? [];
        if (name === undefined) return row.cells[0].dataset.value.toLowerCase().includes(word);
        const column = heads.findIndex((head) => head.dataset.name?.startsWith(name));
        const value = row.cells[column]?.dataset.value ?? "";
        return value !== "" && (sign === ">" ? Number(value) > Number(limit) : Number(value) < Number(limit));
      };
      const rows = all("tbody tr", table);
      for (const row of rows) row.hidden = !words.every((word) => passes(row, word));
      if (!table.closest("[data-group]").hidden) {
        byId("filter-count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cells`;
      }
    }
  };
  if (filter) filter.addEventListener("input", applyFilter);

  const order = byId("clip-order");
  if (order) {
    const reorder = () => {
      const [at, sign] = order.value.split(" ").map(Number);
      const row = rowOf(byId("clip-cell").value);
      const count = row.cells.length;
      const value = (column) => {
        if (!order.value) return Number(grid.tHead.rows[0].cells[column].dataset.at);
        const text = row.cells[column].dataset.values?.split(";")[at] ?? "";
        return text === "" ? Infinity : sign * Number(text);
      };
      const columnsInOrder = [...Array(count).keys()].slice(1).sort((a, b) => value(a) - value(b));
      for (const line of grid.rows) line.append(...columnsInOrder.map((column) => line.cells[column]));
      showPair();
    };
    all("thead tr:first-child th", grid).forEach((head, at) => { head.dataset.at = at; });
    order.addEventListener("change", reorder);
    byId("clip-cell").addEventListener("change", reorder);
  }
  for (const control of all(".filter, .choose")) control.hidden = false;

  const number = (value, decimals) => {
    if (value === null) return "–";
    const text = value.toFixed(decimals);
    return Number(text) === 0 ? text.replace("-", "") : (value > 0 ? "+" : "") + text.replace("-", "−");
  };
  const roundUp = (value) => {
    const ten = 10 ** Math.floor(Math.log10(value));
    return Number((ten * [1, 2, 5, 10].find((step) => step * ten >= value * 0.999999)).toPrecision(1));
  };
  const bar = (low, mean, high) => {
    const most = roundUp(Math.max(1e-12, ...[low, mean, high].map((value) => Math.abs(value ?? 0))));
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "-50 -6 100 20");
    svg.setAttribute("class", "bar-of-interval");
    svg.setAttribute("aria-hidden", "true");
    const draw = (tag, attributes) => {
      const part = document.createElementNS(space, tag);
      for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
      svg.append(part);
    };
    const at = (value) => Math.max(-49, Math.min(49, 48 * value / most));
    draw("line", { x1: 0, x2: 0, y1: -6, y2: 6, class: "zero" });
    draw("line", { x1: -48, x2: 48, y1: 6, y2: 6, class: "axis" });
    for (const value of [-most, 0, most]) {
      draw("line", { x1: at(value), x2: at(value), y1: 5, y2: 7, class: "axis" });
      draw("text", { x: at(value), y: 13 });
      svg.lastChild.textContent = (value > 0 ? "+" : "") + String(value).replace("-", "−");
    }
    if (low !== null) draw("line", { x1: at(low), x2: at(high), y1: 0, y2: 0, class: "whole" });
    draw("circle", { cx: at(mean), cy: 0, r: 2.6 });
    return svg;
  };
  const [first, second] = ["pair-first", "pair-second"].map(byId);
  const says = ({ better }, [mean, , , separated, , , few]) => {
    if (few) return ["undecided", "unclear"];
    if (!separated) return ["not separated", "unclear"];
    const lead = mean > 0 ? "first" : "second";
    const chance = separated === 2 ? "" : " †";
    if (better === null) return [`${lead} higher${chance}`, "higher"];
    return [`${(mean > 0) === better ? "first" : "second"} better${chance}`, (mean > 0) === better ? "better" : "worse"];
  };
  function showPair() {
    if (!data || !first) return;
    const [a, b] = [Number(first.value), Number(second.value)];
    const body = byId("pair-table").tBodies[0];
    const [i, j] = a < b ? [a, b] : [b, a];
    const index = i * data.cells.length - i * (i + 1) / 2 + j - i - 1;
    let [told, images, clips, few] = [0, 0, 0, false];
    body.replaceChildren(...(a === b ? [] : data.measures.flatMap((measure, at) => {
      const rows = data.groups[group][at];
      let entry = rows[index];
      if (!entry) return [];
      if (a > b) entry = [-entry[0], entry[2] === null ? null : -entry[2], entry[1] === null ? null : -entry[1], ...entry.slice(3)];
      const [mean, low, high, separated, n, from, small] = entry;
      told += separated > 0;
      [clips, images, few] = [n, from, few || small];
      const row = make("tr");
      const head = make("th", measure.label);
      head.scope = "row";
      if (measure.unit) head.append(make("span", measure.unit, "encoder"));
      row.append(head);
      for (const cell of [a, b]) {
        const [text, interval] = data.means[group][at][cell] ?? ["–", ""];
        row.insertCell().append(text, make("span", interval, "interval"));
      }
      const [words, mark] = says(measure, entry);
      const difference = row.insertCell();
      // digits with which an interval that excludes 0 is not shown as touching it
      let digits = measure.decimals;
      while (low * high > 0 && digits < 8 && Number(Math.min(Math.abs(low), Math.abs(high)).toFixed(digits)) === 0) digits += 1;
      const interval = low === null ? "no interval" : `${number(low, digits)} to ${number(high, digits)}`;
      difference.append(make("span", number(mean, digits), mark), make("span", interval, "interval"));
      if (small) difference.append(make("span", "n too small", "caution"));
      row.insertCell().append(bar(low, mean, high));
      row.insertCell().append(make("span", words, mark));
      return [row];
    })));
    byId("pair-summary").textContent = a === b ? "Choose two different cells." : !body.rows.length
      ? "The two share no clip in this group."
      : `${clips} pairs of clips of ${images} input images` + (few
        ? ": n too small to say which of the two is better; the intervals are too narrow."
        : `. ${told} of ${body.rows.length} intervals exclude 0. † would hold 0 if corrected for all pairs.`);
    const [top, bottom] = [rowOf(rowNumber(a)), rowOf(rowNumber(b))];
    const heads = grid ? [...grid.tHead.rows].slice(1) : [];
    byId("pair-clips").replaceChildren(...(top && bottom && a !== b ? [clipsOf([...heads, top, bottom])] : []));
    synchronise();
  }
  const rowNumber = (at) => grid && all("tbody tr", grid).find((row) => row.cells[0].querySelector("code").textContent === data.cells[at])?.dataset.cell;
  if (first && data) {
    for (const select of [first, second]) select.addEventListener("change", showPair);
    byId("pair-swap").addEventListener("click", () => {
      [first.value, second.value] = [second.value, first.value];
      showPair();
    });
    byId("pair-form").addEventListener("submit", (event) => event.preventDefault());
  }

  const choose = (name) => {
    group = name;
    for (const part of all("[data-group]")) part.hidden = part.dataset.group !== name;
    for (const part of all("[data-sample-group]")) part.hidden = name !== "all" && part.dataset.sampleGroup !== name;
    if (filter) applyFilter();
    if (pinned === null) hidePeek();
    showPair();
  };
  const groups = byId("groups");
  if (groups) {
    groups.addEventListener("change", (event) => choose(event.target.value));
    choose(groups.querySelector("input:checked").value);
  } else {
    if (filter) applyFilter();
    const only = document.querySelector("[data-group]");
    if (only) group = only.dataset.group;
    showPair();
  }
})();
