"""What the baselines have in common."""

PLAIN = dict(
    skip="off", pixel_branch=False, mix="off", feature_loss="off", augment="", ramp=0, flips=True
)
"""What all baselines set: HAGAN's parts are off, and their own augmentation is on."""
