"""What the baselines have in common."""

PLAIN = dict(
    skip="off", pixel_branch=False, mix="off", feature_loss="off", augment="", ramp=0, flips=True
)
"""What all baselines set: HAGAN's parts are off, and their own augmentation is on."""
PARTS = ("attention", "skip", "pixel_branch", "pixel_kernel", "mix", "saliency", "alpha")
PARTS += ("augment", "augment_shift", "beta", "beta1", "mixed_weight", "feature_loss", "ramp")
"""Fields that HAGAN's step alone reads: a model with a step of its own refuses them.

DCGAN and SAGAN take HAGAN's step and may set them. `beta2`, `phase_two` and `adversarial` are not
among them, for U-Net GAN reads these, too.
"""
