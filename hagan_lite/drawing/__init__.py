"""Draw every plot of the project.

`style.py` holds what plots share; there is one file for each kind of picture.
"""

from hagan_lite.drawing.attnmix import (
    figure_7,
    one_of_each,
    shift_over_training,
    shifts_by_area,
    typical,
)
from hagan_lite.drawing.evaluation import (
    audited,
    gaussians,
    learning_curves,
    models_side_by_side,
    neighbourhoods,
    over_n,
    pairs,
    recipes,
)
from hagan_lite.drawing.lessons import (
    Bars,
    Lines,
    Panel,
    bars,
    figure_3,
    heat_map,
    intensities,
    lines,
    list_labels,
    panels,
)
from hagan_lite.drawing.style import (
    COLOURS,
    FAKE,
    MIXED,
    PHASE,
    REAL,
    STYLE,
    saliency_scale,
    save_figure,
    spread,
)
from hagan_lite.drawing.training import (
    gallery,
    real_beside_fake,
    sample_history,
    shift_band,
    training_curves,
)

__all__ = [
    "COLOURS",
    "FAKE",
    "MIXED",
    "PHASE",
    "REAL",
    "STYLE",
    "Bars",
    "Lines",
    "Panel",
    "audited",
    "bars",
    "figure_3",
    "figure_7",
    "gallery",
    "gaussians",
    "heat_map",
    "intensities",
    "learning_curves",
    "lines",
    "list_labels",
    "models_side_by_side",
    "neighbourhoods",
    "one_of_each",
    "over_n",
    "pairs",
    "panels",
    "real_beside_fake",
    "recipes",
    "saliency_scale",
    "sample_history",
    "save_figure",
    "shift_band",
    "shift_over_training",
    "shifts_by_area",
    "spread",
    "training_curves",
    "typical",
]
