"""Turn a saved explorer into HTML that is alive without Python: its module, its state, its data.

The module stands in the page as text, and frame.js plays the part of the kernel. `freeze` does this
for the explorers of an executed notebook.
"""

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import nbformat

HERE = Path(__file__).parent
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def framed(state: dict[str, Any], data: dict[str, bytes]) -> str:
    """Return HTML that shows an explorer; `state` are its traits, `data` those that are bytes."""
    place = f"explorer-{uuid.uuid4().hex[:12]}"
    own = {k: v for k, v in state.items() if not _is_of_ipywidgets(k)}
    texts = {k: base64.b64encode(v).decode() for k, v in data.items()}
    kernel = (HERE / "frame.js").read_text(encoding="utf-8")
    call = f"showSaved({json.dumps(place)}, {_literal(own)}, {_literal(texts)});"
    script = f"{state['_esm']}\n{kernel}\n{call}"
    return (
        f"<style>{state['_css']}</style>\n"
        f'<div id="{place}"></div>\n'
        f'<script type="module">\n{script}\n</script>'
    )


def page(title: str, body: str) -> str:
    """Return a whole web page, light or dark as its reader's system is."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    style = "<style>:root { color-scheme: light dark } body { margin: 1rem }</style>"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>{head}<title>{title}</title>{style}</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def freeze(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Put HTML in the place of every explorer of an executed notebook, and return the notebook.

    Other widgets, such as progress bars, are left out: without a kernel they show nothing.
    """
    saved = notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in map(_frozen(saved), cell.outputs) if out is not None]
    return notebook


def _frozen(saved: dict[str, Any]):
    """Return a function that makes an output of HTML from one that shows a saved explorer.

    It returns other outputs as they are, and None for one that shows another widget.
    """

    def freeze_one(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
        if VIEW not in output.get("data", {}):
            return output
        model = saved.get(output.data[VIEW]["model_id"], {})
        if "_esm" not in model.get("state", {}):
            return None
        data = {b["path"][0]: base64.b64decode(b["data"]) for b in model.get("buffers", [])}
        html = framed(model["state"], data)
        return nbformat.v4.new_output("display_data", data={"text/html": html})

    return freeze_one


def _is_of_ipywidgets(name: str) -> bool:
    """Return whether a trait belongs to ipywidgets or anywidget, and not to the explorer."""
    common = ("layout", "tabbable", "tooltip", "comm", "keys", "_esm", "_css", "_anywidget_id")
    return name in common or name.startswith(("_model_", "_view_", "_dom_"))


def _literal(value: Any) -> str:
    """Return a value as JavaScript that may stand within a script element."""
    return json.dumps(value).replace("<", "\\u003c")
