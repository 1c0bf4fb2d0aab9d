"""HAGAN's two networks and one training step (Figure 2, Eq. 6-8). SAGAN and DCGAN are the same step with parts off."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from hagan_lite import attnmix, augment, losses
from hagan_lite.attnmix import Mixed
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Discriminator, judge
from hagan_lite.generator import Generator, row_entropy
from hagan_lite.model import Logs, Model, device_of, draw_z


def make_generator(e: Experiment) -> Generator:
    """The experiment's generator, with fresh weights from torch's global random state."""
    return Generator(e.size, e.channels, e.width, e.z_dim, e.attention, e.skip)


class Hagan(Model):
    """HAGAN, and with its parts switched off SAGAN and DCGAN."""

    mixed: Mixed | None = None  # the last AttnMix batch, for snapshots
    few: tuple[Tensor, list[Tensor] | None] | None = None  # what G drew four of the last images from, for the log

    def __init__(self, e: Experiment, device: torch.device, precision: str = "auto", compiled: bool = False) -> None:
        super().__init__(e, device, precision, compiled)
        self._with_saliency = torch.compile(self.G.with_saliency) if compiled else self.G.with_saliency

    @staticmethod
    def networks(e: Experiment) -> tuple[Generator, Discriminator]:
        return make_generator(e), Discriminator(e.size, e.channels, e.width, e.pixel_branch, e.pixel_kernel)

    @classmethod
    def draw(cls, G: Generator, n: int, e: Experiment, rng: torch.Generator, skip: Callable | None = None) -> Tensor:
        """`skip(n, rng)` gives D's features of n real images, for skip="instance"."""
        z = draw_z(n, e, rng).to(device_of(G))
        return G(z, skip(n, rng)) if skip else G(z)

    def update(self, x: Tensor, t: int) -> Logs:
        """One step of Figure 2. From step `phase_two` on with T, mixed images and consistency (Section III-E)."""
        phase_two = t >= self.e.phase_two
        mixing = phase_two and self.e.mix != "off"
        fake, saliency = self._generate(x, want_map=mixing and self.e.attention)
        logs, real_features = self._update_d(x, fake.detach(), saliency, t)
        if self.e.fresh_noise:
            fake, _ = self._generate(x, want_map=False)
        logs |= self._update_g(fake, phase_two)
        if self.e.skip == "ema":
            # A mean over hundreds of images, at a batch of two as well: over twenty, G drew the same for every z.
            self.G.update_skip(real_features, min(0.1, len(x) / 320))
        return logs

    def _generate(self, x: Tensor, want_map: bool) -> tuple[Tensor, Tensor | None]:
        """Return as many images as `x` has, float32, and the last attention layer's map (B, h, w)."""
        z, real_features = draw_z(len(x), self.e, self.rng), self._instance(x)
        self.few = z[:4], None if real_features is None else [f[:4] for f in real_features]
        with self.autocast():
            if want_map:
                fake, saliency = self._with_saliency(z, real_features, self.e.saliency)
            else:
                fake, saliency = self._G(z, real_features), None
        return fake.float(), saliency

    def _update_d(self, x: Tensor, fake: Tensor, saliency: Tensor | None, t: int) -> tuple[Logs, list[Tensor]]:
        """Move D by Eq. 7. Returns the log and D's features of the real images.

        Real, fake and mixed images go through D in one pass, which also serves Eq. 5's target.
        """
        e, phase_two = self.e, t >= self.e.phase_two
        T = self._draw_T(len(x), phase_two), self._draw_T(len(x), phase_two)
        x, fake = T[0](x), T[1](fake)
        batches, mixed = [x, fake], None
        if phase_two and e.mix != "off":
            M, labels = self._mix(x, fake, saliency, T[1])
            batches.append(attnmix.mix(x, fake, M))
        with self.autocast():
            real, judged, *rest = judge(self._D, *batches)
        if rest:
            mixed = losses.MixedJudgement(rest[0], labels.lam, M)
        ramp = min(1.0, (t - e.phase_two + 1) / e.ramp) if e.ramp else 1.0
        loss = losses.discriminator_loss(real, judged, mixed, e, ramp)
        self.descend(self.opt_d, loss.total)
        logs = dict(d=loss.total, d_img=loss.image, d_pix=loss.pixel, d_cons=loss.consistency)
        logs |= dict(d_real=real.image.mean(), d_fake=judged.image.mean())
        if rest and saliency is not None:
            logs |= dict(shift=labels.lam - labels.lambda_0)
        return logs, [f.detach() for f in real.features]

    def _mix(
        self, x: Tensor, fake: Tensor, saliency: Tensor | None, T: augment.Augmentation
    ) -> tuple[Tensor, attnmix.Labels]:
        """Return masks (B, 1, H, W) and the labels of the images they mix (Eq. 1-4), and keep the batch to look at."""
        e = self.e
        M = attnmix.box_masks(len(x), e.size, self.rng)
        if saliency is None:
            return M, attnmix.mixed_labels(M, None, e.alpha)
        A = T.move(attnmix.to_image_size(saliency, e.size))  # T moved the fake image, so its map moves with it
        labels = attnmix.mixed_labels(M, A if e.mix == "attnmix" else None, e.alpha)
        self.mixed = Mixed(fake, x, M, A, *labels)
        return M, labels

    def _update_g(self, fake: Tensor, phase_two: bool) -> Logs:
        """Move G by Eq. 8. The gradient reaches G through T; D's weights need none."""
        T = self._draw_T(len(fake), phase_two)
        loss = losses.generator_loss(self.judged(T(fake)), self.e)
        self.descend(self.opt_g, loss.total)
        return dict(g=loss.total, g_img=loss.image, g_pix=loss.pixel)

    def averaged(self, batches: int = 16) -> Generator:
        """As every model's; but skip="instance" keeps the copied BatchNorm statistics: new ones need real images."""
        return copy.deepcopy(self.ema) if self.e.skip == "instance" else super().averaged(batches)

    def gates(self) -> Logs:
        """Return the attention's gammas, the skip's gates and the entropy of A in the last layer, for the log."""
        logs = {f"gamma_{4 * 2 ** int(i)}": layer.gamma.detach() for i, layer in self.G.attention.items()}
        if self.e.skip != "off":
            logs |= {f"skip_{4 * 2**i}": gate for i, gate in enumerate(self.G.skip_gate.detach())}
        if self.e.attention and self.few:
            with self.autocast():
                matrices = self.G.attention_matrices(*self.few)  # of four images: a log needs no more
            logs["entropy"] = row_entropy(matrices[max(matrices)])
        return logs

    def _draw_T(self, n: int, phase_two: bool) -> augment.Augmentation:
        """Return a draw of T for n images; in phase one, and without a policy, one that changes nothing."""
        policy = self.e.policy if phase_two else ()
        return augment.draw(n, self.e.size, policy, self.rng, self.e.augment_shift)

    @torch.no_grad()
    def _instance(self, x: Tensor) -> list[Tensor] | None:
        return self.D.image(x)[1] if self.e.skip == "instance" else None
