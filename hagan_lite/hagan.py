"""HAGAN's two networks and one training step (Figure 2, Eq. 6-8).

SAGAN and DCGAN are the same step with parts off.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from hagan_lite import attnmix, augment, losses
from hagan_lite.attnmix import Mixed
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Discriminator, Judgement, judge
from hagan_lite.generator import Generator, row_entropy
from hagan_lite.model import Logs, Model, device_of, draw_z


def make_generator(e: Experiment) -> Generator:
    """Return the experiment's generator, with fresh weights from torch's global random state."""
    return Generator(e.size, e.channels, e.width, e.z_dim, e.attention, e.skip)


class Hagan(Model):
    """Train HAGAN, and with its parts switched off SAGAN and DCGAN.

    x are real images (B, C, H, W) in [-1, 1], fake images of G of the same shape, t is the step.
    """

    by_phase = True
    mixed: Mixed | None = None  # the last AttnMix batch, for snapshots
    # For the log: the first four of G's last z, and D's features with skip="instance".
    for_entropy: tuple[Tensor, list[Tensor] | None] | None = None

    def __init__(
        self, e: Experiment, device: torch.device, precision: str = "auto", compiled: bool = False
    ) -> None:
        super().__init__(e, device, precision, compiled)
        self._with_saliency = self.G.with_saliency
        if compiled:
            self._with_saliency = torch.compile(self.G.with_saliency)

    @staticmethod
    def networks(e: Experiment) -> tuple[Generator, Discriminator]:
        G = make_generator(e)
        D = Discriminator(e.size, e.channels, e.width, e.pixel_branch, e.pixel_kernel)
        return G, D

    @classmethod
    def draw(
        cls,
        G: Generator,
        n: int,
        e: Experiment,
        rng: torch.Generator,
        draw_features: Callable | None = None,
    ) -> Tensor:
        """Return n images; `draw_features` is runs.feature_drawer's, for skip="instance"."""
        z = draw_z(n, e, rng).to(device_of(G))
        return G(z, draw_features(n, rng)) if draw_features else G(z)

    def update(self, x: Tensor, t: int) -> Logs:
        """Take one step of Figure 2: G draws, D judges and learns, G learns from D's judgement.

        From step `phase_two` on, T, mixed images and consistency are used as well (Section III-E).
        """
        fake, saliency = self._generate(x, want_map=self._mixes(t) and self.e.attention)
        logs, real_features = self._update_d(x, fake.detach(), saliency, t)
        if self.e.fresh_noise:
            fake, _ = self._generate(x, want_map=False)
        logs |= self._update_g(fake, self.is_phase_two(t))
        if self.e.skip == "ema":
            # The running mean covers some 320 images, for batches of up to 32. Where it covered
            # only 20 (momentum 0.1, batches of 2), G drew the same image for every z.
            self.G.update_skip(real_features, min(0.1, len(x) / 320))
        return logs

    def _generate(self, x: Tensor, want_map: bool) -> tuple[Tensor, Tensor | None]:
        """Return as many fakes as x has images, float32, and the last attention layer's map.

        The map (B, h, w) is None unless `want_map`.
        """
        z, real_features = draw_z(len(x), self.e, self.rng), self._features_for_g(x)
        few_features = None if real_features is None else [f[:4] for f in real_features]
        self.for_entropy = z[:4], few_features
        with self.autocast():
            if want_map:
                fake, saliency = self._with_saliency(z, real_features, self.e.saliency)
            else:
                fake, saliency = self._G(z, real_features), None
        return fake.float(), saliency

    def _update_d(
        self, x: Tensor, fake: Tensor, saliency: Tensor | None, t: int
    ) -> tuple[Logs, list[Tensor]]:
        """Move D by Eq. 7. Return the log and D's features of the real images.

        Real, fake and mixed images go through D in one pass, which also serves Eq. 5's target.
        """
        T_real = self._draw_T(len(x), self.is_phase_two(t))
        T_fake = self._draw_T(len(x), self.is_phase_two(t))
        x, fake = T_real(x), T_fake(fake)  # D sees nothing else
        mixed, logs = None, {}
        if self._mixes(t):
            M, labels = self._labels(x, fake, saliency, T_fake)
            on_real, on_fake, on_mixed = self._judge(x, fake, attnmix.mix(x, fake, M))
            mixed = losses.MixedJudgement(on_mixed, labels.lam, M)
            if saliency is not None:
                logs["shift"] = labels.lam - labels.lambda_0
        else:
            on_real, on_fake = self._judge(x, fake)
        loss = losses.discriminator_loss(on_real, on_fake, mixed, self.e, self.ramp_at(t))
        self.descend(self.opt_d, loss.total)
        logs |= dict(d=loss.total, d_img=loss.image, d_pix=loss.pixel, d_cons=loss.consistency)
        logs |= dict(d_real=on_real.image.mean(), d_fake=on_fake.image.mean())
        return logs, [level.detach() for level in on_real.features]

    def _labels(
        self, x: Tensor, fake: Tensor, saliency: Tensor | None, T: augment.Augmentation
    ) -> tuple[Tensor, attnmix.Labels]:
        """Draw masks (B, 1, H, W); return them and the labels of the images they mix (Eq. 1-4).

        T has moved the fake images, and their maps move with them. Where there is a map, `mixed`
        keeps the batch.
        """
        e = self.e
        M = attnmix.box_masks(len(x), e.size, self.rng)
        if saliency is None:
            return M, attnmix.mixed_labels(M, None, e.alpha)
        A = T.move(attnmix.to_image_size(saliency, e.size))
        labels = attnmix.mixed_labels(M, A if e.mix == "attnmix" else None, e.alpha)
        self.mixed = Mixed(fake, x, M, A, *labels)
        return M, labels

    def _update_g(self, fake: Tensor, phase_two: bool) -> Logs:
        """Move G by Eq. 8. The gradient reaches G through T; D's weights need none."""
        T = self._draw_T(len(fake), phase_two)
        loss = losses.generator_loss(self.judge_fakes(T(fake)), self.e)
        self.descend(self.opt_g, loss.total)
        return dict(g=loss.total, g_img=loss.image, g_pix=loss.pixel)

    def is_phase_two(self, t: int) -> bool:
        """Return whether step t belongs to the second phase (Section III-E)."""
        return t >= self.e.phase_two

    def _mixes(self, t: int) -> bool:
        """Return whether step t trains on mixed images."""
        return self.is_phase_two(t) and self.e.mix != "off"

    def ramp_at(self, t: int) -> float:
        """Return beta2's share of its full weight at step t of phase two, in [0, 1]."""
        return min(1.0, (t - self.e.phase_two + 1) / self.e.ramp) if self.e.ramp > 0 else 1.0

    def _draw_T(self, n: int, phase_two: bool) -> augment.Augmentation:
        """Draw T for n images; in phase one, and without a policy, it changes nothing."""
        policy = self.e.policy if phase_two else ()
        return augment.draw(n, self.e.size, policy, self.rng, self.e.augment_shift)

    def _judge(self, *batches: Tensor) -> list[Judgement]:
        """Return D's judgement of several batches, from one pass."""
        with self.autocast():
            return judge(self._D, *batches)

    @torch.no_grad()
    def _features_for_g(self, x: Tensor) -> list[Tensor] | None:
        """Return D's features of x where G is given them, with skip="instance", and else None."""
        return self.D.image(x)[1] if self.e.skip == "instance" else None

    def averaged(self, batches: int = 16) -> Generator:
        """Return the averaged generator, with BatchNorm statistics of its own.

        With skip="instance" the copied statistics stay: new ones would need real images.
        """
        return copy.deepcopy(self.ema) if self.e.skip == "instance" else super().averaged(batches)

    def gates(self) -> Logs:
        """Return attention's gammas, the skip's gates and the last layer's entropy, to log."""
        logs = {}
        for i, layer in self.G.attention.items():
            logs[f"gamma_{4 * 2 ** int(i)}"] = layer.gamma.detach()
        if self.e.skip != "off":
            for i, gate in enumerate(self.G.skip_gate.detach()):
                logs[f"skip_{4 * 2**i}"] = gate
        if self.e.attention and self.for_entropy:
            with self.autocast():
                # Four images are enough for a log.
                matrices = self.G.attention_matrices(*self.for_entropy)
            logs["entropy"] = row_entropy(matrices[max(matrices)])
        return logs
