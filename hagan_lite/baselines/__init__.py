"""The models that HAGAN is compared with, one file each (Table II).

`hagan_lite/model.py` says what a file must have. All are trained by the same loop on the same
images, with the paper's "basic" augmentation, flips and shifts of the real ones (Section IV-A),
and none has T, AttnMix's label or the reverse skip. Where a file says nothing else, the
adversarial loss is HAGAN's least squares.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        # It registers its Choices and its Model.
        importlib.import_module(f"{__name__}.{_module.name}")
