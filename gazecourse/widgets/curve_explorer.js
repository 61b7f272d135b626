// Draws recorded runs inside `root`: metric and run pickers, smoothing, log scale, values under the pointer.
// Needs no network, no library and no kernel. `data` is made by curve_explorer.py:
//   { runs: [{ name, color, dashes: [on, off, ...], marker, curves: { metric: { step, seconds, value } } }],
//     metrics: [...], state: { metric, over: "step" | "seconds", smoothing, log } }
function exploreCurves(root, data) {
  const WIDTH = 960, HEIGHT = 380, LEFT = 76, RIGHT = 16, TOP = 14, BOTTOM = 46;
  const INK = "#262626", GRID = "#DDDDDD", MARKS = 7;
  const NAMES = { step: "step", seconds: "seconds" };
  // Outlines of unit size, in the shapes of matplotlib's markers o s ^ D v P X.
  const SHAPES = {
    o: "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z",
    s: "M-.9-.9H.9V.9H-.9Z",
    "^": "M0-1L1 1H-1Z",
    D: "M0-1.2L1.2 0L0 1.2L-1.2 0Z",
    v: "M0 1L1-1H-1Z",
    P: "M-.35-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    X: "M-1-.5L-.5-1L0-.5L.5-1L1-.5L.5 0L1 .5L.5 1L0 .5L-.5 1L-1 .5L-.5 0Z",
  };
  const state = { ...data.state, hidden: new Set(), cursor: null };

  function make(tag, attributes = {}, ...children) {
    const drawn = ["svg", "path", "line", "text", "g", "circle"].includes(tag);
    const node = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // As gazecourse.history.smooth: s_t = (1 - w) sum_k w^k v_(t-k) / (1 - w^(t+1)).
  function smooth(values, weight) {
    let average = 0;
    return values.map((value, index) => {
      average = weight * average + (1 - weight) * value;
      return average / (1 - weight ** (index + 1));
    });
  }

  // Steps of 1, 2 or 5 times a power of ten; on a log scale 1, 2, 5 in each decade where that gives enough.
  function ticks(low, high, log) {
    const found = [];
    if (log) {
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
      const inside = found.filter((value) => value >= low && value <= high);
      return inside.length >= 3 ? inside : ticks(low, high, false);
    }
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const width = power * [1, 2, 5, 10].find((digit) => digit * power >= rough);
    for (let k = Math.ceil(low / width); k * width <= high; k++) found.push(k * width);
    return found;
  }

  const text = (value) => String(Number(value.toPrecision(4)));

  // What is shown now: for each visible run that has the metric its points, smoothed and raw.
  function visibleCurves() {
    return data.runs
      .filter((run) => !state.hidden.has(run.name) && state.metric in run.curves)
      .map((run) => {
        const curve = run.curves[state.metric], averages = smooth(curve.value, state.smoothing);
        const points = averages.map((y, i) => ({ x: curve[state.over][i], y, raw: curve.value[i] }));
        return { run, points: points.filter((p) => !state.log || (p.y > 0 && p.raw > 0)) };
      })
      .filter((curve) => curve.points.length > 0);
  }

  function limits(curves) {
    const xs = curves.flatMap((c) => c.points.map((p) => p.x));
    const ys = curves.flatMap((c) => c.points.flatMap((p) => [p.y, p.raw]));
    const bounds = (v) => v.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
    const [x0, x1] = bounds(xs);
    let [y0, y1] = bounds(ys);
    if (state.log) return { x0, x1: Math.max(x1, x0 + 1), y0: y0 / 1.1, y1: y1 * 1.1 };
    const margin = 0.05 * (y1 - y0) || 0.5;
    return { x0, x1: Math.max(x1, x0 + 1), y0: y0 - margin, y1: y1 + margin };
  }

  const sampleLine = (run) => make(
    "svg", { width: 44, height: 14, "aria-hidden": "true" },
    make("path", { d: "M2 7H42", stroke: run.color, "stroke-width": 2.5, "stroke-dasharray": run.dashes.join(" ") }),
    make("path", { d: SHAPES[run.marker], fill: run.color, transform: "translate(22 7) scale(4.5)" }),
  );

  function labeled(name, control) {
    return make("label", { style: "display:inline-flex;align-items:center;gap:6px" }, name, control);
  }

  function picker(name, options, key) {
    const control = make("select", {}, ...options.map((o) => make("option", { value: o }, NAMES[o] || o)));
    control.value = state[key];
    control.addEventListener("change", () => { state[key] = control.value; state.cursor = null; draw(); });
    return labeled(name, control);
  }

  const weight = make("output", { style: "min-width:2.5em" }, text(state.smoothing));
  const slider = make("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: state.smoothing });
  slider.addEventListener("input", () => {
    state.smoothing = Number(slider.value);
    weight.textContent = text(state.smoothing);
    draw();
  });
  const logarithmic = make("input", { type: "checkbox" });
  logarithmic.checked = state.log;
  logarithmic.addEventListener("change", () => { state.log = logarithmic.checked; draw(); });

  const row = "display:flex;flex-wrap:wrap;gap:6px 22px;align-items:center;margin:6px 0";
  const controls = make(
    "div", { style: row },
    picker("metric", data.metrics, "metric"), picker("over", ["step", "seconds"], "over"),
    labeled("smoothing", slider), weight, labeled("log scale", logarithmic),
  );
  const runs = make("div", { style: row, role: "group", "aria-label": "runs" }, ...data.runs.map((run) => {
    const box = make("input", { type: "checkbox" });
    box.checked = true;
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(run.name); else state.hidden.add(run.name);
      draw();
    });
    const label = labeled("", box);
    label.append(sampleLine(run), run.name);
    return label;
  }));
  const plot = make("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, style: "width:100%;display:block;touch-action:pan-y", tabindex: 0, role: "img",
  });
  const readout = make("div", { style: "min-height:1.5em", "aria-live": "polite", "data-role": "readout" });
  root.replaceChildren(controls, runs, plot, readout);
  Object.assign(root.style, {
    maxWidth: `${WIDTH}px`, background: "white", color: INK, padding: "4px 8px", font: "14px 'DejaVu Sans', sans-serif",
  });

  let view = null; // what draw() last drew: { curves, limits, toX, toY }

  function draw() {
    const curves = visibleCurves();
    plot.replaceChildren();
    plot.setAttribute("aria-label", `${state.metric} over ${NAMES[state.over]} of ${curves.length} runs`);
    view = null;
    if (curves.length === 0) {
      plot.append(make("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle", fill: INK },
        state.log ? "No value above zero to show on a log scale." : "Nothing is chosen."));
      point();
      return;
    }
    const { x0, x1, y0, y1 } = limits(curves);
    const scale = state.log ? Math.log : (y) => y;
    const toX = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
    const toY = (y) => TOP + ((scale(y1) - scale(y)) / (scale(y1) - scale(y0))) * (HEIGHT - TOP - BOTTOM);
    view = { curves, x0, x1, toX, toY };
    axes(x0, x1, y0, y1, toX, toY);
    for (const { run, points } of curves) {
      const path = (key) => "M" + points.map((p) => `${toX(p.x).toFixed(1)} ${toY(p[key]).toFixed(1)}`).join("L");
      const line = { fill: "none", stroke: run.color, "stroke-linejoin": "round" };
      if (state.smoothing > 0) plot.append(make("path", { ...line, d: path("raw"), opacity: 0.3 }));
      plot.append(make("path", {
        ...line, d: path("y"), "stroke-width": 2.2, "stroke-dasharray": run.dashes.join(" "), "data-run": run.name,
      }));
      const every = Math.max(1, Math.floor(points.length / MARKS));
      for (let i = 0; i < points.length; i += every)
        plot.append(make("path", {
          d: SHAPES[run.marker], fill: run.color,
          transform: `translate(${toX(points[i].x)} ${toY(points[i].y)}) scale(4.5)`,
        }));
    }
    point();
  }

  function axes(x0, x1, y0, y1, toX, toY) {
    const small = { fill: INK, "font-size": 13 }, bottom = HEIGHT - BOTTOM;
    for (const y of ticks(y0, y1, state.log))
      plot.append(
        make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: toY(y), y2: toY(y), stroke: GRID }),
        make("text", { ...small, x: LEFT - 8, y: toY(y) + 4, "text-anchor": "end" }, text(y)),
      );
    for (const x of ticks(x0, x1, false))
      plot.append(
        make("line", { x1: toX(x), x2: toX(x), y1: TOP, y2: bottom, stroke: GRID }),
        make("text", { ...small, x: toX(x), y: bottom + 18, "text-anchor": "middle" }, text(x)),
      );
    plot.append(
      make("path", { d: `M${LEFT} ${TOP}V${bottom}H${WIDTH - RIGHT}`, fill: "none", stroke: INK }),
      make("text", { ...small, x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" },
        NAMES[state.over]),
      make("text", { ...small, transform: `translate(14 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
        state.metric),
    );
  }

  // The values nearest to the cursor, marked in the plot and written out below it.
  function point() {
    plot.querySelectorAll("[data-role=cursor]").forEach((node) => node.remove());
    if (view === null || state.cursor === null) {
      readout.textContent = view === null ? "" : "Point at the curves, or use the arrow keys, to read values.";
      return;
    }
    const guide = { "data-role": "cursor", stroke: INK };
    const x = view.toX(state.cursor);
    plot.append(make("line", { ...guide, x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, "stroke-dasharray": "2 3" }));
    readout.replaceChildren(...view.curves.map(({ run, points }) => {
      const nearest = points.reduce((a, b) => (Math.abs(b.x - state.cursor) < Math.abs(a.x - state.cursor) ? b : a));
      plot.append(make("circle", {
        ...guide, cx: view.toX(nearest.x), cy: view.toY(nearest.y), r: 5, fill: run.color, "stroke-width": 1.5,
      }));
      const raw = state.smoothing > 0 ? ` (recorded ${text(nearest.raw)})` : "";
      const words = ` ${run.name}: ${text(nearest.y)}${raw} at ${NAMES[state.over]} ${text(nearest.x)}`;
      return make("div", { style: "display:flex;align-items:center;gap:6px" }, sampleLine(run), words);
    }));
  }

  plot.addEventListener("pointermove", (event) => {
    if (view === null) return;
    const box = plot.getBoundingClientRect();
    const along = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    state.cursor = view.x0 + Math.min(1, Math.max(0, along)) * (view.x1 - view.x0);
    point();
  });
  plot.addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (view === null || direction === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const start = state.cursor ?? view.x0;
    state.cursor = Math.min(view.x1, Math.max(view.x0, start + (direction * (view.x1 - view.x0)) / 50));
    point();
  });
  draw();
}

// Fill the element of that id once it is in the page (a notebook may insert it after running the script), and hide
// the picture that stands in for the explorer where scripts do not run: the last image before it in the same output.
function placeExplorer(id, data, tries = 100) {
  const root = document.getElementById(id);
  if (root === null) {
    if (tries > 0) setTimeout(() => placeExplorer(id, data, tries - 1), 50);
    return;
  }
  exploreCurves(root, data);
  const output = root.closest(".jp-OutputArea, .output_wrapper, .output") ?? root.parentElement;
  const before = [...output.querySelectorAll("img")].filter(
    (image) => image.compareDocumentPosition(root) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  const picture = before.at(-1);
  if (picture !== undefined) (picture.closest(".jp-OutputArea-child") ?? picture).style.display = "none";
}
