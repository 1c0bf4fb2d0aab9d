// The attention explorer: point at a pixel of G(z), and see its row of A = softmax(q k^T).

// The row of A of one query: q and k are N x d, row by row.
function rowOf(q, k, d, query) {
  const n = k.length / d;
  const logits = new Float64Array(n);
  let most = -Infinity;
  let total = 0;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < d; c++) logits[i] += q[query * d + c] * k[i * d + c];
    most = Math.max(most, logits[i]);
  }
  for (let i = 0; i < n; i++) {
    logits[i] = Math.exp(logits[i] - most);
    total += logits[i];
  }
  return logits.map((value) => value / total);
}

// The share of the n largest.
function shareOfTop(row, n) {
  return [...row]
    .sort((a, b) => b - a)
    .slice(0, n)
    .reduce((a, b) => a + b, 0);
}

// Entropy over its largest possible value: 1 where attention is uniform, 0 where it is one pixel's.
function entropy(row) {
  return row.reduce((sum, a) => (a > 0 ? sum - a * Math.log(a) : sum), 0) / Math.log(row.length);
}

export const equations = {
  row({ q, k, d, query }) {
    const row = rowOf(q, k, d, query);
    return [...row, shareOfTop(row, 10), entropy(row)];
  },
};

function render({ model, el }) {
  const root = begin(el, "Attention explorer");
  const size = model.get("_size");
  const channels = model.get("_channels");
  const widths = model.get("_widths");
  const images = bytes(model, "_images");
  const colours = bytes(model, "_colours");
  const one = channels * size * size;
  const n = images.length / (2 * one);
  const sides = Object.keys(widths).map(Number);
  const layers = {};
  for (const side of sides)
    layers[side] = { d: widths[side], values: floats(model, `_qk_${side}`) };
  const part = (side, noise, which) => {
    const { d, values } = layers[side];
    const length = side * side * d;
    return values.subarray((2 * noise + which) * length, (2 * noise + which + 1) * length);
  };

  const image = canvas(size, "the image G(z)");
  const map = canvas(size, "the query's row of A over G(z)");
  const frame = element("div", { class: "explorer-box", style: "pointer-events:none" });
  const stage = element("div", { class: "explorer-stage", "data-what": "query" }, image, frame);
  const words = element("p", { "data-what": "words" });
  const say = announcer(root);
  const left = figure("G(z); point at a pixel, a press keeps it", stage);
  const mapScale = element("p", { "data-what": "scale" });
  const right = figure("what it looks at: its row of A", map, mapScale);
  for (const node of [left, right]) node.classList.add("explorer-large");
  root.append(
    element("div", { class: "explorer-row" }, left, right),
    words,
    element(
      "div",
      {},
      button("next noise", () => put(model, { noise: (model.get("noise") + 1) % n })),
    ),
    choice(
      model,
      "layer",
      "attention at",
      sides.map((side) => [side, `${side} × ${side}`]),
    ),
    choice(model, "gamma", "γ is", [
      [true, "as trained"],
      [false, "0: attention off"],
    ]),
  );

  function draw() {
    const layer = model.get("layer");
    const noise = model.get("noise");
    const [row, column] = model.get("query");
    const shown = 2 * noise + (model.get("gamma") ? 0 : 1);
    const G = images.subarray(shown * one, (shown + 1) * one);
    const A = rowOf(
      part(layer, noise, 0),
      part(layer, noise, 1),
      layers[layer].d,
      row * layer + column,
    );
    paintImage(image, G, channels);
    const atSize = toImageSize(A, layer, size);
    mapScale.textContent = scaleInWords(paintOverlay(map, G, channels, atSize, colours));
    const share = 100 / layer;
    Object.assign(frame.style, {
      top: `${row * share}%`,
      left: `${column * share}%`,
      width: `${share}%`,
      height: `${share}%`,
    });
    const top = `Its ten favourite pixels of ${layer * layer} take ${(100 * shareOfTop(A, 10)).toFixed(1)} % of its attention`;
    words.textContent =
      `${top}; if it were uniform, any ten would take ${(1000 / layer ** 2).toFixed(1)} %. ` +
      `The row's entropy is ${entropy(A).toFixed(2)} of the most possible. ` +
      (model.get("gamma")
        ? `γ is ${model.get("_gammas")[layer].toFixed(3)} here.`
        : "With γ = 0 the map is computed, but the image does not use it.");
    say(`Row ${row}, column ${column}. ${top}.`);
  }
  function look(u, v) {
    const layer = model.get("layer");
    const cell = (share) => clamp(Math.floor(share * layer), 0, layer - 1);
    put(model, { query: [cell(v), cell(u)] });
  }
  draggable(stage, (u, v) => {
    look(u, v);
    return look;
  });
  // A mouse need not be pressed. When it leaves, the query goes back to where a press, a key or Python
  // has put it; otherwise nobody could keep a pixel and reach the buttons.
  let kept = model.get("query");
  let hovering = false;
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || event.buttons) return;
    const box = stage.getBoundingClientRect();
    hovering = true;
    look((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    hovering = false;
  });
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !event.buttons) put(model, { query: kept });
  });
  movable(stage, "The query on G(z). Arrow keys move it.", (dx, dy) => {
    const layer = model.get("layer");
    const [row, column] = model.get("query");
    put(model, { query: [clamp(row + dy, 0, layer - 1), clamp(column + dx, 0, layer - 1)] });
  });
  // Another layer, the same place: its query is where the last one was, as a share of the side.
  const shares = (query) => query.map((i) => i / model.get("layer"));
  let place = shares(kept);
  model.on("change:query", () => {
    place = shares(model.get("query"));
    if (!hovering) kept = model.get("query");
  });
  model.on("change:layer", () => {
    const layer = model.get("layer");
    put(model, { query: place.map((share) => Math.floor(share * layer)) });
  });
  drawWhenChanged(model, ["query", "layer", "noise", "gamma"], draw);
}

export default { render };
