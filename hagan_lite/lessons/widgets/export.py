"""Keep explorers alive in what nbconvert exports.

jupyter nbconvert --execute --to html NOTEBOOK \\
  --HTMLExporter.preprocessors=hagan_lite.lessons.widgets.export.Freeze
"""

from typing import Any

import nbformat
from nbconvert.preprocessors import Preprocessor

from hagan_lite.lessons.widgets.frame import freeze


class Freeze(Preprocessor):
    """Put HTML in the place of explorers, after the notebook was executed."""

    def preprocess(
        self, nb: nbformat.NotebookNode, resources: dict[str, Any]
    ) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
        return freeze(nb), resources
