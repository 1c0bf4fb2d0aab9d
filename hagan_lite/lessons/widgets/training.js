// The training viewer: losses, gates, shifts and images of a run under one cursor.

// The last line of the log up to a step, or the first line.
function lineAt(log, step) {
  let found = log[0];
  for (const line of log) if (line.step <= step) found = line;
  return found;
}

// The last of some steps up to a step, as its number; -1 where there is none.
function lastUpTo(steps, step) {
  return steps.findLastIndex((one) => one <= step);
}

// Eq. 1 on images of 0..255 and a mask of 0 and 255.
function mixedOf(real, fake, mask) {
  const pixels = mask.length;
  return Float64Array.from(
    real,
    (x, i) => (mask[i % pixels] * x + (255 - mask[i % pixels]) * fake[i]) / 255,
  );
}

export const equations = {
  moment({ log, steps, step, real, fake, mask }) {
    return [lineAt(log, step).step, lastUpTo(steps, step), ...mixedOf(real, fake, mask)];
  },
};

const PALETTE = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161"];
const NAMES = { img: "image", pix: "pixel", cons: "consistency", info: "information" };
const WIDE = 440;
const HIGH = 170;
const LEFT = 44;
const BOTTOM = HIGH - 22;

// Which keys of the log each chart shows, by the label of the curve.
function chartsOf(log) {
  const keys = Object.keys(log.at(-1)).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const losses = {};
  const gates = {};
  const shifts = {};
  for (const key of keys) {
    const [network, term] = key.split("_");
    const isLoss =
      /^[dg]_/.test(key) && !["d_real", "d_fake"].includes(key) && log.some((line) => line[key]);
    if (isLoss) losses[`${network.toUpperCase()}, ${NAMES[term] ?? term}`] = (line) => line[key];
    if (key.startsWith("gamma_")) gates[`γ, ${term} × ${term}`] = (line) => line[key];
    if (key.startsWith("skip_")) gates[`skip, ${term} × ${term}`] = (line) => line[key];
  }
  if (!Object.keys(losses).length) losses.G = (line) => line.g;
  const charts = [["losses", losses]];
  if (keys.includes("d_real"))
    charts.push([
      "D's mean score",
      { "real images": (line) => line.d_real, "fake images": (line) => line.d_fake },
    ]);
  if (Object.keys(gates).length) charts.push(["gates", gates]);
  [
    ["5 %", 0],
    ["median", 2],
    ["95 %", 4],
  ].forEach(([name, i]) => (shifts[name] = (line) => line.shift?.[i]));
  if (log.some((line) => line.shift)) charts.push(["the label's shift, λ − λ₀", shifts]);
  return charts;
}

function render({ model, el }) {
  const root = begin(el, "Training viewer");
  const say = announcer(root);
  const heading = element("p", { "data-what": "words" });
  const charts = element("div", { class: "explorer-charts" });
  const rows = ["samples", "fakes", "mixes"].map(() =>
    element("div", { class: "explorer-images" }),
  );
  const [samples, fakeRow, mixes] = rows;
  const steps = element("input", { type: "range", "aria-label": "step" });
  steps.addEventListener("input", () => put(model, { step: Number(steps.value) }));
  root.append(element("label", { class: "explorer-slider" }, element("span", {}, "step"), steps));
  if (!model.isSaved) root.append(toggle(model, "follow", "follow a run that is under way"));
  root.append(heading, charts, ...rows);
  let drawn = [];
  let last = 0;

  // Everything that depends on the log; the cursor moves without it.
  function build() {
    const log = model.get("_log");
    const focused = [...charts.children].findIndex((node) => node.matches(":focus-within"));
    drawn = [];
    charts.replaceChildren();
    if (!log.length) return;
    last = model.get("_last");
    Object.assign(steps, { min: 0, max: last, step: 1 });
    for (const [title, curves] of chartsOf(log)) charts.append(chart(title, curves, log));
    charts.children[focused]?.querySelector("[tabindex]").focus({ preventScroll: true });
  }

  function chart(title, curves, log) {
    const values = log
      .flatMap((line) => Object.values(curves).map((of) => of(line)))
      .filter(Number.isFinite);
    let low = Math.min(0, ...values);
    let high = Math.max(...values);
    if (high === low) high = low + 1;
    const toX = (step) => LEFT + ((WIDE - LEFT - 6) * step) / last;
    const toY = (value) => BOTTOM - ((BOTTOM - 8) * (value - low)) / (high - low);
    const cursor = element("svg:path", {
      stroke: "currentColor",
      "stroke-width": 1.5,
      "data-what": "cursor",
    });
    const picture = element("svg:svg", {
      viewBox: `0 0 ${WIDE} ${HIGH}`,
      role: "img",
      "aria-label": `${title} over the steps`,
    });
    picture.append(
      element("svg:path", {
        class: "explorer-axis",
        d: `M${LEFT} 8V${BOTTOM}H${WIDE - 6}M${LEFT} ${toY(0)}H${WIDE - 6}`,
      }),
      ...[low, high].map((value) =>
        element(
          "svg:text",
          { x: LEFT - 5, y: toY(value) + (value === low ? 0 : 8), "text-anchor": "end" },
          Number(value.toPrecision(2)),
        ),
      ),
      element("svg:text", { x: LEFT, y: HIGH - 5 }, 0),
      element("svg:text", { x: WIDE - 6, y: HIGH - 5, "text-anchor": "end" }, `step ${last}`),
    );
    const begins = model.get("_phase_two");
    if (begins !== null && begins <= last) picture.append(...phaseTwo(toX(begins)));
    const legend = element("div", { class: "explorer-legend" });
    const outputs = Object.entries(curves).map(([name, of], i) => {
      const points = log
        .filter((line) => Number.isFinite(of(line)))
        .map((line) => `${toX(line.step).toFixed(1)} ${toY(of(line)).toFixed(1)}`);
      picture.append(
        element("svg:path", {
          d: `M${points.join("L")}`,
          fill: "none",
          stroke: PALETTE[i % PALETTE.length],
          "stroke-width": 1.6,
        }),
      );
      const shown = number();
      legend.append(
        element(
          "span",
          {},
          element("i", { style: `background:${PALETTE[i % PALETTE.length]}` }),
          `${name} `,
          shown,
        ),
      );
      return [shown, of];
    });
    picture.append(cursor);
    const stage = element("div", { "data-what": "chart" }, picture);
    const stepAt = (x) =>
      put(model, {
        step: clamp(Math.round(((x * WIDE - LEFT) / (WIDE - LEFT - 6)) * last), 0, last),
      });
    draggable(stage, (x) => {
      stepAt(x);
      return stepAt;
    }, "pan-y");
    movable(stage, `The cursor of ${title}. Arrow keys move it.`, (dx) =>
      put(model, { step: clamp(model.get("step") + dx * Math.ceil(last / 100), 0, last) }),
    );
    drawn.push((line, step) => {
      attribute(cursor, { d: `M${toX(step)} 8V${BOTTOM}` });
      for (const [shown, of] of outputs)
        shown.textContent = Number.isFinite(of(line)) ? of(line).toFixed(3) : "–";
    });
    return figure(title, stage, legend);
  }

  function phaseTwo(x) {
    const line = { class: "explorer-axis", "stroke-dasharray": "2 3", d: `M${x} 8V${BOTTOM}` };
    return [
      element("svg:path", line),
      element("svg:text", { x: x + 3, y: 16, "data-what": "phase two" }, "phase two"),
    ];
  }

  // One picture for each image, made when their number or their size changes.
  function pictures(place, what, title, n, labels = []) {
    const size = model.get("_size");
    if (place.childElementCount !== n + 1 || place.dataset.size !== String(size)) {
      place.dataset.size = size;
      place.replaceChildren(element("p"));
      for (let i = 0; i < n; i++) place.append(figure("", canvas(size, `${what} ${i + 1}`)));
      for (const node of [...place.children].slice(1)) node.classList.add("explorer-tiny");
    }
    place.firstChild.textContent = title;
    return [...place.children].slice(1).map((node, i) => {
      node.firstChild.textContent = labels[i] ?? "";
      return node.lastChild;
    });
  }

  function draw() {
    const log = model.get("_log");
    const step = model.get("step");
    if (!log.length) {
      heading.textContent = "Nothing is logged yet: tick 'follow', or come back later.";
      return;
    }
    const line = lineAt(log, step);
    steps.value = step;
    for (const move of drawn) move(line, step);
    const begins = model.get("_phase_two");
    const phase = begins === null ? "" : step < begins ? ": phase one" : ": phase two";
    heading.textContent = `Step ${step} of ${last}${phase}. Drag the cursor in any chart.`;
    const s = lastUpTo(model.get("_sample_steps"), step);
    const m = lastUpTo(model.get("_mixed_steps"), step);
    samples.hidden = s < 0;
    if (s >= 0) {
      const n = model.get("_n_samples");
      const channels = model.get("_channels");
      const one = channels * model.get("_size") ** 2;
      const all = bytes(model, "_samples").subarray(s * n * one, (s + 1) * n * one);
      pictures(
        samples,
        "sample",
        `Samples after step ${model.get("_sample_steps")[s]}, always of the same z`,
        n,
      ).forEach((node, i) => paintImage(node, all.subarray(i * one, (i + 1) * one), channels));
    }
    fakeRow.hidden = mixes.hidden = m < 0;
    if (m >= 0) drawMixes(m);
    say(
      `Step ${step}: ${Object.entries(line)
        .filter(([key]) => ["d", "g"].includes(key))
        .map(([k, v]) => `loss of ${k.toUpperCase()} ${v.toFixed(2)}`)
        .join(", ")}`,
    );
  }
  function drawMixes(m) {
    const n = model.get("_n_mixed");
    const channels = model.get("_channels");
    const area = model.get("_size") ** 2;
    const one = channels * area;
    const labels = floats(model, "_labels").subarray(m * n * 2, (m + 1) * n * 2);
    const masks = bytes(model, "_masks");
    const reals = bytes(model, "_reals");
    const fakes = bytes(model, "_fakes");
    const part = (values, i, length) =>
      values.subarray((m * n + i) * length, (m * n + i + 1) * length);
    const texts = Array.from(
      { length: n },
      (_, i) => `λ₀ ${labels[2 * i].toFixed(2)} → λ ${labels[2 * i + 1].toFixed(2)}`,
    );
    const when = `of step ${model.get("_mixed_steps")[m]}, as D was trained on them`;
    pictures(fakeRow, "fake", `Fakes ${when}`, n).forEach((node, i) =>
      paintImage(node, part(fakes, i, one), channels),
    );
    pictures(mixes, "mixed image", `Mixed images ${when}, with their labels`, n, texts).forEach((node, i) =>
      paintImage(
        node,
        mixedOf(part(reals, i, one), part(fakes, i, one), part(masks, i, area)),
        channels,
      ),
    );
  }
  build();
  model.on("change:_log", build);
  drawWhenChanged(model, ["step", "_log"], draw);
}

export default { render };
