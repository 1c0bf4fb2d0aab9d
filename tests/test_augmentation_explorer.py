"""The sliders of lesson 05 show the module's T."""

import torch

from hagan_lite.lessons.augmentation import AugmentationExplorer


def test_the_sliders_shift_and_brighten_a_real_and_a_fake_image_alike():
    explorer = AugmentationExplorer()
    shown, before = explorer.image.value, explorer.augmented  # T changes nothing yet
    explorer.down.value, explorer.brightness.value = 8, 0.25
    assert explorer.image.value != shown
    for moved, image in zip(explorer.augmented, before, strict=True):
        torch.testing.assert_close(moved[:, 8:], image[:, :-8] + 0.25)
        assert (moved[:, :8] == -0.75).all()


def test_the_sliders_go_as_far_as_T_does():
    explorer = AugmentationExplorer()
    assert (explorer.down.min, explorer.down.max) == (-8, 8)
    explorer.contrast.value = 0.5
    mean, spread = explorer.augmented.mean(), explorer.augmented.std()
    explorer.contrast.value = 1.0
    torch.testing.assert_close(explorer.augmented.mean(), mean)
    assert explorer.augmented.std() > spread
