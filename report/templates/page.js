"use strict";
/* Draws the figures when they come into view, sorts the tables, and prepares the page for printing. */
(() => {
  const PRINTED = { full: 690, small: 335 };              // [px] width of a figure on paper

  function sortTable(header) {
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.children[column];
      if (!header.classList.contains("number")) return cell.textContent.toLowerCase();
      return cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
    };
    const order = (a, b) => {
      const [left, right] = [key(a), key(b)];
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);   // missing: last
      return (left < right ? -1 : left > right ? 1 : 0) * (down ? -1 : 1);
    };
    for (const body of table.tBodies) body.append(...[...body.rows].sort(order));
  }

  function fitHeight(canvas) {                            // plotly.js leaves the other axis as it was
    const [begin, end] = canvas._fullLayout.xaxis.range.map((edge) => (typeof edge === "string" ? edge : Number(edge)));
    let low = Infinity, high = -Infinity;
    for (const trace of canvas.data) {
      if (trace.visible === "legendonly") continue;
      trace.x.forEach((x, place) => {
        const y = trace.y[place];
        if (y !== null && x >= begin && x <= end) { low = Math.min(low, y); high = Math.max(high, y); }
      });
    }
    if (low > high) return;
    const margin = 0.06 * (high - low || Math.abs(high) || 1);
    const range = [low - margin, high + margin];
    const now = canvas._fullLayout.yaxis.range;
    if (Math.abs(now[0] - range[0]) + Math.abs(now[1] - range[1]) > 1e-6 * margin) Plotly.relayout(canvas, { "yaxis.range": range });
  }

  function lastOf(x, steps) {
    const first = steps > 0 && steps < x.length ? x[x.length - steps] : x[0];
    return [first, x[x.length - 1]];
  }

  function showLast(figure, steps) {
    const canvas = figure.querySelector(".canvas");
    const longest = canvas.data.reduce((best, trace) => (trace.x.length > best.length ? trace.x : best), []);
    Plotly.relayout(canvas, { "xaxis.range": lastOf(longest, steps) });
    for (const button of figure.querySelectorAll("button[data-steps]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.steps) === steps));
    }
  }

  function draw(figure) {
    const canvas = figure.querySelector(".canvas");
    const choice = figure.querySelector("select");
    const specs = figure.querySelectorAll(":scope > script");
    const spec = JSON.parse(specs[choice ? choice.selectedIndex : 0].textContent);
    const touch = matchMedia("(pointer: coarse)").matches;
    if (touch) spec.layout.dragmode = false;              // a finger scrolls the page
    const narrow = canvas.clientWidth < 520 && !figure.classList.contains("small");
    if (narrow) spec.layout.font = { ...spec.layout.font, size: 11 };
    if (narrow) spec.data = spec.data.filter((trace) => trace.visible !== "legendonly");
    for (const trace of spec.data) {
      trace.x ??= spec.x;
      if (narrow) delete trace.texttemplate;              // the cells of a matrix are too small for text
    }
    const first = !figure.dataset.drawn;
    figure.dataset.drawn = "yes";
    canvas.style.height = `${spec.layout.height}px`;
    Plotly.react(canvas, spec.data, spec.layout, {
      responsive: true, displaylogo: false, displayModeBar: touch || figure.classList.contains("small") ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    });
    if (figure.dataset.last) {
      if (first) canvas.on("plotly_relayout", () => fitHeight(canvas));
      if (first) canvas.on("plotly_restyle", () => fitHeight(canvas));
      showLast(figure, Number(figure.dataset.last));
    }
  }

  function drawWhenSeen(figures) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting && !entry.target.dataset.drawn) { seen.unobserve(entry.target); draw(entry.target); }
      }
    }, { rootMargin: "600px" });
    figures.forEach((figure) => seen.observe(figure));
  }

  function fitPaper(figures, printing) {
    for (const figure of figures) {
      if (!figure.dataset.drawn) draw(figure);
      const width = PRINTED[figure.classList.contains("small") ? "small" : "full"];
      const canvas = figure.querySelector(".canvas");
      Plotly.relayout(canvas, printing ? { width } : { width: null, autosize: true });
      const hidden = canvas.data.flatMap((trace, place) => (trace.visible === "legendonly" ? [place] : []));
      if (hidden.length) Plotly.restyle(canvas, { showlegend: !printing }, hidden);
    }
    for (const details of document.querySelectorAll("details")) {
      if (printing) { details.dataset.was = String(details.open); details.open = true; }
      else if (details.dataset.was === "false") details.open = false;
    }
  }

  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => sortTable(button.closest("th")));
  }

  async function begin() {
    const figures = [...document.querySelectorAll("figure.plot")];
    if (!figures.length) return;
    const packed = document.getElementById("plotly")?.textContent ?? globalThis.packedPlotly;   // the latter: of a sweep
    try {
      const script = document.createElement("script");
      script.textContent = await unpack(packed);
      document.head.append(script);
    } catch (error) {
      const lacking = packed ? "a browser of 2023 or later" : "the script beside the folders of its sweep: python -m report.page makes a page without it";
      for (const figure of figures) {
        figure.querySelector(".canvas").textContent = `This figure needs ${lacking}. Tables and text are complete without it.`;
      }
      throw error;
    }
    for (const figure of figures) {
      figure.querySelector("select")?.addEventListener("change", () => draw(figure));
      for (const button of figure.querySelectorAll("button[data-steps]")) {
        button.addEventListener("click", () => showLast(figure, Number(button.dataset.steps)));
      }
    }
    addEventListener("beforeprint", () => fitPaper(figures, true));
    addEventListener("afterprint", () => fitPaper(figures, false));
    drawWhenSeen(figures);
    document.documentElement.dataset.ready = "yes";
  }
  begin();
})();
