"""The generator: SAGAN's, with a reverse skip connection at every level (Sections III-B, III-D).

Figures 2 and 4.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hagan_lite.levels import dcgan_init, level_channels
from hagan_lite.system.shapes import Float

Noise = Float[Tensor, "B Z"]
Images = Float[Tensor, "B C S S"]
Features = Float[Tensor, "B C H W"]
Saliency = Float[Tensor, "B H W"]
Levels = list[Float[Tensor, "B _ _ _"]]
Matrices = dict[int, Float[Tensor, "B _ _"]]


class SelfAttention(nn.Module):
    """Apply SAGAN's self-attention: A = softmax(q^T k), out = x + gamma * (v A^T).

    The logits are not divided by sqrt(d). `gamma` starts at 0: until it moves, q and k get no
    gradient and A is that of random weights. N = H W is the number of pixels. v is one convolution
    of full width, as Table I's counts need it; the published layer narrows it and widens it again.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Features) -> Features:
        return x + self.gamma * self.output(x)

    def output(self, x: Features) -> Features:
        """Return v A^T, what attention gathers at every pixel; no N x N matrix is stored."""
        q, k, v = (_pixels(conv, x) for conv in (self.query, self.key, self.value))
        # Zero padding changes no q.k; without it the CPU's fused kernel falls back to the N x N
        # matrix.
        pad = v.shape[-1] - q.shape[-1]
        q, k = F.pad(q, (0, pad)), F.pad(k, (0, pad))
        # A head axis of one, (B, 1, N, C), is what the fused kernels look for.
        q, k, v = q[:, None], k[:, None], v[:, None]
        out = F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0]  # (B, N, C)
        return out.transpose(1, 2).reshape(x.shape)

    def with_saliency(self, x: Features, saliency: str = "output") -> tuple[Features, Saliency]:
        """Return what forward returns, and the layer's map, at least 0 and without gradient.

        "output": how strong the output is at each pixel, the mean over channels of |v A^T|, before
        gamma; it costs nothing, since the layer has computed it. "received": see :meth:`received`.
        Raises ValueError for another name.
        """
        if saliency not in ("output", "received"):
            raise ValueError(f"saliency={saliency!r}: choose output or received")
        out = self.output(x)
        A = self.received(x) if saliency == "received" else out.detach().float().abs().mean(1)
        return x + self.gamma * out, A

    @torch.no_grad()
    def received(self, x: Features, chunk: int = 256) -> Saliency:
        """Return how much each pixel is looked at, the mean of A over its queries, summing to 1.

        A is computed here, for `chunk` queries at a time.
        """
        q, k = _pixels(self.query, x), _pixels(self.key, x)
        received = torch.zeros_like(k[..., 0], dtype=torch.float32)
        for part in q.split(chunk, dim=1):
            A = (part @ k.transpose(1, 2)).float().softmax(-1)  # (B, chunk, N)
            received += A.sum(1)
        return (received / q.shape[1]).view(len(x), *x.shape[2:])

    def matrix(self, x: Features) -> Float[Tensor, "B N N"]:
        """Return A itself, rows are queries and sum to 1: for looking at, not for training."""
        q, k = _pixels(self.query, x), _pixels(self.key, x)
        return (q @ k.transpose(1, 2)).float().softmax(-1)


def _pixels(conv: nn.Conv2d, x: Features) -> Float[Tensor, "B N _"]:
    """Return what a 1x1 convolution makes of x, a row per pixel."""
    return conv(x).flatten(2).transpose(1, 2)


def row_entropy(A: Float[Tensor, "B N N"]) -> Float[Tensor, ""]:
    """Return the mean entropy of A's rows over log N: 1 for uniform attention, 0 for one pixel."""
    return torch.special.entr(A.float()).sum(-1).mean() / math.log(A.shape[-1])


class Generator(nn.Module):
    """Draw images (B, channels, size, size) in [-1, 1] from z (B, z_dim) in [-1, 1].

    Transposed convolutions 4x4 -> 8x8 -> ... -> size, spectral norm on all but the last, BatchNorm
    and ReLU; self-attention at 16x16 and 32x32. 3,603,509 parameters at 3 channels, width 64, 64x64
    (Table I) with skip="off"; a gate at each of the four levels adds 4.

    Reverse skip connection: at each level, h <- h + skip_gate[level] * S. The gate, a number that
    starts at 0, is ours; the paper adds "feature maps under the true discriminant path", and is
    silent on where they come from when there is no real image. `skip` chooses:

    - ``ema`` (ours): S is a running mean, over batches, of D's features of what it judges, real
      images after T, kept in a buffer as BatchNorm keeps its statistics. G stays a function of z.
    - ``instance`` (the literal reading, but for the gate): S are D's features of given real images
      as they are; G may copy them.
    - ``off``: none.
    """

    def __init__(self, size=64, channels=1, width=32, z_dim=100, attention=True, skip="ema"):
        super().__init__()
        chain = level_channels(size, width)
        self.z_dim, self.skip = z_dim, skip
        self.blocks = nn.ModuleList()
        previous = z_dim
        for i, c in enumerate(chain):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            conv = dcgan_init(nn.ConvTranspose2d(previous, c, 4, stride, padding))
            block = nn.Sequential(spectral_norm(conv), nn.BatchNorm2d(c), nn.ReLU(inplace=True))
            self.blocks.append(block)
            previous = c
        self.attention = nn.ModuleDict()
        for i in (2, 3):  # 16x16 and 32x32, at 64x64 and at 256x256 alike
            if attention and i < len(chain):
                self.attention[str(i)] = SelfAttention(chain[i])
        last = dcgan_init(nn.ConvTranspose2d(previous, channels, 4, 2, 1))
        self.to_image = nn.Sequential(last, nn.Tanh())
        if skip != "off":
            self.skip_gate = nn.Parameter(torch.zeros(len(chain)))
        if skip == "ema":
            for i, c in enumerate(chain):
                self.register_buffer(f"skip_mean_{i}", torch.zeros(c, 4 * 2**i, 4 * 2**i))

    def forward(self, z: Noise, real_features: Levels | None = None) -> Images:
        """Return images. `real_features`, for skip="instance" alone, are D's, finest first."""
        return self._run(z, real_features)[0]

    def with_saliency(
        self, z: Noise, real_features: Levels | None = None, saliency: str = "output"
    ) -> tuple[Images, Saliency]:
        """Return images and the map of the LAST attention layer (Section III-B), for AttnMix.

        `saliency` says which map: see SelfAttention.with_saliency. No gradient passes it. Raises
        ValueError where there is no attention layer.
        """
        if not self.attention:
            raise ValueError("this generator has no attention layer, so it has no saliency map")
        return self._run(z, real_features, saliency)

    @torch.no_grad()
    def attention_matrices(self, z: Noise, real_features: Levels | None = None) -> Matrices:
        """Return A of every attention layer by its side, {16: (B, 256, 256), 32: (B, 1024, 1024)}.

        The generator is left as it was: in training mode a look would move the statistics of
        BatchNorm.
        """
        seen: dict[int, Tensor] = {}

        def look(layer: SelfAttention, inputs: tuple[Tensor]) -> None:
            seen[inputs[0].shape[-1]] = layer.matrix(inputs[0])

        hooks = [layer.register_forward_pre_hook(look) for layer in self.attention.values()]
        training = self.training
        try:
            self.eval()(z, real_features)
        finally:
            self.train(training)
            for hook in hooks:
                hook.remove()
        return seen

    def _run(self, z: Noise, real_features: Levels | None, saliency: str | None = None) -> tuple:
        """Return the images, and the last attention layer's map where `saliency` names one."""
        if (self.skip == "instance") != (real_features is not None):
            rule = "real_features are needed for 'instance' and for nothing else"
            raise ValueError(f"skip={self.skip!r}: {rule}")
        h, A = z[:, :, None, None], None
        last = max(map(int, self.attention), default=-1)
        for i, block in enumerate(self.blocks):
            h = block(h)
            if self.skip == "ema":
                h = h + self.skip_gate[i] * getattr(self, f"skip_mean_{i}")
            elif self.skip == "instance":
                h = h + self.skip_gate[i] * real_features[-1 - i].detach()
            if str(i) in self.attention:
                layer = self.attention[str(i)]
                if saliency is not None and i == last:
                    h, A = layer.with_saliency(h, saliency)
                else:
                    h = layer(h)
        return self.to_image(h), A

    @torch.no_grad()
    def update_skip(self, real_features: Levels, momentum: float = 0.1) -> None:
        """Move the running means towards the batch mean of D's real features, finest first."""
        for i, feature in enumerate(reversed(real_features)):
            mean = feature.detach().float().mean(0)
            getattr(self, f"skip_mean_{i}").lerp_(mean, momentum)
