"""What the baselines have in common."""

PLAIN = dict(
    skip="off", pixel_branch=False, mix="off", feature_loss="off", augment="", ramp=0, flips=True
)
"""What all baselines set: HAGAN's parts are off, and their own augmentation is on."""
PARTS = ("attention", "skip", "pixel_branch", "pixel_kernel", "mix", "saliency", "alpha")
PARTS += ("augment", "augment_shift", "beta", "beta1", "mixed_weight", "feature_loss", "ramp")
"""Fields of HAGAN's parts. DCGAN and SAGAN take its step and may have them; the others cannot."""
