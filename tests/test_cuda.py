"""The GPU path.

What can be seen without a GPU is checked on fake CUDA tensors, which have a device, a shape and a
dtype but no data: a value read back by the host, or a tensor that crosses to the device, shows.
The rest waits for a real device.
"""

import contextlib
import os
import signal
from unittest import mock

import pytest
import torch
from helpers import CPU, Watch, real, tiny
from torch._subclasses.fake_tensor import FakeTensorMode

from hagan_lite import runs, train
from hagan_lite.config import MODELS
from hagan_lite.hagan import Hagan
from hagan_lite.model import model_of
from hagan_lite.system import graphs, runtime

CUDA = torch.device("cuda")
no_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def needs_cuda(test):
    """Skip a test without a CUDA device, and mark it for scripts/gpu.sh."""
    return pytest.mark.gpu(no_cuda(test))


class FakeRng(torch.Generator):
    """Stand in for a generator on CUDA, which cannot be made where that device is not there."""

    device = CUDA

    def __new__(cls, *_):
        return super().__new__(cls)

    def __init__(self, *_):
        super().__init__()

    def manual_seed(self, seed):
        return self


@pytest.fixture
def fake_step():
    """Make a step of each phase on fake CUDA tensors; return the Watch and the logs."""

    def run(e, precision="auto"):
        cpu, rand, randn = model_of(e)(e, CPU), torch.rand, torch.randn
        with (
            FakeTensorMode(allow_non_fake_inputs=True),
            mock.patch("torch.Generator", FakeRng),
            mock.patch("torch.rand", lambda *shape, generator, device: rand(*shape, device=device)),
            mock.patch(
                "torch.randn", lambda *shape, generator, device: randn(*shape, device=device)
            ),
            mock.patch("torch.cuda.is_bf16_supported", lambda *_, **__: True),
            mock.patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
        ):
            with mock.patch.object(model_of(e), "networks", staticmethod(lambda e: (cpu.G, cpu.D))):
                model = model_of(e)(e, CUDA, precision)

            def backward(loss):  # autograd's own; its engine asks the driver, which is not there
                for p in model.parameters():
                    p.grad = torch.zeros_like(p) if p.requires_grad else None

            x = torch.empty(4, e.channels, e.size, e.size, device=CUDA)
            with mock.patch("torch.Tensor.backward", backward), Watch() as watch:
                logs = [model.step(x, t) | model.gates() for t in (0, e.steps - 1)]
        return watch, logs

    return run


EVERY_PATH = [{}, dict(skip="instance"), dict(ramp=4), dict(mix="cutmix"), dict(adversarial="ns")]
EVERY_PATH += [dict(feature_loss="l2"), dict(feature_loss="nce")]
EVERY_PATH += [dict(saliency="received"), dict(fresh_noise=True)]
EVERY_PATH += [dict(model=model, flips=True) for model in MODELS if model != "hagan"]


@pytest.mark.parametrize("changes", EVERY_PATH, ids=str)
def test_a_step_stays_on_the_device(fake_step, changes):
    watch, logs = fake_step(tiny(**changes))
    assert watch.calls > 150
    assert watch.elsewhere == []
    assert {v.device.type for line in logs for v in line.values()} == {"cuda"}


def test_the_watch_sees_a_copy_to_the_device_and_a_value_read_back():
    with FakeTensorMode(), Watch() as watch:
        torch.zeros(2).to(CUDA)
        assert watch.elsewhere
        with pytest.raises(Exception, match="local_scalar_dense|data-dependent"):
            torch.zeros(2, device=CUDA).sum().item()


def test_on_cuda_the_networks_compute_in_bf16_and_the_losses_in_float32(fake_step):
    watch, logs = fake_step(tiny())
    assert set(watch.convolutions) == {torch.bfloat16}
    assert {v.dtype for line in logs for v in line.values()} == {torch.float32}
    watch, _ = fake_step(tiny(), precision="fp32")
    assert set(watch.convolutions) == {torch.float32}


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_on_a_gpu_that_computes_in_it(monkeypatch, native, precision):
    monkeypatch.setattr(
        "torch.cuda.is_bf16_supported",
        lambda including_emulation=True: including_emulation or native,
    )
    assert runtime.resolve_precision(CUDA) == precision
    assert runtime.resolve_precision(CPU) == "fp32"
    with pytest.raises(ValueError, match="choose auto, bf16 or fp32"):
        runtime.resolve_precision(CPU, "fp16")


def test_every_activation_is_channels_last():
    model, other = Hagan(tiny(channels=3, phase_two=0), CPU), []

    def look(module, inputs, out):
        if isinstance(out, torch.Tensor) and out.dim() == 4:
            layout = out.is_contiguous(memory_format=torch.channels_last)
            other.extend([] if layout else [(type(module).__name__, tuple(out.shape))])

    for module in [*model.G.modules(), *model.D.modules()]:
        module.register_forward_hook(look)
    model.step(real().expand(-1, 3, -1, -1), 0)
    assert other == []


@pytest.fixture
def unchecked(monkeypatch):
    """Switch the checks of shapes off (conftest.py): torch.compile cannot look into beartype's."""
    with contextlib.suppress(ImportError):
        import jaxtyping

        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_compiled_networks_are_whole_graphs_and_compute_the_same(unchecked, monkeypatch):
    compiler, compiled = torch.compile, []

    def whole(net):  # the graph is run as it is, without a compiler; a break in it raises
        compiled.append(net)
        return compiler(net, backend="eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", whole)
    one, other = Hagan(tiny(), CPU, compiled=True), Hagan(tiny(), CPU)
    assert compiled == [one.G, one.D, one.G.with_saliency]
    for t in (0, 1, 11):
        a, b = one.step(real(), t), other.step(real(), t)
        for name in b:
            torch.testing.assert_close(a[name], b[name], atol=1e-4, rtol=1e-3)
    assert one.state_dict()["G"].keys() == other.state_dict()["G"].keys()


@needs_cuda
def test_a_step_in_float32_is_the_cpus_step():
    """Weights are the same; z, T and masks are not, so the losses agree only roughly."""
    cpu, gpu = Hagan(tiny(), CPU), Hagan(tiny(), CUDA, precision="fp32")
    for a, b in zip(cpu.G.parameters(), gpu.G.parameters(), strict=True):
        assert torch.equal(a, b.cpu())
    assert cpu.step(real(), 0)["d"].item() == pytest.approx(
        gpu.step(real().to(CUDA), 0)["d"].item(), rel=0.2
    )


@needs_cuda
@pytest.mark.parametrize("changes", [{}, dict(ramp=2), dict(mix="cutmix"), dict(model="sagan")])
def test_a_recorded_step_on_a_real_gpu_trains_as_the_step_does(changes):
    e = tiny(phase_two=6, steps=16, **changes)
    models = Hagan(e, CUDA), Hagan(e, CUDA)
    steps, x = (models[0].step, graphs.step_of(models[1], recorded=True)), real().to(CUDA)
    for t in range(e.steps):
        one, other = (step(x, t) for step in steps)
        for name in one:
            torch.testing.assert_close(one[name], other[name], atol=2e-2, rtol=2e-2)
    states = [model.state_dict() for model in models]
    assert torch.equal(states[0]["rng"], states[1]["rng"])  # the replays have drawn as many numbers
    assert not any(group["capturable"] for group in states[1]["opt_d"]["param_groups"])


@needs_cuda
def test_a_recorded_run_goes_on_where_it_stopped_recorded_or_not(tmp_path):
    e, run = tiny(steps=20), tmp_path / "run"

    def stop(line):
        if line["step"] == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train.train(e, run, device="cuda", on_log=stop, recorded=True)
    train.train(e, run, device="cuda")
    assert runs.finished(run)


@needs_cuda
def test_a_run_on_cuda(tmp_path):
    run = train.train(tiny(), tmp_path / "run", device="cuda")
    assert runs.sample(run, 4, device="cuda").shape == (4, 1, 32, 32)


@needs_cuda
@pytest.mark.parametrize("compiled", [False, True])
def test_no_step_waits_for_a_real_gpu(unchecked, compiled):
    """The last of this file: to compile takes longest, and a lent GPU's time may be over."""
    model, x = Hagan(tiny(), CUDA, compiled=compiled), real().to(CUDA)
    for t in (0, 11):
        model.step(x, t)  # the first ones choose kernels and make the optimisers' state
    torch.cuda.set_sync_debug_mode("error")
    try:
        for t in (0, 11):
            model.step(x, t)
            model.gates()
    finally:
        torch.cuda.set_sync_debug_mode("default")
