// The AttnMix explorer: a box on the mixed image, a brush on the map, three shares of "real".

const SOURCES = [
  ["output", "output"],
  ["received", "received"],
  ["uniform", "uniform"],
  ["painted", "painted"],
];

// M: 1 is a real pixel, 0 a fake one; the box [top, left, height, width] is fake, or real.
function maskOf(size, [top, left, height, width], realInside) {
  return Float64Array.from({ length: size * size }, (_, i) => {
    const row = Math.floor(i / size);
    const column = i % size;
    const inside = row >= top && row < top + height && column >= left && column < left + width;
    return inside === realInside ? 1 : 0;
  });
}

// The map that a reader asks for, summing to 1: G's own to the power `sharpness`, uniform, or painted.
function shapeMap(saliency, source, sharpness, painted) {
  let A;
  if (source === "painted" && painted.some((value) => value > 0)) A = Float64Array.from(painted);
  else if (source === "output" || source === "received") {
    const most = saliency.reduce((a, b) => Math.max(a, b), 0);
    A = Float64Array.from(saliency, (a) => (a / most) ** sharpness);
  } else A = new Float64Array(saliency.length).fill(1);
  const total = A.reduce((a, b) => a + b, 0);
  return A.map((a) => a / total);
}

// Eq. 3-4, with the map A at the image's size.
function mixedLabels(M, A, alpha) {
  let area = 0;
  let total = 0;
  let onReal = 0;
  for (let i = 0; i < M.length; i++) {
    area += M[i];
    total += A[i];
    onReal += M[i] * A[i];
  }
  const lambda0 = area / M.length;
  const lambda1 = total > 0 ? onReal / total : lambda0;
  return { lambda0, lambda1, lam: alpha * (lambda0 + lambda1) };
}

export const equations = {
  labels({ side, size, saliency, source, sharpness, painted, box, realInside, alpha }) {
    const A = toImageSize(shapeMap(saliency, source, sharpness, painted), side, size);
    return Object.values(mixedLabels(maskOf(size, box, realInside), A, alpha));
  },
};

function render({ model, el }) {
  const root = begin(el, "AttnMix explorer");
  const size = model.get("_size");
  const channels = model.get("_channels");
  const side = model.get("_side");
  const reals = bytes(model, "_reals");
  const fakes = bytes(model, "_fakes");
  const colours = bytes(model, "_colours");
  const maps = floats(model, "_maps");
  const one = channels * size * size;
  const nReal = reals.length / one;
  const nFake = fakes.length / one;
  const image = (images, n) => images.subarray(n * one, (n + 1) * one);
  const saliency = (n, received) =>
    maps.subarray((2 * n + received) * side * side, (2 * n + received + 1) * side * side);

  const mixed = canvas(size, "the mixed image");
  const handles = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ].map(([v, u]) =>
    element("i", {
      style: `top:${100 * v}%;left:${100 * u}%;cursor:${u === v ? "nwse" : "nesw"}-resize`,
    }),
  );
  const frame = element("div", { class: "explorer-box" }, ...handles);
  const stage = element(
    "div",
    { class: "explorer-stage explorer-large", "data-what": "mixed" },
    mixed,
    frame,
  );
  const fake = canvas(size, "the fake image G(z)");
  const real = canvas(size, "the real image x");
  const map = canvas(size, "the map A over the fake image");
  const brush = element("div", {
    class: "explorer-box",
    style: "pointer-events:none",
    hidden: true,
  });
  const mapStage = element("div", { class: "explorer-stage", "data-what": "map" }, map, brush);
  const mapScale = element("p", { "data-what": "scale" });
  const inputs = element(
    "div",
    { class: "explorer-row", style: "flex:1 1 300px" },
    figure("fake, G(z)", fake),
    figure("real, x", real),
    figure("map A; paint on it", mapStage, mapScale),
  );
  for (const node of inputs.children) node.classList.add("explorer-small");

  const names = { lambda0: "λ₀, area", lambda1: "λ₁, saliency", lam: "λ, the label" };
  const bars = element("div", { class: "explorer-bars" });
  const rows = {};
  for (const [key, name] of Object.entries(names)) {
    const fill = element("i");
    const one = element("b", { title: "1" });
    const bar = element("div", { class: "explorer-bar" }, fill, one);
    const value = number({ "data-what": key });
    rows[key] = { bar, fill, one, value };
    bars.append(element("span", {}, name), bar, value);
  }
  const words = element("p", { "data-what": "shift" });
  const say = announcer(root);

  const clear = button("clear the painting", () => paintOn(new Uint8Array(side * side)));
  root.append(
    element(
      "div",
      { class: "explorer-row" },
      figure("mixed, i = M x + (1 − M) G(z); drag the box", stage),
      inputs,
    ),
    bars,
    words,
    element(
      "div",
      {},
      button("next noise", () => put(model, { noise: (model.get("noise") + 1) % nFake })),
      button("next real slice", () => put(model, { real: (model.get("real") + 1) % nReal })),
      clear,
    ),
    choice(model, "real_inside", "the box is", [
      [false, "fake"],
      [true, "real"],
    ]),
    choice(model, "source", "map A from", SOURCES),
    slider(model, "sharpness", "sharpness of A", {
      min: 0,
      max: 4,
      step: 0.05,
      show: (v) => v.toFixed(2),
    }),
    slider(model, "alpha", "α of Eq. 4", { min: 0, max: 1, step: 0.05, show: (v) => v.toFixed(2) }),
  );

  function draw() {
    const box = model.get("box");
    const source = model.get("source");
    const alpha = model.get("alpha");
    const n = model.get("noise");
    const G = image(fakes, n);
    const x = image(reals, model.get("real"));
    const A = shapeMap(
      saliency(n, source === "received" ? 1 : 0),
      source,
      model.get("sharpness"),
      bytes(model, "painted"),
    );
    const atSize = toImageSize(A, side, size);
    const M = maskOf(size, box, model.get("real_inside"));
    const labels = mixedLabels(M, atSize, alpha);
    paintImage(fake, G, channels);
    paintImage(real, x, channels);
    paint(mixed, (i, rgba) => greyAt(M[i] ? x : G, channels, i, rgba));
    mapScale.textContent = scaleInWords(paintOverlay(map, G, channels, atSize, colours));
    const [top, left, height, width] = visible(box).map((value) => `${(100 * value) / size}%`);
    Object.assign(frame.style, { top, left, height, width });
    const longest = Math.max(1, 2 * alpha); // λ leaves [0, 1] where alpha is above 1/2
    for (const [key, { bar, fill, one, value }] of Object.entries(rows)) {
      bar.style.setProperty("--one", `${100 / longest}%`);
      fill.style.width = `${(100 * labels[key]) / longest}%`;
      one.hidden = longest === 1;
      value.textContent = labels[key].toFixed(3);
    }
    const shift = signed(labels.lam - labels.lambda0);
    const byMap = signed(alpha * (labels.lambda1 - labels.lambda0));
    const outside = labels.lam > 1 ? " λ is above 1, so it is no longer a share." : "";
    words.replaceChildren(
      `λ − λ₀ = ${shift}, of which the map moves α (λ₁ − λ₀) = ${byMap}. `,
      alpha === 0.5 ? "" : "The rest comes from α, which is not 1/2. ",
      "Blue is real, orange is fake.",
      element("span", { class: "explorer-warning" }, outside),
    );
    clear.hidden = source !== "painted";
    say(
      `Box ${box[2]} high and ${box[3]} wide, at row ${box[0]}, column ${box[1]}: lambda ${labels.lam.toFixed(3)}, ` +
        `area ${labels.lambda0.toFixed(3)}, saliency ${labels.lambda1.toFixed(3)}`,
    );
  }

  // The part of a box that lies on the image; Python may set any.
  function visible([top, left, height, width]) {
    const [v, u] = [clamp(top, 0, size), clamp(left, 0, size)];
    return [v, u, clamp(top + height, v, size) - v, clamp(left + width, u, size) - u];
  }

  function place(top, left, height, width) {
    height = clamp(Math.round(height), 1, size);
    width = clamp(Math.round(width), 1, size);
    top = clamp(Math.round(top), 0, size - height);
    left = clamp(Math.round(left), 0, size - width);
    put(model, { box: [top, left, height, width] });
  }

  // Between two corners, in pixels.
  function span(v, u, otherV, otherU) {
    const whole = (value) => clamp(Math.round(value), 0, size);
    [v, u, otherV, otherU] = [v, u, otherV, otherU].map(whole);
    place(Math.min(v, otherV), Math.min(u, otherU), Math.abs(v - otherV), Math.abs(u - otherU));
  }

  draggable(stage, (u, v, event) => {
    u *= size;
    v *= size;
    const [top, left, height, width] = visible(model.get("box"));
    const inside = v >= top && v < top + height && u >= left && u < left + width;
    const reach = (reachOf(event) / stage.clientWidth) * size;
    const near = inside ? Math.min(reach, Math.min(height, width) / 3) : reach; // a small box moves, too
    for (const [i, j] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]) {
      if (Math.hypot(v - top - i * height, u - left - j * width) < near) {
        const across = [top + (1 - i) * height, left + (1 - j) * width];
        return (x, y) => span(y * size, x * size, ...across);
      }
    }
    if (inside) return (x, y) => place(top + y * size - v, left + x * size - u, height, width);
    return (x, y) => span(y * size, x * size, v, u);
  });
  movable(
    stage,
    "The box on the mixed image. Arrow keys move it, with shift they resize it.",
    (dx, dy, event) => {
      const [top, left, height, width] = visible(model.get("box"));
      if (event.shiftKey) place(top, left, height + dy, width + dx);
      else place(top + dy, left + dx, height, width);
    },
  );

  // The brush: a disc of cells; painting makes the map the painted one.
  const RADIUS = side / 12;
  let cell = [side / 2, side / 2];
  function paintOn(painted) {
    put(model, { painted: new DataView(painted.buffer), source: "painted" });
  }
  function touch(u, v) {
    const painted = bytes(model, "painted").slice();
    for (let i = 0; i < painted.length; i++) {
      const away = Math.hypot(Math.floor(i / side) + 0.5 - v * side, (i % side) + 0.5 - u * side);
      painted[i] = Math.max(painted[i], 255 * clamp(RADIUS + 0.5 - away, 0, 1));
    }
    paintOn(painted);
  }
  draggable(mapStage, (u, v) => {
    touch(u, v);
    return touch;
  });
  function showBrush() {
    const [u, v] = cell.map((value) => (100 * (value - RADIUS)) / side);
    const wide = `${(200 * RADIUS) / side}%`;
    Object.assign(brush.style, {
      left: `${u}%`,
      top: `${v}%`,
      width: wide,
      height: wide,
      borderRadius: "50%",
    });
    brush.hidden = false;
  }
  movable(mapStage, "The map A. Arrow keys move the brush, space paints.", (dx, dy) => {
    cell = [clamp(cell[0] + dx, 0, side), clamp(cell[1] + dy, 0, side)];
    showBrush();
  });
  onKey(mapStage, (key) => {
    if (key !== " ") return false;
    showBrush();
    touch(cell[0] / side, cell[1] / side);
    return true;
  });
  mapStage.addEventListener("blur", () => (brush.hidden = true));

  drawWhenChanged(
    model,
    ["box", "real_inside", "source", "sharpness", "alpha", "noise", "real", "painted"],
    draw,
  );
}

export default { render };
