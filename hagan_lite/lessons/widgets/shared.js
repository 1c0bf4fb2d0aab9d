// What all explorers share. base.py puts it in front of each explorer's module.

const REAL = "#0173b2";
const FAKE = "#de8f05";
const MIXED = "#029e73"; // as in every figure

// What has the focus keeps its keys: else "x" on a slider would cut the cell of a notebook.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

// Make an element; names that begin with "on" are events, "svg:" stands before those of SVG.
function element(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  if (["input", "select", "button"].includes(tag)) attributes = { ...OWN_KEYS, ...attributes };
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function attribute(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function signed(value, digits = 3) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}

// Bytes of a trait, as numbers.
function bytes(model, trait) {
  const view = model.get(trait);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function floats(model, trait) {
  return new Float32Array(bytes(model, trait).slice().buffer);
}

function put(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

// The entries of a trait that is a dictionary, as a model of their own.
function entriesOf(model, trait) {
  return {
    get: (name) => model.get(trait)[name],
    set: (name, value) => model.set(trait, { ...model.get(trait), [name]: value }),
    on: (_, listener) => model.on(`change:${trait}`, listener),
    save_changes: () => model.save_changes(),
  };
}

// Draw now, and once in the next frame after any of the traits has changed. `draw` is given a function
// that asks for the next frame, too.
function drawWhenChanged(model, traits, draw) {
  let waiting = false;
  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw(soon);
    });
  }
  for (const trait of traits) model.on(`change:${trait}`, soon);
  draw(soon);
}

// The explorer's outermost element.
function begin(el, name) {
  const root = element("div", { class: "explorer", role: "group", "aria-label": name });
  el.append(root);
  return root;
}

// Random numbers of a seed (mulberry32), and normal ones of them (Box-Muller).
function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function normals(seed) {
  const uniform = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// Controls: native ones, so that keys and screen readers work.

// The values of a logarithmic slider: a hundred ratios, each rounded to a multiple of `step`, no value
// twice, so that every press of an arrow key changes something.
function ladder(min, max, step) {
  const values = Array.from({ length: 101 }, (_, i) => min * (max / min) ** (i / 100));
  const rounded = values.map((value) => Number((Math.round(value / step) * step).toPrecision(12)));
  return [...new Set(rounded)];
}

// The number of the entry of `values` that is nearest to `value`.
function nearestOf(values, value) {
  const away = values.map((one) => Math.abs(one - value));
  return away.indexOf(Math.min(...away));
}

function slider(model, trait, label, { min, max, step = 1, show = String, log = false }) {
  const rungs = log ? ladder(min, max, step) : null;
  const range = log ? { min: 0, max: rungs.length - 1, step: 1 } : { min, max, step };
  const input = element("input", { type: "range", ...range });
  const shown = number();
  shown.setAttribute("aria-hidden", "true"); // the slider's own value text says it
  function update() {
    const value = model.get(trait);
    input.value = log ? nearestOf(rungs, value) : value;
    shown.textContent = show(value);
    input.setAttribute("aria-valuetext", shown.textContent);
  }
  input.addEventListener("input", () => {
    const at = Number(input.value);
    put(model, { [trait]: log ? rungs[at] : at });
  });
  model.on(`change:${trait}`, update);
  update();
  return element("label", { class: "explorer-slider" }, element("span", {}, label), input, shown);
}

// A number that changes while something is dragged. It is no <output>: screen readers would read
// that aloud in every frame; the announcer speaks for all.
function number(attributes = {}) {
  return element("span", { class: "explorer-number", ...attributes });
}

let groups = 0;
function choice(model, trait, label, options) {
  const name = `explorer-choice-${groups++}-${Math.random()}`;
  const inputs = new Map();
  const entries = element("div");
  for (const [value, text] of options) {
    const input = element("input", {
      type: "radio",
      name,
      onchange: () => put(model, { [trait]: value }),
    });
    inputs.set(value, input);
    entries.append(element("label", {}, input, element("span", {}, text)));
  }
  function update() {
    for (const [value, input] of inputs) input.checked = value === model.get(trait);
  }
  model.on(`change:${trait}`, update);
  update();
  return element("fieldset", { class: "explorer-choice" }, element("legend", {}, label), entries);
}

function selection(model, trait, label, options) {
  const select = element("select", { onchange: () => put(model, { [trait]: select.value }) });
  for (const text of options) select.append(element("option", {}, text));
  const update = () => (select.value = model.get(trait));
  model.on(`change:${trait}`, update);
  update();
  return element("label", { class: "explorer-selection" }, element("span", {}, label), select);
}

function toggle(model, trait, label) {
  const input = element("input", {
    type: "checkbox",
    onchange: () => put(model, { [trait]: input.checked }),
  });
  const update = () => (input.checked = model.get(trait));
  model.on(`change:${trait}`, update);
  update();
  return element("label", { class: "explorer-toggle" }, input, element("span", {}, label));
}

function button(label, onclick) {
  return element("button", { type: "button", onclick }, label);
}

// What a screen reader says when the numbers have changed and settled for a moment.
function announcer(root) {
  const node = element("p", { class: "explorer-unseen", "aria-live": "polite" });
  root.append(node);
  let timer;
  let before;
  return (text) => {
    const changed = before !== undefined && text !== before; // a page that opens says nothing
    before = text;
    if (!changed) return;
    clearTimeout(timer);
    timer = setTimeout(() => (node.textContent = text), 600);
  };
}

// Pictures.

function canvas(size, label, attributes = {}) {
  return element("canvas", {
    width: size,
    height: size,
    role: "img",
    "aria-label": label,
    ...attributes,
  });
}

function figure(title, ...children) {
  return element("figure", {}, element("figcaption", {}, title), ...children);
}

// Fill a canvas: `colour(i, rgba)` writes red, green and blue of pixel i to rgba[0..2].
function paint(node, colour) {
  const context = node.getContext("2d");
  const image = context.createImageData(node.width, node.height);
  const rgba = [0, 0, 0];
  for (let i = 0; i < node.width * node.height; i++) {
    colour(i, rgba);
    image.data[4 * i] = rgba[0];
    image.data[4 * i + 1] = rgba[1];
    image.data[4 * i + 2] = rgba[2];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// An image (C, N) of 0..255, C = 1 or 3, at pixel i.
function greyAt(image, channels, i, rgba) {
  const n = image.length / channels;
  for (let c = 0; c < 3; c++) rgba[c] = image[(channels === 3 ? c : 0) * n + i];
}

function paintImage(node, image, channels) {
  paint(node, (i, rgba) => greyAt(image, channels, i, rgba));
}

// A map over an image, in colours (256 x 3) on the scale of drawing.style.saliency_scale: A / mean(A),
// linear from 0, or logarithmic where a pixel has over ten times the mean. Returns which of them, and
// the largest ratio.
function paintOverlay(node, image, channels, A, colours) {
  let total = 0;
  let most = 0;
  for (const a of A) {
    total += a;
    most = Math.max(most, a);
  }
  const mean = total / A.length;
  const largest = Math.max(1, most / mean);
  const logarithmic = largest > 10;
  const grey = [0, 0, 0];
  paint(node, (i, rgba) => {
    const ratio = A[i] / mean;
    const share = logarithmic
      ? Math.log(Math.max(ratio, 0.1) / 0.1) / Math.log(largest / 0.1)
      : ratio / largest;
    const at = 3 * Math.min(255, Math.floor(256 * share));
    greyAt(image, channels, i, grey);
    for (let c = 0; c < 3; c++) rgba[c] = 0.35 * grey[c] + 0.65 * colours[at + c];
  });
  return { largest, logarithmic };
}

// The scale that paintOverlay has chosen, in words.
function scaleInWords({ largest, logarithmic }) {
  const kind = logarithmic ? "logarithmic" : "linear";
  return `The brightest pixel has ${largest.toFixed(1)} times the mean; the scale is ${kind}.`;
}

// Bilinear, as torch's interpolate with align_corners=False: n x n values at size x size.
function toImageSize(values, n, size) {
  const out = new Float64Array(size * size);
  const places = Array.from({ length: size }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * n) / size - 0.5);
    const low = Math.min(n - 1, Math.floor(at));
    return [low, Math.min(n - 1, low + 1), at - low];
  });
  for (let i = 0; i < size; i++) {
    const [up, down, v] = places[i];
    for (let j = 0; j < size; j++) {
      const [left, right, u] = places[j];
      const above = (1 - u) * values[up * n + left] + u * values[up * n + right];
      const below = (1 - u) * values[down * n + left] + u * values[down * n + right];
      out[i * size + j] = (1 - v) * above + v * below;
    }
  }
  return out;
}

// Follow one pointer from press to release; other fingers are left alone meanwhile.
// `press(x, y, event)` returns what follows its moves; places are shares of the node's width and
// height. `scrolls` is the direction in which a finger still scrolls the page: "pan-y", or "none".
function draggable(node, press, scrolls = "none") {
  const place = (event) => {
    const box = node.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  let pointer;
  let move;
  // The browser ends the capture at release, when it scrolls instead, and when the node is removed.
  const isHeld = () => pointer !== undefined && node.hasPointerCapture(pointer);
  node.classList.add("explorer-draggable");
  node.style.touchAction = scrolls;
  node.addEventListener("pointerdown", (event) => {
    if (event.button || isHeld()) return;
    move = press(...place(event), event);
    event.preventDefault();
    node.focus({ preventScroll: true });
    if (!move) return;
    pointer = event.pointerId;
    node.setPointerCapture(pointer);
  });
  node.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer && isHeld()) move(...place(event));
  });
}

// How near to a handle a press must be, in pixels of the screen: a finger is wide.
const reachOf = (event) => (event.pointerType === "touch" ? 24 : 14);

const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

// Let keys do something: `act(key, event)` returns whether it has. The browser keeps its own keys:
// Alt with an arrow goes back a page, Control with plus zooms.
function onKey(node, act) {
  node.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (act(event.key, event)) event.preventDefault();
  });
}

// Let the arrow keys move something: `move(dx, dy, event)`, each -1, 0 or 1. The label says what.
function movable(node, label, move) {
  attribute(node, { ...OWN_KEYS, tabindex: 0, role: "application", "aria-label": label });
  onKey(node, (key, event) => {
    if (!ARROWS[key]) return false;
    move(...ARROWS[key], event);
    return true;
  });
}
