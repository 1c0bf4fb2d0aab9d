// The chance explorer: how many seeds does it take to decide a difference of this size?

function logGamma(x) {
  const terms = [
    76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155,
    0.1208650973866179e-2, -0.5395239384953e-5,
  ];
  const at = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  const sum = terms.reduce((total, term, i) => total + term / (x + 1 + i), 1.000000000190015);
  return -at + Math.log((2.5066282746310005 * sum) / x);
}

// The regularised incomplete beta function, by its continued fraction (Lentz).
function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front =
    Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) /
    a;
  const safe = (value) => (Math.abs(value) < 1e-30 ? 1e-30 : value);
  let c = 1;
  let d = 1 / safe(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 300; m++) {
    for (const term of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      fraction *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-12) break;
  }
  return front * fraction;
}

// The chance that |T| is at least |t|, Student's with `freedom` degrees of freedom.
function twoSided(t, freedom) {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

function criticalT(level, freedom) {
  let low = 0;
  let high = 1e4;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (twoSided(middle, freedom) > level) low = middle;
    else high = middle;
  }
  return low;
}

function normalCdf(x) {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const poly =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * poly * Math.exp((-x * x) / 2);
  return x > 0 ? 1 - tail : tail;
}

// The chance that |T| exceeds `critical` where the true difference is `shift` standard errors: an
// integral over the measured spread s, in units of the true one (the non-central t; Simpson's rule).
function power(shift, critical, freedom) {
  const n = 300;
  const high = 1 + 7 / Math.sqrt(freedom);
  const h = high / n;
  const constant = Math.log(2) + (freedom / 2) * Math.log(freedom / 2) - logGamma(freedom / 2);
  let within = 0;
  for (let i = 0; i <= n; i++) {
    const s = Math.max(1e-12, i * h);
    const weight = i === 0 || i === n ? 1 : 2 + 2 * (i % 2);
    const density = Math.exp(constant + (freedom - 1) * Math.log(s) - (freedom * s * s) / 2);
    within +=
      weight * density * (normalCdf(critical * s - shift) - normalCdf(-critical * s - shift));
  }
  return clamp(1 - (within * h) / 3, 0, 1);
}

function powerOf(difference, sd, seeds, freedom, critical) {
  return power(difference / (sd * Math.sqrt(2 / seeds)), critical, freedom);
}

const MOST = 40;
const WANTED = 0.8;

// The least number of seeds of each row that decides with the chance WANTED, or Infinity where it is
// over a thousand. The chance grows with the number.
function seedsNeeded(difference, sd, freedom, critical) {
  const suffices = (n) => powerOf(difference, sd, n, freedom, critical) >= WANTED;
  let tooFew = 0;
  let enough = 1000;
  if (!suffices(enough)) return Infinity;
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (suffices(middle)) enough = middle;
    else tooFew = middle;
  }
  return enough;
}

export const equations = {
  chances({ difference, sd, seeds, freedom, level }) {
    const t = difference / (sd * Math.sqrt(2 / seeds));
    const critical = criticalT(level, freedom);
    return [twoSided(t, freedom), powerOf(difference, sd, seeds, freedom, critical)];
  },
  needed: ({ difference, sd, freedom, level }) => [
    seedsNeeded(difference, sd, freedom, criticalT(level, freedom)),
  ],
};

const OWN = "a difference of your own";
const WIDE = 460;
const HIGH = 190;

function render({ model, el }) {
  const root = begin(el, "Chance explorer");
  const rows = model.get("_rows");
  const say = announcer(root);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  // Two bells: runs of the better row, and of the rival, which is dragged.
  const path = (attributes) =>
    element("svg:path", { fill: "none", "stroke-width": 2.5, ...attributes });
  const bells = [path({ stroke: REAL }), path({ stroke: FAKE })];
  const dots = element("svg:g");
  const axis = element("svg:g");
  const span = path({ stroke: "currentColor", "stroke-width": 1.5 });
  const above = element("svg:text", { "text-anchor": "middle" });
  const picture = element(
    "svg:svg",
    {
      viewBox: `0 0 ${WIDE} ${HIGH}`,
      role: "img",
      "aria-label": "runs of two rows as bells over FD",
      style: "overflow: hidden", // a wide spread would cover what stands beside it
    },
    ...bells,
    dots,
    span,
    above,
    axis,
  );
  const stage = element("div", { "data-what": "bells" }, picture);

  const curve = path({ stroke: MIXED });
  const marker = element("svg:circle", { r: 6, fill: MIXED });
  const scale = element("svg:g");
  const chart = element(
    "svg:svg",
    {
      viewBox: `0 0 ${WIDE} ${HIGH}`,
      role: "img",
      "aria-label": "the chance to decide, over the number of seeds",
    },
    scale,
    curve,
    marker,
  );
  const chartStage = element("div", { "data-what": "power" }, chart);
  const words = element("p", { "data-what": "words" });
  const measured = element("p");
  const halves = element(
    "div",
    { class: "explorer-row" },
    figure("single runs of two rows; drag the orange one", stage),
    figure("the chance that this test decides; drag the marker", chartStage),
  );
  for (const node of halves.children) node.style.flex = "1 1 320px";
  const names = Object.keys(rows);
  const choices = [
    selection(model, "row", "row", [OWN, ...names]),
    selection(model, "rival", "rival", names),
  ];
  for (const node of choices) node.addEventListener("change", chosen);
  const size = slider(model, "difference", "difference in FD", {
    min: 0,
    max: model.get("_widest"),
    step: 0.5,
    show: (v) => v.toFixed(1),
  });
  size.addEventListener("input", () => put(model, { row: OWN }));
  root.append(
    ...choices,
    measured,
    halves,
    words,
    size,
    slider(model, "seeds", "seeds of each row", { min: 1, max: MOST }),
    slider(model, "sd", "spread of one run", {
      min: 1,
      max: model.get("_widest") / 2,
      step: 0.5,
      show: (v) => v.toFixed(1),
    }),
  );
  const text = (x, y, string, more = {}) => element("svg:text", { x, y, ...more }, string);
  const left = 40;
  const bottom = HIGH - 34;
  const toSeeds = (n) => left + ((n - 1) / (MOST - 1)) * (WIDE - left - 10);
  const toPower = (value) => bottom - value * (bottom - 12);
  scale.append(
    element("svg:path", {
      class: "explorer-axis",
      d: `M${left} 12V${bottom}H${WIDE - 10}M${left} ${toPower(WANTED)}H${WIDE - 10}`,
    }),
  );
  for (const value of [0, 0.5, WANTED, 1])
    scale.append(text(left - 6, toPower(value) + 4, value, { "text-anchor": "end" }));
  for (const n of [1, 10, 20, 30, 40])
    scale.append(text(toSeeds(n), bottom + 15, n, { "text-anchor": "middle" }));
  scale.append(text((left + WIDE) / 2, HIGH - 1, "seeds of each row", { "text-anchor": "middle" }));

  const high = 1.4 * model.get("_widest");
  const low = -high; // the rival may be the better one
  const toX = (fd) => ((fd - low) / (high - low)) * WIDE;
  axis.append(element("svg:path", { class: "explorer-axis", d: `M0 ${bottom}H${WIDE}` }));
  const tick = [10, 20, 50, 100].find((size) => (high - low) / size <= 8) ?? 200;
  for (let fd = Math.ceil(low / tick) * tick; fd <= high; fd += tick) {
    axis.append(text(toX(fd), bottom + 15, fd ? signed(fd, 0) : "0", { "text-anchor": "middle" }));
  }
  axis.append(text(WIDE / 2, HIGH - 1, "FD, from the row's mean", { "text-anchor": "middle" }));

  function bell(at, sd) {
    const points = Array.from({ length: 81 }, (_, i) => {
      const u = (i - 40) / 10;
      return `${toX(at + u * sd).toFixed(1)} ${(bottom - 100 * Math.exp((-u * u) / 2)).toFixed(1)}`;
    });
    return `M${points.join("L")}`;
  }

  // On which side of the row its rival is: 1 where its FD is higher. A difference of the reader's own
  // stays on the side where the last rival was, so that a bell that is grabbed does not jump.
  let side = 1;

  function draw() {
    const sd = model.get("sd");
    const seeds = model.get("seeds");
    const level = model.get("level");
    const freedom = model.get("freedom");
    const difference = model.get("difference");
    const critical = criticalT(level, freedom);
    const error = sd * Math.sqrt(2 / seeds);
    const isOwn = model.get("row") === OWN;
    const mine = rows[model.get("row")];
    const other = rows[model.get("rival")];
    attribute(bells[0], { d: bell(0, sd) });
    if (!isOwn) side = mean(other) >= mean(mine) ? 1 : -1;
    attribute(bells[1], { d: bell(side * difference, sd) });
    attribute(span, { d: `M${toX(0)} 46V40H${toX(side * difference)}V46` });
    attribute(above, { x: toX((side * difference) / 2), y: 34 });
    above.textContent = `${difference.toFixed(1)} = ${(difference / sd).toFixed(1)} spreads`;
    dots.replaceChildren();
    if (!isOwn) {
      for (const [values, colour, lift] of [
        [mine, REAL, 8],
        [other, FAKE, 20],
      ]) {
        for (const value of values) {
          dots.append(
            element("svg:circle", {
              cx: toX(value - mean(mine)),
              cy: bottom - lift,
              r: 4.5,
              fill: colour,
              stroke: "#fff",
            }),
          );
        }
      }
    }
    const points = Array.from(
      { length: MOST },
      (_, i) =>
        `${toSeeds(i + 1).toFixed(1)} ${toPower(powerOf(difference, sd, i + 1, freedom, critical)).toFixed(1)}`,
    );
    const chance = powerOf(difference, sd, seeds, freedom, critical);
    attribute(curve, { d: `M${points.join("L")}` });
    attribute(marker, { cx: toSeeds(seeds), cy: toPower(chance) });
    const p = twoSided(difference / error, freedom);
    const needed = seedsNeeded(difference, sd, freedom, critical);
    const enough = needed === Infinity ? "over a thousand" : needed;
    words.textContent =
      `A measured difference of ${difference.toFixed(1)} over ${seeds} seeds each is ${(difference / error).toFixed(1)} standard errors: ` +
      `p = ${p.toPrecision(2)}, ${p < level ? "decided" : "undecided"} at ${Number((100 * level).toPrecision(3))} %. If it is the true difference, ${seeds} seeds each decide with a chance of ` +
      `${(100 * chance).toFixed(0)} %; a chance of 80 % takes ${enough} seeds each.`;
    measured.textContent = isOwn
      ? `The spread of one run is ${model.get("_sd").toFixed(1)} in the records, pooled with ${freedom} degrees of freedom.`
      : inRecords(mine, other, level, freedom);
    say(words.textContent);
  }
  // The same test on two rows of the records. The ledger's own is Welch's, corrected for many tests.
  function inRecords(mine, other, level, freedom) {
    const lead = mean(other) - mean(mine);
    const error = model.get("_sd") * Math.sqrt(1 / mine.length + 1 / other.length);
    const p = twoSided(lead / error, freedom);
    const verdict =
      p >= level ? "undecided" : lead > 0 ? "the row is better" : "the rival is better";
    return `In the records: ${mean(mine).toFixed(1)} (${mine.length} runs) against ${mean(other).toFixed(1)} (${other.length} runs), p = ${p.toPrecision(2)}: ${verdict}.`;
  }
  // What the reader chooses sets the sliders; where Python chooses, chance.py does the same.
  function chosen() {
    const mine = rows[model.get("row")];
    const other = rows[model.get("rival")];
    if (!mine) return;
    const lead = mean(other) - mean(mine);
    put(model, {
      difference: clamp(Math.abs(lead), 0, model.get("_widest")),
      seeds: Math.min(mine.length, other.length, MOST),
      sd: model.get("_sd"),
    });
  }

  const own = (difference) =>
    put(model, {
      row: OWN,
      difference: clamp(Math.round(2 * difference) / 2, 0, model.get("_widest")),
    });
  draggable(stage, (x) => {
    const start = model.get("difference");
    return (u) => own(start + side * (u - x) * (high - low));
  }, "pan-y");
  movable(stage, "The rival's mean. Arrow keys move it.", (dx, dy) =>
    own(model.get("difference") + side * dx - dy),
  );
  const count = (x) =>
    put(model, {
      seeds: clamp(Math.round(1 + ((x * WIDE - left) / (WIDE - left - 10)) * (MOST - 1)), 1, MOST),
    });
  draggable(chartStage, (x) => {
    count(x);
    return count;
  }, "pan-y");
  movable(chartStage, "The number of seeds. Arrow keys change it.", (dx, dy) =>
    put(model, { seeds: clamp(model.get("seeds") + dx - dy, 1, MOST) }),
  );
  drawWhenChanged(
    model,
    ["row", "rival", "difference", "seeds", "sd", "freedom", "level"],
    draw,
  );
}

export default { render };
