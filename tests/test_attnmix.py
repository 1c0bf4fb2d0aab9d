import torch

from hagan_lite.attnmix import box_masks, mix, mixed_labels, to_image_size


def test_equations_1_to_4_worked_out_by_hand():
    x, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    M, A = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    x, fake, M, A = (t[None, None] for t in (x, fake, M, A))
    assert mix(x, fake, M).flatten().tolist() == [
        1,
        20,
        30,
        40,
    ]  # Eq. 1-2: the real pixel where M is 1
    labels = mixed_labels(M, A)
    assert labels.lambda_0.item() == 0.25  # one pixel of four
    assert labels.lambda_1.item() == 0.5  # Eq. 3: 3 of the map's 6
    assert labels.lam.item() == 0.375  # Eq. 4: (0.25 + 0.5) / 2
    assert mixed_labels(M, A, alpha=0.25).lam.item() == 0.1875


def test_a_uniform_map_moves_nothing(rng):
    M = box_masks(64, 64, rng)
    labels = mixed_labels(M, torch.full((64, 1, 64, 64), 0.3))
    torch.testing.assert_close(labels.lam, labels.lambda_0)


def test_a_map_inside_the_real_part_makes_lambda_1_one(rng):
    M = box_masks(64, 64, rng)
    M = M[(M.mean((1, 2, 3)) > 0.1)]
    torch.testing.assert_close(mixed_labels(M, M).lambda_1, torch.ones(len(M)))
    torch.testing.assert_close(
        mixed_labels(M, 1 - M).lambda_1[M.mean((1, 2, 3)) < 1],
        torch.zeros((M.mean((1, 2, 3)) < 1).sum()),
    )


def test_all_labels_are_shares(rng):
    M = box_masks(500, 32, rng)
    A = torch.rand(500, 1, 32, 32, generator=rng) ** 8
    for share in mixed_labels(M, A):
        assert ((share >= 0) & (share <= 1)).all()


def test_the_label_does_not_depend_on_the_maps_scale(rng):
    M, A = box_masks(8, 32, rng), torch.rand(8, 1, 32, 32, generator=rng)
    torch.testing.assert_close(mixed_labels(M, A).lam, mixed_labels(M, 1e-3 * A).lam)


def test_a_map_without_mass_leaves_the_area_label():
    M = torch.zeros(1, 1, 4, 4)
    M[..., :1] = 1
    labels = mixed_labels(M, torch.zeros(1, 1, 4, 4))
    assert labels.lam.item() == labels.lambda_0.item() == 0.25


def test_cutmix_is_the_area_label(rng):
    M = box_masks(8, 32, rng)
    assert torch.equal(mixed_labels(M, None).lam, M.mean((1, 2, 3)))


def test_masks_are_boxes_of_zeros_and_ones(rng):
    M = box_masks(200, 32, rng)
    assert M.shape == (200, 1, 32, 32)
    assert set(M.unique().tolist()) == {0.0, 1.0}
    for mask in M[:, 0]:
        fake = (
            1 - mask if mask[[0, 0, -1, -1], [0, -1, 0, -1]].sum() >= 2 else mask
        )  # the corners are outside the box
        rows, columns = fake.any(1), fake.any(0)
        box = torch.outer(rows.float(), columns.float())
        assert torch.equal(box, fake) or torch.equal(1 - _box(1 - fake), fake)


def _box(mask):
    return torch.outer(mask.any(1).float(), mask.any(0).float())


def test_the_masks_law_is_symmetric_and_its_label_is_the_masks_own_mean(rng):
    area = box_masks(20_000, 32, rng).mean((1, 2, 3))
    assert abs(area.mean() - 0.5) < 0.01  # half of the masks are inverted
    assert abs((area < 0.25).float().mean() - (area > 0.75).float().mean()) < 0.02


def test_masks_and_seeds_go_together():
    a, b = (box_masks(4, 32, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b)


def test_the_upsampled_map_keeps_its_place_and_is_detached():
    A = torch.zeros(1, 32, 32, requires_grad=True)
    with torch.no_grad():
        A[0, 4, 20] = 1.0
    up = to_image_size(A, 64)
    assert up.shape == (1, 1, 64, 64)
    assert not up.requires_grad
    assert divmod(int(up.argmax()), 64) in {(8, 40), (8, 41), (9, 40), (9, 41)}


def test_boxes_are_cutmixs(rng):
    """The side is sqrt(v) of the image's, v uniform; the centre is anywhere in the image."""
    M = box_masks(20_000, 32, rng)
    half = torch.rand(20_000, 1, generator=rng).sqrt() / 2
    centre = torch.rand(20_000, 2, generator=rng)
    box = ((centre + half).clamp(max=1) - (centre - half).clamp(min=0)).prod(1)
    spreads = [(share - 0.5).square().mean() for share in (M.mean((1, 2, 3)), box)]
    assert abs(spreads[0] - spreads[1]) < 0.003  # inverted or not
    assert (M.mT != M).flatten(1).any(1).float().mean() > 0.9  # not on the diagonal alone


def test_the_upsampled_map_is_bilinear():
    A = torch.zeros(1, 32, 32)
    A[0, 4, 20] = 1
    up = to_image_size(A, 64)
    assert up.max() == 0.75**2 and up.sum() == 4
