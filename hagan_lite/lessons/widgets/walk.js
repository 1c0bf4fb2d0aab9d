// The latent walk: a pad whose corners are four noise vectors; drag through the images between them.

// Weights of the corners (top left, top right, bottom left, bottom right) at a place of the pad.
function cornerWeights([u, v]) {
  return [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
}

// Four images blended pixel by pixel, which no generator does.
function blend(images, place) {
  const weights = cornerWeights(place);
  return Float64Array.from(images[0], (_, i) =>
    images.reduce((sum, image, k) => sum + weights[k] * image[i], 0),
  );
}

// The nearest place of a grid of n x n, as its number.
function nearest([u, v], n) {
  return Math.round(v * (n - 1)) * n + Math.round(u * (n - 1));
}

export const equations = {
  place: ({ images, place, n }) => [
    nearest(place, n),
    ...cornerWeights(place),
    ...blend(images, place),
  ],
};

function render({ model, el }) {
  const root = begin(el, "Latent walk");
  const say = announcer(root);
  const size = model.get("_size");
  const channels = model.get("_channels");
  const n = model.get("_n");
  const grid = bytes(model, "_grid");
  const one = channels * size * size;
  const image = (i) => grid.subarray(i * one, (i + 1) * one);
  const corners = [0, n - 1, n * (n - 1), n * n - 1].map(image);

  const walked = canvas(size, "G(z) at this place");
  const blended = canvas(size, "the four corners' images, blended");
  const knob = element("i", {
    class: "explorer-box",
    style: "width:18px;height:18px;margin:-9px;border-radius:50%;pointer-events:none",
  });
  const pad = element("div", {
    class: "explorer-stage",
    "data-what": "pad",
    style: "aspect-ratio:1;border:1px solid var(--line);background:var(--raised)",
  });
  corners.forEach((corner, k) => {
    const small = canvas(size, `corner ${k + 1}`, {
      style: `position:absolute;width:26%;${k < 2 ? "top" : "bottom"}:0;${k % 2 ? "right" : "left"}:0`,
    });
    paintImage(small, corner, channels);
    pad.append(small);
  });
  pad.append(knob);
  const words = element("p", { "data-what": "words" });
  const figures = [
    figure("the pad: drag through it", pad),
    figure("G(z) there", walked),
    figure("for comparison, without G: the four images blended", blended),
  ];
  for (const node of figures) node.classList.add("explorer-medium");
  root.append(element("div", { class: "explorer-row" }, ...figures), words);

  function draw() {
    const place = model.get("place");
    // The blend of the place whose G(z) is shown: else the two would differ even at a corner.
    const onGrid = place.map((share) => Math.round(share * (n - 1)) / (n - 1));
    const G = image(nearest(place, n));
    const B = blend(corners, onGrid);
    paintImage(walked, G, channels);
    paintImage(blended, B, channels);
    Object.assign(knob.style, { left: `${100 * place[0]}%`, top: `${100 * place[1]}%` });
    const apart = G.reduce((sum, value, i) => sum + Math.abs(value - B[i]), 0) / G.length;
    const shares = cornerWeights(onGrid)
      .map((w) => `${(100 * w).toFixed(0)} %`)
      .join(", ");
    words.textContent = `z is mixed of ${shares} of the four corners. G(z) and the blend are ${apart.toFixed(1)} grey levels apart on average.`;
    say(words.textContent);
  }
  const go = (u, v) => put(model, { place: [clamp(u, 0, 1), clamp(v, 0, 1)] });
  draggable(pad, (u, v) => {
    go(u, v);
    return go;
  });
  movable(pad, "The pad. Arrow keys move through it.", (dx, dy) => {
    const [u, v] = model.get("place");
    go(u + dx / (n - 1), v + dy / (n - 1));
  });
  drawWhenChanged(model, ["place"], draw);
}

export default { render };
