import torch

from hagan_lite.augment import Augmentation, draw, flips_and_shifts
from hagan_lite.config import AUGMENTATIONS


def shifted(down, right, n=1):
    return Augmentation(torch.tensor([[down, right]] * n), None, None)


def test_gradients_reach_the_generator_through_T(rng):
    x = torch.randn(4, 1, 32, 32, requires_grad=True)
    draw(4, 32, AUGMENTATIONS, rng)(x).square().sum().backward()
    assert (x.grad != 0).float().mean() > 0.7  # all but what was moved out


def test_the_gradient_of_T_is_right(rng):
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(draw(2, 8, AUGMENTATIONS, rng), x)


def test_translation_moves_down_and_right_and_fills_with_background():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 1] = 1
    moved = shifted(1, 2)(x)
    assert moved[0, 0, 2, 3] == 1
    assert (moved[0, 0, 0] == -1).all()  # the background, not mid-grey
    assert (moved[0, 0, :, :2] == -1).all()


def test_the_saliency_map_moves_with_its_image(rng):
    T = draw(16, 64, AUGMENTATIONS, rng)
    image, A = torch.full((16, 1, 64, 64), -1.0), torch.zeros(16, 1, 64, 64)
    image[:, :, 30, 30], A[:, :, 30, 30] = 1, 1
    moved, A = T(image), T.move(A)
    assert torch.equal(moved.flatten(1).argmax(1), A.flatten(1).argmax(1))
    assert (A.sum((1, 2, 3)) == 1).all()
    assert len(A.flatten(1).argmax(1).unique()) > 8


def test_shifts_stay_within_their_share_and_use_all_of_it():
    shift = draw(5_000, 64, ("translation",), torch.Generator().manual_seed(0), shift=0.125).shift
    assert (shift.min(), shift.max()) == (-8, 8)
    assert abs(shift.float().mean()) < 0.3


def test_brightness_and_contrast_do_what_they_say():
    x = torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2)
    assert Augmentation(None, torch.tensor([0.25]), None)(x).flatten().tolist() == [-0.75, 1.25]
    assert Augmentation(None, None, torch.tensor([0.5]))(x).flatten().tolist() == [-0.5, 0.5]


def test_an_empty_policy_is_the_identity(rng):
    x = torch.randn(3, 1, 32, 32)
    assert torch.equal(draw(3, 32, (), rng)(x), x)


def test_flips_and_shifts_keep_the_anatomy(rng):
    x = torch.full((64, 1, 32, 32), -1.0)
    x[:, :, 10:20, 4:8] = 1
    out = flips_and_shifts(x, rng)
    assert torch.equal(out.sum((1, 2, 3)), x.sum((1, 2, 3)))  # small shifts push nothing out here
    left = (out[:, 0, :, :16] > 0).any((1, 2))
    assert 10 < left.sum() < 54  # about half are mirrored


def test_a_shift_frames_no_image_unless_asked(rng):
    """Real images alone are shifted: what comes in at the border is learnt like anatomy."""
    x = torch.full((64, 1, 32, 32), 0.5)
    assert torch.equal(flips_and_shifts(x, rng), x)
    framed = flips_and_shifts(x, rng, border="black")
    assert (framed == -1).any((1, 2, 3)).float().mean() > 0.8


def test_brightness_and_contrast_use_all_of_their_range():
    T = draw(5_000, 64, AUGMENTATIONS, torch.Generator().manual_seed(0))
    for drawn, low, high in ((T.brightness, -0.5, 0.5), (T.contrast, 0.5, 1.5)):
        assert low <= drawn.min() < low + 0.01 and high - 0.01 < drawn.max() <= high


def test_contrast_is_about_each_images_own_mean():
    x = torch.stack([torch.full((1, 2, 2), value) for value in (-0.5, 0.25)])
    assert torch.equal(Augmentation(None, None, torch.tensor([0.5, 1.5]))(x), x)


def test_real_images_are_shifted_by_up_to_a_sixteenth(rng):
    x = torch.full((256, 1, 32, 32), -1.0)
    x[:, :, 16, 16] = 1
    rows = flips_and_shifts(x, rng).amax((1, 3)).argmax(1)
    assert (rows.min(), rows.max()) == (14, 18)
