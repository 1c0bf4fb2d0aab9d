"""Define the base class of all explorers: a widget that the browser computes and draws.

Its traits are read and set in Python. Whatever it needs travels as bytes. Nothing is fetched, so
that it also works where no kernel runs.
"""

from pathlib import Path

import anywidget
import matplotlib
import numpy as np
import traitlets

from hagan_lite.lessons.widgets import frame
from hagan_lite.system.storage import write_atomically

HERE = Path(__file__).parent


def module(name: str) -> str:
    """Return the ES module of explorer `name`: shared.js and its own file, as one text.

    A page that is opened from the file system may not import another file.
    """
    parts = [(HERE / f"{part}.js").read_text(encoding="utf-8") for part in ("shared", name)]
    return "\n".join(parts)


def colours() -> bytes:
    """Return matplotlib's cividis as 256 times red, green, blue."""
    table = matplotlib.colormaps["cividis"](np.arange(256), bytes=True)
    return table[:, :3].tobytes()


def one_of(name: str, value: int, count: int) -> int:
    """Return `value`, the number of one of `count` things; raise TraitError if there is no such."""
    if not 0 <= value < count:
        raise traitlets.TraitError(f"{name} is a number from 0 to {count - 1}, and not {value}")
    return value


class Explorer(anywidget.AnyWidget):
    """Show something that one can grab. A subclass sets `_esm` and its traits.

    Traits whose names begin with an underscore are data for the browser. The others are what the
    reader sets: they may be read and set in Python at any time.
    """

    _css = (HERE / "explorers.css").read_text(encoding="utf-8")

    def html(self) -> str:
        """Return the explorer in its present state as HTML that needs no kernel and no network."""
        state = self.get_state()
        texts = {name: value for name, value in state.items() if not _is_bytes(value)}
        data = {name: bytes(value) for name, value in state.items() if _is_bytes(value)}
        return frame.framed(texts, data)

    def save(self, path: Path) -> Path:
        """Write a web page that holds this explorer and nothing else, and return its path."""
        page = frame.page(type(self).__name__, self.html())
        return write_atomically(Path(path), lambda f: f.write(page.encode()))


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes | memoryview)
