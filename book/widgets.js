// Draws the widgets saved in a page of the book, without a kernel, a server or a CDN. ipywidgets' own extension for the
// classic notebook (Python package widgetsnbextension) does the drawing; this file plays the classic notebook for it: a
// loader of modules, an output area, and silence wherever it asks for menus and kernels.
(() => {
  const VIEW = "application/vnd.jupyter.widget-view+json", STATE = "application/vnd.jupyter.widget-state+json";
  const NOTE = "No Python runs behind this page: a slider moves, the picture stays. It follows in JupyterLab.";
  const extension = new URL("extension.js", document.currentScript.src).href;

  // Menus, actions, events: whatever is asked of it, it gives itself. `then` is missing, for it is no promise.
  const nothing = new Proxy(function () {}, {
    get: (_, key) => (key === "then" || key === Symbol.toPrimitive ? undefined : nothing),
    apply: () => nothing,
  });

  let draw;  // the extension's renderer of a widget view, which it registers as the classic notebook wants it
  class OutputArea {
    constructor({ selector }) {
      Object.assign(this, { outputs: [], node: selector, keyboard_manager: nothing, element: nothing });
    }
    register_mime_type(mime, renderer) { draw = renderer; }
    create_output_subarea() { return [document.createElement("div")]; }
    toJSON() { return this.outputs; }
    clear_output() { this.node.replaceChildren(); }
    handle_output() {}  // these two wait for a kernel's messages
    handle_clear_output() {}
    fromJSON(outputs) {
      this.outputs = outputs;
      // Models bring an area too, one that is never in the page; only views name theirs.
      if (this.node.className) this.node.replaceChildren(...outputs.map(element));
    }
  }

  // The classic notebook had MathJax 2; every label of a widget passes through its queue.
  let typeset = Promise.resolve();
  function queue([, , node]) {
    typeset = typeset.then(() => MathJax.startup.promise).then(() => MathJax.typesetPromise([node]));
  }

  function view(reference) {
    const place = document.createElement("div");
    draw.call(new OutputArea({ selector: place }), reference, {}, { append: (nodes) => place.append(...nodes) });
    return place;
  }

  function element({ output_type, text, traceback, data = {} }) {
    const node = document.createElement("div"), joined = (lines) => [lines].flat().join("");
    const image = Object.keys(data).find((mime) => /^image\/(png|jpeg)$/.test(mime));
    if (data[VIEW]) return view(data[VIEW]);
    if (data["text/html"] || data["image/svg+xml"]) node.innerHTML = joined(data["text/html"] || data["image/svg+xml"]);
    else if (image) node.append(Object.assign(new Image(), { src: `data:${image};base64,${joined(data[image])}` }));
    else {
      const failed = output_type === "error" && traceback.join("\n").replace(/\x1b\[[0-9;]*m/g, "");
      const lines = failed || text || data["text/plain"] || "";
      node.append(Object.assign(document.createElement("pre"), { textContent: joined(lines) }));
    }
    return node;
  }

  function play(state) {
    const kernel = { is_connected: () => true, set_callbacks_for_msg() {} };
    kernel.comm_info = (_, reply) => reply({ content: { comms: {} } });
    kernel.comm_manager = { kernel, register_target() {} };
    const notebook = { kernel, metadata: {}, events: nothing, container: nothing, keyboard_manager: nothing };
    notebook.get_cells = () => [];
    window.Jupyter = { version: "6.5.0", notebook, notification_area: nothing, menubar: nothing };
    const modules = { "base/js/namespace": window.Jupyter, "notebook/js/outputarea": { OutputArea } };
    if (window.MathJax) MathJax.Hub = { Queue: queue };
    window.requirejs = (names, ready) => ready(...names.map((name) => modules[name] || nothing));
    window.requirejs.config = () => {};
    window.define = async (_, factory) => {
      const menu = document.body.appendChild(document.createElement("ul"));  // where the extension hangs its menu
      menu.innerHTML = '<li><a id="help_menu"></a></li>';
      await factory({ uri: extension }).load_ipython_extension();
      menu.remove();
      await kernel.widget_manager.set_state(state);
      const views = document.querySelectorAll(`script[type="${VIEW}"]`);
      for (const script of views) script.after(view(JSON.parse(script.textContent)));
      const note = document.createElement("p");
      Object.assign(note, { className: "admonition note", style: "padding: .5em 1em", textContent: NOTE });
      views[0]?.before(note);
    };
    // For want of a kernel there would be a broken link beside each widget.
    const style = ".jupyter-widgets-disconnected::before { content: none !important }";
    document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
    document.head.append(Object.assign(document.createElement("script"), { src: extension }));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const state = document.querySelector(`script[type="${STATE}"]`);
    if (state) play(JSON.parse(state.textContent));
  });
})();
