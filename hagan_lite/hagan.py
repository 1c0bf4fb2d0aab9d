"""HAGAN's two networks and one training step (Figure 2, Eq. 6-8). SAGAN and DCGAN are the same step with parts off."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hagan_lite import attnmix, augment, losses
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Discriminator, judge
from hagan_lite.generator import Generator
from hagan_lite.model import Logs, Model, device_of, draw_z


def make_generator(e: Experiment) -> Generator:
    """The experiment's generator, with fresh weights from torch's global random state."""
    return Generator(e.size, e.channels, e.width, e.z_dim, e.attention, e.skip)


@dataclass
class Mixed:
    """One batch of AttnMix as it was trained on; images in [-1, 1], (B, C, H, W); maps (B, 1, H, W); labels (B,)."""

    fake: Tensor
    real: Tensor
    mask: Tensor
    saliency: Tensor
    lambda_0: Tensor
    lambda_1: Tensor
    lam: Tensor


class Hagan(Model):
    """HAGAN, and with its parts switched off SAGAN and DCGAN."""

    mixed: Mixed | None = None  # the last AttnMix batch, for snapshots

    @staticmethod
    def networks(e: Experiment) -> tuple[Generator, Discriminator]:
        return make_generator(e), Discriminator(e.size, e.channels, e.width, e.pixel_branch, e.pixel_kernel)

    @classmethod
    def draw(cls, G: Generator, n: int, e: Experiment, rng: torch.Generator, skip: Callable | None = None) -> Tensor:
        """`skip(n, rng)` gives D's features of n real images, for skip="instance"."""
        z = draw_z(n, e, rng).to(device_of(G))
        return G(z, skip(n, rng)) if skip else G(z)

    def update(self, x: Tensor, t: int) -> Logs:
        """Two phases (Section III-E): from step `phase_two` on with T, mixed images and consistency."""
        phase_two = t >= self.e.phase_two
        ramp = 1.0 if not self.e.ramp else min(1.0, (t - self.e.phase_two + 1) / self.e.ramp)
        return self._step_d(x, phase_two, ramp) | self._step_g(x, phase_two)

    def _step_d(self, x: Tensor, phase_two: bool, ramp: float) -> Logs:
        """Eq. 7. `real`, `fake` and `mixed` go through D in one pass, and that pass also serves Eq. 5's target."""
        e, mixing = self.e, phase_two and self.e.mix != "off"
        with torch.no_grad(), self.autocast():
            z = draw_z(len(x), e, self.rng)
            skip = self._instance(x)
            want_map = mixing and e.attention
            fake, attended = self.G.with_saliency(z, skip) if want_map else (self._G(z, skip), None)
        fake = fake.float()
        saliency = None
        if phase_two and e.policy:
            x = self._draw_T(len(x))(x)
            T = self._draw_T(len(fake))
            fake = T(fake)
        else:
            T = augment.Augmentation(None, None, None)
        batches = [x, fake]
        if mixing:
            M = attnmix.box_masks(len(x), e.size, self.rng, e.mask_beta)
            # T moved the fake image, so its map moves with it.
            saliency = T.move(attnmix.to_image_size(attended.saliency, e.size)) if want_map else None
            labels = attnmix.mixed_labels(M, saliency if e.mix == "attnmix" else None, e.alpha)
            batches.append(attnmix.mix(x, fake, M))

        with self.autocast():
            judged = judge(self._D, *batches)
        real, fake_, *rest = judged
        kind = e.adversarial
        loss_img = losses.d_loss(real.image, 1.0, kind) + losses.d_loss(fake_.image, 0.0, kind)
        loss_pix = loss_cons = torch.zeros((), device=self.device)
        if e.pixel_branch:
            loss_pix = losses.d_loss(real.pixel, 1.0, kind) + losses.d_loss(fake_.pixel, 0.0, kind)
        if mixing:
            (mixed,) = rest
            loss_img = loss_img + e.mixed_weight * losses.d_loss(mixed.image, labels.lam, kind)
            loss_cons = losses.image_consistency(mixed, real, fake_, labels.lam)
            if e.pixel_branch:
                loss_pix = loss_pix + e.mixed_weight * losses.d_loss(mixed.pixel, M, kind)
                loss_cons = loss_cons + losses.pixel_consistency(mixed, real, fake_, M)
            if e.features == "l2":
                loss_cons = loss_cons + losses.feature_l2(mixed, real, fake_, M)
            elif e.features == "nce":
                loss_cons = loss_cons + losses.feature_nce(mixed, real, fake_, labels.lam)
        loss = loss_img + e.beta1 * loss_pix + e.beta2 * ramp * loss_cons
        self.descend(self.opt_d, loss)
        if e.skip == "ema":
            # A mean over hundreds of images, at a batch of two as well: over twenty, G drew the same for every z.
            self.G.update_skip(real.features, min(0.1, len(x) / 320))

        logs = dict(d=loss, d_img=loss_img, d_pix=loss_pix, d_cons=loss_cons)
        logs |= dict(d_real=real.image.mean(), d_fake=fake_.image.mean())
        if mixing and saliency is not None:
            logs |= dict(shift=labels.lam - labels.lambda_0, entropy=attended.entropy)
            self.mixed = Mixed(fake, x, M, saliency, *labels)
        return logs

    def _step_g(self, x: Tensor, phase_two: bool) -> Logs:
        """Eq. 8. The gradient reaches G through T; D's weights need none."""
        e = self.e
        self.D.requires_grad_(False)
        with self.autocast():
            fake = self._G(draw_z(len(x), e, self.rng), self._instance(x)).float()
            T = self._draw_T(len(fake)) if phase_two and e.policy else None
            judged = self._D(T(fake) if T else fake)
        loss_img, loss_pix = losses.g_loss(judged.image, e.adversarial), torch.zeros((), device=self.device)
        if e.pixel_branch:
            loss_pix = losses.g_loss(judged.pixel, e.adversarial)
        loss = loss_img + e.beta * loss_pix
        self.descend(self.opt_g, loss)
        self.D.requires_grad_(True)
        return dict(g=loss, g_img=loss_img, g_pix=loss_pix)

    def averaged(self, batches: int = 16) -> Generator:
        """As every model's; but skip="instance" keeps the copied BatchNorm statistics: new ones need real images."""
        return copy.deepcopy(self.ema) if self.e.skip == "instance" else super().averaged(batches)

    def gates(self) -> Logs:
        """The attention's gammas and the skip's gates as they stand, for the log."""
        logs = {f"gamma_{4 * 2 ** int(i)}": layer.gamma.detach() for i, layer in self.G.attention.items()}
        if self.e.skip != "off":
            logs |= {f"skip_{4 * 2**i}": gate for i, gate in enumerate(self.G.skip_gate.detach())}
        return logs

    def _draw_T(self, n: int) -> augment.Augmentation:
        return augment.draw(n, self.e.size, self.e.policy, self.rng, self.e.augment_shift)

    @torch.no_grad()
    def _instance(self, x: Tensor) -> list[Tensor] | None:
        return self.D.image(x)[1] if self.e.skip == "instance" else None
