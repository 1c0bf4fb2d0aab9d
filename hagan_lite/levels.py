"""What G and D share: the channels of their levels, and the weights that they begin with."""

from torch import nn


def level_channels(size: int, width: int) -> list[int]:
    """Return the channels at 4x4, 8x8, ... size/2: doubling towards 4x4, at most 8 * width.

    The cap is ours; what the paper does at 256x256 is open. Raises ValueError for a size that is no
    power of two from 8 on.
    """
    if size < 8 or size & (size - 1):
        raise ValueError(f"size={size}: must be a power of two, 8 or more")
    levels = size.bit_length() - 3
    return [width * min(8, 2**i) for i in reversed(range(levels))]


def dcgan_init(conv: nn.Module) -> nn.Module:
    """Return `conv` with weights from N(0, 0.02), DCGAN's initialisation; for G's and D's trunks.

    The paper is silent, and it matters behind spectral norm: with torch's default D could not tell
    real from fake, and with orthogonal weights G's images kept pixel noise. Attention keeps torch's
    default: with 0.02 it starts almost uniform.
    """
    nn.init.normal_(conv.weight, 0.0, 0.02)
    return conv
