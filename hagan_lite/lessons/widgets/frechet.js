// The Fréchet explorer: two clouds to drag and stretch, n points of each, and what n does to the score.

const DRAWS = 100;
const LIMIT = 4;
const MOST = 400;

// The Gaussian of a cloud with its middle at x, y and spreads a, b along axes turned by `angle`.
function gaussianOf({ x, y, a, b, angle }) {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  return {
    mean: [x, y],
    xx: (a * c) ** 2 + (b * s) ** 2,
    yy: (a * s) ** 2 + (b * c) ** 2,
    xy: (a * a - b * b) * c * s,
  };
}

// The mean and covariance of points x0, y0, x1, y1, ...
function gaussianThrough(points) {
  const n = points.length / 2;
  let x = 0;
  let y = 0;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    x += points[2 * i] / n;
    y += points[2 * i + 1] / n;
  }
  for (let i = 0; i < n; i++) {
    const u = points[2 * i] - x;
    const v = points[2 * i + 1] - y;
    xx += (u * u) / (n - 1);
    yy += (v * v) / (n - 1);
    xy += (u * v) / (n - 1);
  }
  return { mean: [x, y], xx, yy, xy };
}

// ||mu_a - mu_b||^2 + tr(S_a + S_b) - 2 tr (S_a S_b)^(1/2); of 2 x 2, the last is a square root.
function frechet(p, q) {
  const means = (p.mean[0] - q.mean[0]) ** 2 + (p.mean[1] - q.mean[1]) ** 2;
  const trace = p.xx * q.xx + 2 * p.xy * q.xy + p.yy * q.yy;
  const det = Math.max(0, p.xx * p.yy - p.xy * p.xy) * Math.max(0, q.xx * q.yy - q.xy * q.xy);
  return Math.max(0, means + p.xx + p.yy + q.xx + q.yy - 2 * Math.sqrt(trace + 2 * Math.sqrt(det)));
}

export const equations = {
  distances({ real, fake, a, b }) {
    return [
      frechet(gaussianOf(real), gaussianOf(fake)),
      frechet(gaussianThrough(a), gaussianThrough(b)),
    ];
  },
};

// n points of a cloud from standard normal ones.
function pointsOf({ x, y, a, b, angle }, normal, from, n) {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const points = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const u = a * normal[from + 2 * i];
    const v = b * normal[from + 2 * i + 1];
    points[2 * i] = x + c * u - s * v;
    points[2 * i + 1] = y + s * u + c * v;
  }
  return points;
}

function render({ model, el }) {
  const root = begin(el, "Fréchet distance explorer");
  const say = announcer(root);
  const normal = Float64Array.from({ length: 4 * DRAWS * MOST }, normals(0));
  const kinds = { real: REAL, fake: FAKE };
  const toX = (x) => 50 + (50 * x) / LIMIT;
  const toY = (y) => 50 - (50 * y) / LIMIT;

  const plane = element("svg:svg", {
    viewBox: "0 0 100 100",
    role: "img",
    "aria-label": "two clouds of points",
    style: "border: 1px solid var(--line); overflow: hidden",
  });
  const parts = {};
  for (const [kind, colour] of Object.entries(kinds)) {
    const dots = element("svg:path", { fill: colour, opacity: 0.75 });
    const rim = element("svg:ellipse", {
      fill: colour,
      "fill-opacity": 0.12,
      stroke: colour,
      "stroke-width": 0.7,
      style: "cursor: move",
    });
    const handles = ["a", "b"].map(() =>
      element("svg:circle", { r: 2, fill: "var(--paper)", stroke: colour, "stroke-width": 1 }),
    );
    parts[kind] = { dots, rim, handles };
    plane.append(dots, rim, ...handles);
  }
  const stage = element("div", { "data-what": "clouds" }, plane);
  const wide = 440;
  const high = 200;
  const bottom = high - 34;
  const bars = element("svg:g");
  const lines = element("svg:g");
  const chart = element(
    "svg:svg",
    {
      viewBox: `0 0 ${wide} ${high}`,
      role: "img",
      "aria-label": "a histogram of the measured distances",
    },
    bars,
    lines,
  );
  const words = element("p", { "data-what": "words" });
  const side = element(
    "div",
    { style: "flex: 1 1 320px" },
    figure(`the distance, measured ${DRAWS} times`, chart),
    words,
    slider(model, "n", "n, points of each", { min: 2, max: MOST, log: true }),
    choice(model, "grabbed", "arrow keys move", [
      ["real", "real"],
      ["fake", "fake"],
    ]),
    element("p", {}, "Arrow keys move that cloud; with shift they stretch it, + and − turn it."),
    button("equal clouds", () => put(model, { fake: { ...model.get("real") } })),
  );
  root.append(
    element(
      "div",
      { class: "explorer-row" },
      figure("drag a cloud, or the ends of its axes", stage),
      side,
    ),
  );
  root.querySelector("figure").classList.add("explorer-large");

  function draw() {
    const n = model.get("n");
    const real = model.get("real");
    const fake = model.get("fake");
    for (const kind of Object.keys(kinds)) {
      const cloud = model.get(kind);
      const { dots, rim, handles } = parts[kind];
      const points = pointsOf(cloud, normal, kind === "real" ? 0 : 2 * MOST, n);
      let d = "";
      for (let i = 0; i < points.length; i += 2)
        d += `M${toX(points[i]).toFixed(1)} ${toY(points[i + 1]).toFixed(1)}m-.7 0h1.4v1.4h-1.4z`;
      attribute(dots, { d });
      attribute(rim, {
        cx: toX(cloud.x),
        cy: toY(cloud.y),
        rx: (100 * cloud.a) / LIMIT,
        ry: (100 * cloud.b) / LIMIT,
        transform: `rotate(${(-cloud.angle * 180) / Math.PI} ${toX(cloud.x)} ${toY(cloud.y)})`,
      });
      endsOf(cloud).forEach(([x, y], i) => attribute(handles[i], { cx: toX(x), cy: toY(y) }));
    }
    const truth = frechet(gaussianOf(real), gaussianOf(fake));
    const measured = [];
    for (let i = 0; i < DRAWS; i++) {
      const [a, b] = [real, fake].map((cloud, j) =>
        gaussianThrough(pointsOf(cloud, normal, (4 * i + 2 * j) * MOST, n)),
      );
      measured.push(frechet(a, b));
    }
    const mean = measured.reduce((a, b) => a + b, 0) / DRAWS;
    const sd = Math.sqrt(
      measured.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (DRAWS - 1),
    );
    histogram(measured, truth, mean);
    words.textContent =
      `The clouds' distance is ${truth.toFixed(2)}. With n = ${n} points of each it is measured as ` +
      `${mean.toFixed(2)} on average, give or take ${sd.toFixed(2)}: the bias is ${signed(mean - truth, 2)}.`;
    say(words.textContent);
  }
  function histogram(values, truth, mean) {
    const most = 1.05 * Math.max(...values, truth, 0.1);
    const bins = new Array(30).fill(0);
    for (const value of values) bins[Math.min(29, Math.floor((30 * value) / most))] += 1;
    const tallest = Math.max(...bins);
    const width = wide / 30;
    bars.replaceChildren(
      ...bins.map((count, i) =>
        element("svg:rect", {
          x: i * width + 0.5,
          width: width - 1,
          y: bottom - (110 * count) / tallest,
          height: (110 * count) / tallest,
          fill: MIXED,
        }),
      ),
    );
    const at = (value) => (wide * value) / most;
    const line = (value, y, label, dash) => [
      element("svg:path", {
        d: `M${at(value)} ${y}V${bottom}`,
        stroke: "currentColor",
        "stroke-width": 2,
        "stroke-dasharray": dash,
      }),
      element(
        "svg:text",
        { x: clamp(at(value), 45, wide - 45), y: y - 4, "text-anchor": "middle" },
        label,
      ),
    ];
    const power = 10 ** Math.floor(Math.log10(most / 2));
    const tick = [5, 2, 1].map((k) => k * power).find((step) => most / step >= 2);
    const ticks = Array.from({ length: Math.floor(most / tick) + 1 }, (_, i) => i * tick);
    lines.replaceChildren(
      element("svg:path", { class: "explorer-axis", d: `M0 ${bottom}H${wide}` }),
      ...ticks.map((value) =>
        element(
          "svg:text",
          { x: Math.max(at(value), 6), y: bottom + 15, "text-anchor": "middle" },
          Number(value.toPrecision(3)),
        ),
      ),
      element(
        "svg:text",
        { x: wide / 2, y: high - 3, "text-anchor": "middle" },
        "measured distance",
      ),
      ...line(truth, 18, "the truth", "none"),
      ...line(mean, 40, "mean", "5 3"),
    );
  }
  // The ends of a cloud's axes, two spreads from its middle.
  function endsOf({ x, y, a, b, angle }) {
    const c = Math.cos(angle);
    const s = Math.sin(angle);
    return [
      [x + 2 * a * c, y + 2 * a * s],
      [x - 2 * b * s, y + 2 * b * c],
    ];
  }
  const changed = (kind, more) =>
    put(model, { [kind]: { ...model.get(kind), ...more }, grabbed: kind });
  const spreadOf = (length) => clamp(length, 0.05, 2.5);

  draggable(stage, (u, v, event) => {
    const toPlane = (u, v) => [LIMIT * (2 * u - 1), LIMIT * (1 - 2 * v)];
    const [x, y] = toPlane(u, v);
    const near = (reachOf(event) / stage.clientWidth) * 2 * LIMIT;
    for (const kind of ["fake", "real"]) {
      const ends = endsOf(model.get(kind));
      for (const [i, name] of [
        [0, "a"],
        [1, "b"],
      ]) {
        if (Math.hypot(x - ends[i][0], y - ends[i][1]) > near) continue;
        return (u, v) => {
          const [p, q] = toPlane(u, v);
          const cloud = model.get(kind);
          const dx = p - cloud.x;
          const dy = q - cloud.y;
          changed(kind, {
            [name]: spreadOf(Math.hypot(dx, dy) / 2),
            angle: Math.atan2(dy, dx) - (i * Math.PI) / 2,
          });
        };
      }
    }
    const inside = (kind) => {
      const { x: cx, y: cy, a, b, angle } = model.get(kind);
      const c = Math.cos(angle);
      const s = Math.sin(angle);
      return Math.hypot(
        ((x - cx) * c + (y - cy) * s) / (2 * a),
        ((y - cy) * c - (x - cx) * s) / (2 * b),
      );
    };
    const kind = inside("fake") <= inside("real") ? "fake" : "real";
    if (inside(kind) > 1) return null;
    const start = model.get(kind);
    return (u, v) => {
      const [p, q] = toPlane(u, v);
      changed(kind, {
        x: clamp(start.x + p - x, -LIMIT, LIMIT),
        y: clamp(start.y + q - y, -LIMIT, LIMIT),
      });
    };
  });
  movable(
    stage,
    "The clouds. Arrow keys move one, with shift they stretch it, plus and minus turn it.",
    (dx, dy, event) => {
      const kind = model.get("grabbed");
      const { x, y, a, b } = model.get(kind);
      if (event.shiftKey) changed(kind, { a: spreadOf(a + 0.1 * dx), b: spreadOf(b - 0.1 * dy) });
      else
        changed(kind, {
          x: clamp(x + 0.1 * dx, -LIMIT, LIMIT),
          y: clamp(y - 0.1 * dy, -LIMIT, LIMIT),
        });
    },
  );
  onKey(stage, (key) => {
    const turn = { "+": 0.1, "-": -0.1 }[key];
    const kind = model.get("grabbed");
    if (turn) changed(kind, { angle: model.get(kind).angle + turn });
    return turn;
  });
  drawWhenChanged(model, ["real", "fake", "n"], draw);
}

export default { render };
