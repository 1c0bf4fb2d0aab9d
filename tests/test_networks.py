import pytest
import torch
from jaxtyping import TypeCheckError

from hagan_lite import attnmix
from hagan_lite.config import Experiment
from hagan_lite.discriminator import Discriminator, judge
from hagan_lite.generator import Generator, SelfAttention, row_entropy
from hagan_lite.hagan import Hagan


def count(net):
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_the_generator_has_the_parameters_of_table_1():
    assert count(Generator(64, channels=3, width=64, skip="off")) == 3_603_509
    assert count(Generator(64, channels=3, width=64, attention=False, skip="off")) == 3_577_667
    assert count(Generator(64, channels=3, width=64, skip="ema")) == 3_603_509 + 4


def test_the_image_branch_has_the_parameters_of_table_1():
    assert count(Discriminator(64, channels=3, width=64).image) == 2_764_737


def test_the_pixel_branch_is_decoupled():
    names = [n for n, _ in Discriminator(width=8).named_parameters()]
    assert {n.split(".")[0] for n in names} == {"image", "pixel"}
    D, x = Discriminator(width=8), torch.randn(2, 1, 64, 64)
    D(x).pixel.sum().backward()
    assert all(p.grad is None for p in D.image.parameters())


@pytest.mark.parametrize(("size", "channels"), [(64, 1), (64, 3), (256, 1), (256, 3)])
def test_shapes_at_both_sizes(size, channels):
    G, D = Generator(size, channels, width=8, z_dim=10), Discriminator(size, channels, width=8)
    images, A = G.with_saliency(torch.rand(2, 10) * 2 - 1)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert A.shape == (2, 32, 32)
    judged = D(images)
    assert judged.image.shape == (2,)
    assert judged.pixel.shape == (2, 1, size, size)
    levels = [tuple(f.shape[1:]) for f in judged.features]
    assert levels == [
        tuple(getattr(G, f"skip_mean_{i}").shape) for i in reversed(range(len(G.blocks)))
    ]


def attention_naive(layer, x):
    """softmax(q^T k) v, written out."""
    B, C, H, W = x.shape
    q, k, v = (conv(x).reshape(B, -1, H * W) for conv in (layer.query, layer.key, layer.value))
    A = torch.softmax(torch.einsum("bcq,bck->bqk", q, k), dim=2)
    return x + layer.gamma * torch.einsum("bqk,bck->bcq", A, v).reshape(x.shape), A


def test_fused_chunked_and_naive_attention_agree():
    torch.manual_seed(0)
    layer, x = SelfAttention(32), torch.randn(2, 32, 32, 32)
    layer.gamma.data.fill_(0.7)
    wanted, A = attention_naive(layer, x)
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.matrix(x), A, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.received(x).flatten(1), A.mean(1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(layer.received(x).sum((1, 2)), torch.ones(2))


def test_both_maps_are_what_they_say_and_leave_the_layers_output_alone():
    torch.manual_seed(0)
    layer, x = SelfAttention(32), torch.randn(2, 32, 16, 16)
    layer.gamma.data.fill_(0.7)
    out = (layer(x) - x) / 0.7  # v A^T
    for saliency, wanted in (("output", out.abs().mean(1)), ("received", layer.received(x))):
        y, A = layer.with_saliency(x, saliency)
        assert torch.equal(y, layer(x))
        assert not A.requires_grad and A.min() >= 0
        torch.testing.assert_close(A, wanted, atol=1e-5, rtol=1e-4)


def test_the_entropy_of_a_matrix_is_one_where_it_is_uniform_and_zero_where_one_pixel_has_all():
    sink = torch.zeros(1, 64, 64)
    sink[..., 7] = 1
    assert row_entropy(torch.full((1, 64, 64), 1 / 64)).item() == pytest.approx(1)
    assert row_entropy(sink).item() == 0


def test_fused_and_naive_attention_have_the_same_gradient():
    torch.manual_seed(0)
    layer, x = SelfAttention(16), torch.randn(2, 16, 8, 8)
    layer.gamma.data.fill_(0.7)
    fused = torch.autograd.grad(layer(x).square().sum(), layer.parameters())
    naive = torch.autograd.grad(attention_naive(layer, x)[0].square().sum(), layer.parameters())
    for a, b in zip(fused, naive, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_while_gamma_is_zero_attention_changes_nothing_and_learns_nothing():
    layer, x = SelfAttention(16), torch.randn(2, 16, 8, 8)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.query.weight.grad.abs().max() == 0
    assert layer.gamma.grad != 0


def test_the_map_belongs_to_the_last_attention_layer_and_carries_no_gradient():
    G = Generator(width=8)
    for saliency in ("output", "received"):
        _, A = G.with_saliency(torch.rand(2, 100), saliency=saliency)
        assert A.shape[1:] == (32, 32)
        assert not A.requires_grad
    with pytest.raises(ValueError, match="no attention"):
        Generator(width=8, attention=False).with_saliency(torch.rand(2, 100))


@pytest.mark.parametrize("skip", ["off", "ema"])
def test_in_eval_mode_an_image_depends_on_its_own_z_alone(skip):
    torch.manual_seed(0)
    G, D = Generator(width=8, skip=skip), Discriminator(width=8)
    if skip == "ema":
        G.update_skip(D(torch.randn(4, 1, 64, 64)).features)
        G.skip_gate.data.fill_(0.5)
    G.eval()
    z = torch.rand(3, 100)
    with torch.no_grad():
        together = G(z)
        alone = torch.cat([G(one[None]) for one in z])
        again = G(z)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert torch.equal(together, again)


def test_the_skip_adds_nothing_while_its_gates_are_zero_and_something_after():
    torch.manual_seed(0)
    G, D = Generator(width=8).eval(), Discriminator(width=8)
    z = torch.rand(2, 100)
    with torch.no_grad():
        before = G(z)
        G.update_skip(D(torch.randn(4, 1, 64, 64)).features)
        assert torch.equal(G(z), before)
        G.skip_gate.data.fill_(1.0)
        assert not torch.allclose(G(z), before)


def test_the_skip_is_a_running_mean_of_the_batch_mean():
    G, D = Generator(width=8), Discriminator(width=8)
    features = D(torch.randn(4, 1, 64, 64)).features
    for _ in range(200):
        G.update_skip(features)
    torch.testing.assert_close(G.skip_mean_3, features[0].mean(0).detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(G.skip_mean_0, features[-1].mean(0).detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch", [2, 32, 64])
def test_a_small_batch_does_not_shorten_the_running_mean(batch):
    """It spans hundreds of images.

    Over twenty, as a momentum of 0.1 has it at Table III's batch of 2, G drew the same for every z.
    """
    model = Hagan(
        Experiment.make("hagan", "mni152", "smoke", width=8, batch_size=batch), torch.device("cpu")
    )
    moved = []
    model.G.update_skip = lambda features, momentum: moved.append(momentum)
    model.step(torch.rand(batch, 1, 64, 64) * 2 - 1, 0)
    assert moved == [0.1 if batch >= 32 else batch / 320]


def test_instance_mode_follows_the_given_real_images():
    torch.manual_seed(0)
    G, D = Generator(width=8, skip="instance").eval(), Discriminator(width=8)
    G.skip_gate.data.fill_(1.0)
    z = torch.rand(1, 100)
    a, b = (D(torch.randn(1, 1, 64, 64)).features for _ in range(2))
    assert not torch.allclose(G(z, a), G(z, b))
    with pytest.raises(ValueError, match="instance"):
        G(z)
    with pytest.raises(ValueError, match="ema"):
        Generator(width=8)(z, a)


def test_one_pass_judges_batches_as_several_would():
    D = Discriminator(width=8).eval()
    a, b = torch.randn(2, 1, 64, 64), torch.randn(3, 1, 64, 64)
    one, two = judge(D, a, b)
    torch.testing.assert_close(one.image, D(a).image)
    torch.testing.assert_close(two.pixel, D(b).pixel)
    torch.testing.assert_close(two.features[1], D(b).features[1])


@pytest.mark.parametrize(("kernel", "reach"), [(1, 0), (3, 3)])
def test_the_pixel_branch_sees_what_its_kernel_says(kernel, reach):
    D = Discriminator(width=8, pixel_kernel=kernel)
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    D(x).pixel[0, 0, 32, 32].backward()
    seen = x.grad[0, 0].nonzero()
    assert (seen.min(0).values == 32 - reach).all()
    assert (seen.max(0).values == 32 + reach).all()


def test_trunk_weights_start_as_dcgans():
    torch.manual_seed(0)
    G, D = Generator(width=32), Discriminator(width=32)
    trunk = [b[0].parametrizations.weight.original for b in [*G.blocks, *D.image.blocks]]
    for weight in [*trunk, G.to_image[0].weight, D.image.score.weight]:
        assert abs(weight.std() - 0.02) < 0.002


def test_the_matrices_to_look_at_are_those_that_are_used():
    G = Generator(width=8).eval()
    z = torch.rand(2, 100) * 2 - 1
    matrices = G.attention_matrices(z)
    assert {side: tuple(A.shape) for side, A in matrices.items()} == {
        16: (2, 256, 256),
        32: (2, 1024, 1024),
    }
    torch.testing.assert_close(matrices[32].sum(2), torch.ones(2, 1024))
    torch.testing.assert_close(
        matrices[32].mean(1).view(2, 32, 32), G.with_saliency(z, saliency="received")[1]
    )
    assert not any(layer._forward_pre_hooks for layer in G.attention.values())


def test_looking_at_the_matrices_leaves_a_training_generator_alone():
    G = Generator(width=8)
    before = {k: v.clone() for k, v in G.state_dict().items()}
    G.attention_matrices(torch.rand(2, 100))
    assert G.training and all(layer.training for layer in G.modules())
    assert all(torch.equal(v, before[k]) for k, v in G.state_dict().items())


def test_a_wrong_shape_or_type_is_refused_in_tests():
    """jaxtyping checks the files of pure tensors: a colour mask, two batch sizes, an integer."""
    x, M = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    assert attnmix.mix(x, x, M).shape == x.shape
    for wrong in ((x, x, x), (x, x[:1], M), (x, x, M.long())):
        with pytest.raises(TypeCheckError):
            attnmix.mix(*wrong)
    with pytest.raises(TypeCheckError):
        Generator(size=32, width=4)(torch.zeros(2, 100, 1, 1))


@pytest.mark.parametrize("size", [4, 48, 100])
def test_a_size_that_no_levels_lead_to_is_refused(size):
    for network in (Generator, Discriminator):
        with pytest.raises(ValueError, match=str(size)):
            network(size, 1, 4)


def test_a_map_that_does_not_exist_is_named():
    for wrong in ("recieved", ""):
        with pytest.raises(ValueError, match=f"{wrong}.*output or received"):
            Generator(width=8).with_saliency(torch.zeros(1, 100), saliency=wrong)


def test_each_level_of_the_skip_has_its_own_gate():
    G, D, seen = Generator(width=8).eval(), Discriminator(width=8), []
    G.update_skip(D(torch.randn(4, 1, 64, 64)).features)
    G.blocks[1].register_forward_pre_hook(lambda block, h: seen.append(h[0].clone()))
    with torch.no_grad():
        for gate in (0.0, 0.5):
            G.skip_gate[0] = gate
            G(torch.ones(1, 100))
    torch.testing.assert_close(seen[1] - seen[0], 0.5 * G.skip_mean_0[None])


def test_one_batch_moves_the_running_mean_by_its_momentum():
    G, D = Generator(width=8), Discriminator(width=8)
    features = D(torch.randn(4, 1, 64, 64)).features
    G.update_skip(features, 0.1)
    torch.testing.assert_close(G.skip_mean_3, 0.1 * features[0].mean(0).detach())


def test_the_image_branchs_slope_below_zero_is_a_tenth():
    branch, seen = Discriminator(width=8).image, []
    branch.blocks[0][0].register_forward_hook(lambda conv, x, out: seen.append(out.clone()))
    _, features = branch(torch.randn(1, 1, 64, 64))
    assert torch.equal(features[0], torch.maximum(seen[0], 0.1 * seen[0]))


def test_pixel_scores_are_unbounded():
    D = Discriminator(width=8)
    D.pixel[-1].bias.data.fill_(3.0)
    assert D(torch.zeros(1, 1, 64, 64)).pixel.min() > 2
