"""Shapes in annotations: jaxtyping's, or plain types where jaxtyping is not installed.

The checks of shapes run in tests alone (pyproject.toml). A machine that only trains, such as a GPU
without a network, needs the annotations to be read, not to be checked.
"""

try:
    from jaxtyping import Float, Int
except ImportError:

    class Float:  # type: ignore[no-redef]
        """Stand for a tensor of any shape: ``Float[Tensor, "B C"]`` is Tensor."""

        def __class_getitem__(cls, item: tuple[type, str]) -> type:
            return item[0]

    Int = Float

__all__ = ["Float", "Int"]
