// Stand in for the kernel: store the traits and call the listeners when one changes.
function savedModel(state, texts) {
  for (const [name, text] of Object.entries(texts)) {
    state[name] = new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  }
  const listeners = {};
  return {
    isSaved: true,
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      for (const listener of listeners[`change:${name}`] ?? []) listener();
    },
    on(event, listener) {
      listeners[event] = [...(listeners[event] ?? []), listener];
    },
    save_changes() {},
  };
}

function showSaved(id, state, texts) {
  render({ model: savedModel(state, texts), el: document.getElementById(id) });
}
