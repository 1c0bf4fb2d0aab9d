// The GAN playground: two games of G and D in the plane, trained here, step by step.

// A network is a list of linear layers with LeakyReLU(0.1) between them.
function networkOf(weights, widths) {
  const net = [];
  let at = 0;
  for (let l = 1; l < widths.length; l++) {
    const ins = widths[l - 1];
    const outs = widths[l];
    const W = new Float64Array(weights.slice(at, at + ins * outs));
    at += ins * outs;
    const b = new Float64Array(weights.slice(at, at + outs));
    at += outs;
    net.push({ W, b, ins, outs });
  }
  return net;
}

const weightsOf = (net) => net.flatMap(({ W, b }) => [...W, ...b]);

// What one layer returns for n points; a function of its own, which browsers compile well.
function through({ W, b, ins, outs }, from, n, isLast) {
  const to = new Float64Array(n * outs);
  for (let i = 0; i < n; i++) {
    for (let o = 0; o < outs; o++) {
      const row = o * ins;
      const point = i * ins;
      let sum = b[o];
      for (let k = 0; k < ins; k++) sum += W[row + k] * from[point + k];
      to[i * outs + o] = isLast || sum > 0 ? sum : 0.1 * sum;
    }
  }
  return to;
}

// What every layer returns for n points, the points themselves first.
function forward(net, x, n) {
  const seen = [x];
  net.forEach((layer, l) => seen.push(through(layer, seen[l], n, l === net.length - 1)));
  return seen;
}

// The gradients of a loss: of each layer's weights, and of the input. `slope` is that of the output.
function backward(net, seen, slope, n) {
  const gradients = [];
  for (let l = net.length - 1; l >= 0; l--) {
    const { W, b, ins, outs } = net[l];
    const from = seen[l];
    const to = seen[l + 1];
    const isLast = l === net.length - 1;
    const dW = new Float64Array(W.length);
    const db = new Float64Array(b.length);
    const back = new Float64Array(n * ins);
    for (let i = 0; i < n; i++) {
      for (let o = 0; o < outs; o++) {
        const bent = !isLast && to[i * outs + o] <= 0;
        const s = bent ? 0.1 * slope[i * outs + o] : slope[i * outs + o];
        const row = o * ins;
        const point = i * ins;
        db[o] += s;
        for (let k = 0; k < ins; k++) {
          dW[row + k] += s * from[point + k];
          back[point + k] += s * W[row + k];
        }
      }
    }
    gradients[l] = { W: dW, b: db };
    slope = back;
  }
  return { gradients, input: slope };
}

const sigmoid = (s) => 1 / (1 + Math.exp(-s));
const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));

// D's loss of one score with its label, 1 for real, and its slope.
function lossOfD(s, label, kind) {
  if (kind === "ls") return [(s - label) ** 2, 2 * (s - label)];
  return label ? [softplus(-s), sigmoid(s) - 1] : [softplus(s), sigmoid(s)];
}

// G's loss of the score of one fake, and its slope.
function lossOfG(s, kind) {
  if (kind === "ls") return [(s - 1) ** 2, 2 * (s - 1)];
  if (kind === "minimax") return [-softplus(s), -sigmoid(s)];
  return [softplus(-s), sigmoid(s) - 1];
}

// The mean of a loss over scores, and the slope of each.
function mean(scores, loss) {
  const n = scores.length;
  const slopes = new Float64Array(n);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const [value, slope] = loss(scores[i]);
    total += value / n;
    slopes[i] = slope / n;
  }
  return [total, slopes];
}

// An optimiser: Adam with betas 0.5 and 0.9, as in the lesson.
function adam(net) {
  const zeros = () =>
    net.map(({ W, b }) => ({ W: new Float64Array(W.length), b: new Float64Array(b.length) }));
  const first = zeros();
  const second = zeros();
  let t = 0;
  return (gradients, lr) => {
    t += 1;
    const unbias1 = 1 - 0.5 ** t;
    const unbias2 = 1 - 0.9 ** t;
    net.forEach((layer, l) => {
      for (const part of ["W", "b"]) {
        const m = first[l][part];
        const v = second[l][part];
        const g = gradients[l][part];
        for (let i = 0; i < g.length; i++) {
          m[i] = 0.5 * m[i] + 0.5 * g[i];
          v[i] = 0.9 * v[i] + 0.1 * g[i] * g[i];
          layer[part][i] -= (lr * (m[i] / unbias1)) / (Math.sqrt(v[i] / unbias2) + 1e-8);
        }
      }
    });
  };
}

const added = (one, other) =>
  one.map((layer, l) => ({
    W: layer.W.map((value, i) => value + other[l].W[i]),
    b: layer.b.map((value, i) => value + other[l].b[i]),
  }));

const plus = (points, shift) => points.map((value, i) => value + shift[i]);

// One step: D learns, then G. `batch` holds real points, z, and T's shifts of the real points, of
// the fakes for D, and of the fakes for G; zeros where T is off.
function step(game, batch, { loss, lr_D, lr_G }) {
  const { G, D, optimiseG, optimiseD } = game;
  const n = batch.z.length / 2;
  const made = forward(G, batch.z, n);
  const fake = made.at(-1);

  const onReal = forward(D, plus(batch.real, batch.T_real), n);
  const onFake = forward(D, plus(fake, batch.T_fake), n);
  const [lossReal, slopeReal] = mean(onReal.at(-1), (s) => lossOfD(s, 1, loss));
  const [lossFake, slopeFake] = mean(onFake.at(-1), (s) => lossOfD(s, 0, loss));
  optimiseD(
    added(backward(D, onReal, slopeReal, n).gradients, backward(D, onFake, slopeFake, n).gradients),
    lr_D,
  );

  const again = forward(D, plus(fake, batch.T_G), n); // with the D that has just learned
  const [lossG, slopeG] = mean(again.at(-1), (s) => lossOfG(s, loss));
  const toFake = backward(D, again, slopeG, n).input; // T shifts, so that its gradient is 1
  optimiseG(backward(G, made, toFake, n).gradients, lr_G);
  return [lossReal + lossFake, lossG];
}

export const equations = {
  // Two steps from given weights; returns losses and a digest of both networks.
  steps({ widths, G, D, batches, settings }) {
    const game = gameOf(G, D, widths);
    const losses = batches.flatMap((batch) => step(game, batch, settings));
    return [...losses, ...weightsOf(game.G), ...weightsOf(game.D)];
  },
  // Minus the gradient of G's loss with respect to each fake, times their number.
  pushes({ widths, G, D, z, loss }) {
    const game = gameOf(G, D, widths);
    return [...pushes(game.G, game.D, z, loss).flat()];
  },
};

function gameOf(G, D, widths) {
  const game = { G: networkOf(G, [2, ...widths, 2]), D: networkOf(D, [2, ...widths, 1]) };
  return { ...game, optimiseG: adam(game.G), optimiseD: adam(game.D) };
}

// Fakes, and where D's judgement pushes each: minus the gradient of G's loss.
function pushes(G, D, z, loss) {
  const n = z.length / 2;
  const fake = forward(G, z, n).at(-1);
  const seen = forward(D, fake, n);
  const [, slopes] = mean(seen.at(-1), (s) => lossOfG(s, loss));
  return [[...fake], [...backward(D, seen, slopes, n).input].map((g) => -n * g)];
}

const LIMIT = 2;
const GRID = 25;
const BATCH = 64;
const MOST = 1000;

function drawRing(normal, uniform) {
  const angle = 2 * Math.PI * uniform();
  return [Math.cos(angle) + 0.1 * normal(), Math.sin(angle) + 0.1 * normal()];
}

function drawEight(normal, uniform) {
  const angle = (2 * Math.PI * Math.floor(8 * uniform())) / 8;
  return [Math.cos(angle) + 0.05 * normal(), Math.sin(angle) + 0.05 * normal()];
}

// A whole game, recorded: it is trained as far as somebody looks, and every step can be shown again.
class Game {
  constructor(G, D, widths, data, settings, seed) {
    Object.assign(this, gameOf(G, D, widths), { widths, settings, steps: [] });
    const draw = data === "ring" ? drawRing : drawEight;
    const normal = normals(seed);
    const uniform = uniforms(seed + 1);
    this.point = () => draw(normal, uniform);
    this.normal = normals(seed + 2);
    this.uniform = uniforms(seed + 3);
    this.all = settings.points ? Array.from({ length: settings.points }, this.point) : null;
    const fresh = normals(seed + 4);
    const where = uniforms(seed + 5);
    this.unseen = Array.from({ length: 64 }, () => draw(fresh, where));
    this.shown = (this.all ?? this.unseen).slice(0, 64).flat();
    this.z = Float64Array.from({ length: 2 * BATCH }, normals(seed + 6));
    this.keep([NaN, NaN]);
  }

  keep(losses) {
    this.steps.push({
      G: Float32Array.from(weightsOf(this.G)),
      D: Float32Array.from(weightsOf(this.D)),
      losses,
    });
  }

  train() {
    const real = [];
    for (let i = 0; i < BATCH; i++) {
      real.push(
        ...(this.all ? this.all[Math.floor(this.all.length * this.uniform())] : this.point()),
      );
    }
    const z = Float64Array.from({ length: 2 * BATCH }, this.normal);
    const shifts = () =>
      Float64Array.from({ length: 2 * BATCH }, () =>
        this.settings.T ? 0.8 * (this.uniform() - 0.5) : 0,
      );
    const batch = {
      real: Float64Array.from(real),
      z,
      T_real: shifts(),
      T_fake: shifts(),
      T_G: shifts(),
    };
    this.keep(step(this, batch, this.settings));
  }

  // Train up to step t, or until the clock shows `deadline`; return the last step that is there.
  trainTo(t, deadline) {
    while (this.steps.length <= t && performance.now() < deadline) this.train();
    return Math.min(t, this.steps.length - 1);
  }

  at(t) {
    const kept = this.steps[t];
    const G = networkOf(kept.G, [2, ...this.widths, 2]);
    const D = networkOf(kept.D, [2, ...this.widths, 1]);
    const [fake, push] = pushes(G, D, this.z, this.settings.loss);
    // "ls" teaches D to score 0 and 1; the other losses teach it scores of a sigmoid.
    const answer = this.settings.loss === "ls" ? (s) => clamp(s, 0, 1) : sigmoid;
    const answers = (points) =>
      forward(D, points, points.length / 2)
        .at(-1)
        .map(answer);
    return { fake, push, answers, losses: kept.losses };
  }
}

const average = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// How many of the eight clouds have at least 2 % of the points within 0.25 of their centre.
function modesCovered(points) {
  const near = new Array(8).fill(0);
  for (let i = 0; i < points.length; i += 2) {
    for (let m = 0; m < 8; m++) {
      const angle = (2 * Math.PI * m) / 8;
      if (Math.hypot(points[i] - Math.cos(angle), points[i + 1] - Math.sin(angle)) < 0.25)
        near[m] += 1;
    }
  }
  return near.filter((count) => count >= (0.02 * points.length) / 2).length;
}

const ORANGE = [245, 189, 107];
const BLUE = [122, 181, 232];

function paintAnswers(node, answers) {
  paint(node, (i, rgba) => {
    const flipped = (GRID - 1 - Math.floor(i / GRID)) * GRID + (i % GRID); // y points up
    const share = Math.abs(2 * answers[flipped] - 1);
    const colour = answers[flipped] > 0.5 ? BLUE : ORANGE;
    for (let c = 0; c < 3; c++) rgba[c] = 255 + share * (colour[c] - 255);
  });
}

// All points of a kind as one path, in a window [-LIMIT, LIMIT]^2 of 100 x 100.
const toX = (x) => 50 + (50 * x) / LIMIT;
const toY = (y) => 50 - (50 * y) / LIMIT;

function pathOf(points, shape) {
  let path = "";
  for (let i = 0; i < points.length; i += 2) {
    path += `M${toX(points[i]).toFixed(2)} ${toY(points[i + 1]).toFixed(2)}${shape(i)}`;
  }
  return path;
}

const disc = () => "m-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0";
const triangle = () => "m0-1.4l1.3 2.2h-2.6z";

function plane(game, name) {
  const surface = canvas(GRID, `${name}: D's answers, blue is real`, { class: "explorer-smooth" });
  const reals = element("svg:path", { fill: REAL, stroke: "#003a5c", "stroke-width": 0.3 });
  const arrows = element("svg:path", { stroke: "#333", "stroke-width": 0.4, fill: "none" });
  const fakes = element("svg:path", { fill: FAKE, stroke: "#5c3a00", "stroke-width": 0.3 });
  const over = element(
    "svg:svg",
    { viewBox: "0 0 100 100", "aria-hidden": "true" },
    reals,
    arrows,
    fakes,
  );
  over.style.overflow = "hidden";
  const table = element("table", { class: "explorer-table" });
  const side = Float64Array.from({ length: GRID }, (_, i) => LIMIT * ((2 * i) / (GRID - 1) - 1));
  const grid = Float64Array.from(
    { length: 2 * GRID * GRID },
    (_, i) => side[i % 2 ? Math.floor(i / 2 / GRID) : (i / 2) % GRID],
  );
  const node = element(
    "div",
    { class: "explorer-large" },
    element("div", { class: "explorer-stage" }, surface, over),
    table,
  );

  function draw(game, t, data) {
    const { fake, push, answers, losses } = game.at(t);
    paintAnswers(surface, answers(grid));
    attribute(reals, { d: pathOf(game.shown, disc) });
    attribute(fakes, { d: pathOf(fake, triangle) });
    const lengths = Array.from({ length: push.length / 2 }, (_, i) =>
      Math.hypot(push[2 * i], push[2 * i + 1]),
    );
    const long = [...lengths].sort((a, b) => a - b)[Math.floor(0.9 * lengths.length)] || 1;
    attribute(arrows, {
      d: pathOf(fake, (i) => {
        const scale = 12 / Math.max(long, lengths[i / 2] / 2);
        return `l${(push[i] * scale).toFixed(2)} ${(-push[i + 1] * scale).toFixed(2)}`;
      }),
    });
    const seen = {
      step: t,
      loss_D: losses[0],
      loss_G: losses[1],
      answer_to_real: average(answers(Float64Array.from(game.shown))),
      answer_to_unseen: average(answers(Float64Array.from(game.unseen.flat()))),
      answer_to_fakes: average(answers(Float64Array.from(fake))),
    };
    if (data === "eight clouds") seen.modes = modesCovered(fake);
    const lines = {
      "D answers to its real points": seen.answer_to_real,
      "to unseen real points": seen.answer_to_unseen,
      "to fakes": seen.answer_to_fakes,
      "D's loss": losses[0],
      "G's loss": losses[1],
    };
    const text = (value) => (Number.isNaN(value) ? "–" : value.toFixed(2));
    const rows = Object.entries(lines).map(([k, v]) => [k, text(v)]);
    if (data === "eight clouds") rows.push(["clouds that G draws", `${seen.modes} of 8`]);
    table.replaceChildren(
      ...rows.map(([k, v]) => element("tr", {}, element("th", {}, k), element("td", {}, v))),
    );
    return seen;
  }
  return { node, draw };
}

function render({ model, el }) {
  const root = begin(el, "GAN playground");
  const widths = model.get("_widths");
  const G = floats(model, "_G");
  const D = floats(model, "_D");
  const names = ["left", "right"];
  const games = {};
  const planes = {};
  const say = announcer(root);
  const columns = element("div", { class: "explorer-row" });
  for (const name of names) {
    planes[name] = plane(name, name);
    const own = entriesOf(model, name);
    const rate = (v) => v.toPrecision(2);
    columns.append(
      element(
        "div",
        {
          role: "group",
          "aria-label": `the ${name} game`,
          "data-what": name,
          style: "flex: 1 1 320px",
        },
        planes[name].node,
        choice(own, "loss", "loss", [
          ["minimax", "minimax"],
          ["ns", "non-sat."],
          ["ls", "least sq."],
        ]),
        slider(own, "lr_G", "G's learning rate", {
          min: 2e-4,
          max: 2e-2,
          step: 1e-4,
          log: true,
          show: rate,
        }),
        slider(own, "lr_D", "D's learning rate", {
          min: 2e-4,
          max: 2e-2,
          step: 1e-4,
          log: true,
          show: rate,
        }),
        choice(own, "points", "real points", [
          [0, "endless"],
          [50, "50"],
          [10, "10"],
        ]),
        toggle(own, "T", "T: shift all that D sees"),
      ),
    );
  }

  let playing = 0;
  let shown = 0;
  const play = button("play", () => (playing ? stop() : start()));
  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "play";
    model.save_changes();
  }
  function start() {
    play.textContent = "pause";
    if (model.get("step") >= MOST) model.set("step", 0);
    const tick = () => {
      if (!el.isConnected) return stop();
      if (shown === model.get("step")) model.set("step", shown + 1);
      playing = requestAnimationFrame(tick);
      if (model.get("step") >= MOST) stop();
    };
    tick();
  }
  root.append(
    choice(model, "data", "the data", [
      ["ring", "a ring"],
      ["eight clouds", "eight clouds"],
    ]),
    columns,
    element(
      "div",
      {},
      play,
      button("one step", () => put(model, { step: Math.min(MOST, model.get("step") + 1) })),
      button("from the start", () => put(model, { step: 0 })),
    ),
    slider(model, "step", "step", { min: 0, max: MOST }),
    element(
      "p",
      {},
      "Blue discs are real, orange triangles fakes; an arrow is where D's judgement pushes a fake.",
    ),
  );

  function begun(name) {
    games[name] = new Game(G, D, widths, model.get("data"), model.get(name), model.get("seed"));
  }
  // A far step takes many frames of training; both games stay at one step meanwhile.
  function draw(soon) {
    const seen = {};
    const words = [];
    const wanted = model.get("step");
    const began = performance.now();
    const reached = names.map((name, i) => games[name].trainTo(wanted, began + 3 * (i + 1)));
    shown = Math.min(...reached);
    if (shown < wanted) soon();
    attribute(columns, { "aria-busy": shown < wanted });
    for (const name of names) {
      seen[name] = planes[name].draw(games[name], shown, model.get("data"));
      words.push(
        `${name}: D answers ${seen[name].answer_to_real.toFixed(2)} to real, ${seen[name].answer_to_fakes.toFixed(2)} to fake points`,
      );
      for (const key of ["loss_D", "loss_G"])
        if (Number.isNaN(seen[name][key])) seen[name][key] = null;
    }
    model.set("seen", seen);
    if (!playing) model.save_changes();
    if (shown === wanted) say(`step ${shown}. ${words.join(". ")}`);
  }
  for (const name of names) {
    begun(name);
    model.on(`change:${name}`, () => begun(name));
  }
  for (const trait of ["data", "seed"]) model.on(`change:${trait}`, () => names.forEach(begun));
  drawWhenChanged(model, ["step", "left", "right", "data", "seed"], draw);
}

export default { render };
