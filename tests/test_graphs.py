"""A recorded step without a GPU: a stand-in for the CUDA graph takes the step at each replay."""

import pytest
import torch
from helpers import CPU, tiny

from hagan_lite import train
from hagan_lite.config import MODELS, Experiment
from hagan_lite.hagan import Hagan
from hagan_lite.model import model_of
from hagan_lite.system import graphs


class StandIn:
    """Record a step: as with a CUDA graph, nothing is executed until it is replayed."""

    def __init__(self, step, model, stream):
        self.step, self.logs = step, {}

    def __call__(self):
        for name, value in self.step().items():
            self.logs.setdefault(name, torch.empty_like(value)).copy_(value)
        return self.logs


def batches(n):
    rng = torch.Generator().manual_seed(1)
    return [torch.rand(4, 1, 32, 32, generator=rng) * 2 - 1 for _ in range(n)]


@pytest.mark.parametrize("changes", [{}, dict(ramp=2)], ids=str)
def test_a_recorded_step_trains_as_the_step_does(changes):
    e = tiny(phase_two=5, **changes)
    one, other = Hagan(e, CPU), Hagan(e, CPU)
    recorded = graphs.RecordedStep(other, StandIn, None)
    for t, x in enumerate(batches(e.steps)):
        a, b = one.step(x, t), recorded(x, t)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), t
    assert set(recorded.records) == {(False, 1.0), (True, 1.0)}  # one record a phase
    for a, b in zip(one.G.parameters(), other.G.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_batch_of_another_shape_is_refused():
    model = Hagan(tiny(phase_two=5), CPU)
    recorded = graphs.RecordedStep(model, StandIn, None)
    for t, x in enumerate(batches(4)):
        recorded(x, t)
    with pytest.raises(ValueError, match="recorded for"):
        recorded(batches(1)[0][:2], 4)


@pytest.mark.parametrize("recorded", [None, True, False])
def test_on_cuda_a_step_is_recorded_unless_told_otherwise(recorded, monkeypatch):
    monkeypatch.setattr(graphs.torch.cuda, "Stream", lambda device: None)
    model = Hagan(tiny(), CPU)
    model.device = torch.device("cuda")
    step = graphs.step_of(model, recorded)
    assert isinstance(step, graphs.RecordedStep) == (recorded is not False)
    model._G = torch.nn.Identity()  # as if it were compiled
    assert graphs.step_of(model, None) == model.step


def test_where_a_step_cannot_be_recorded_it_is_taken_as_it_is(tmp_path):
    model = Hagan(tiny(), CPU)
    with pytest.warns(UserWarning, match="not recorded"):
        assert graphs.step_of(model, recorded=True) == model.step
    assert graphs.step_of(model, recorded=False) == model.step


def test_the_models_whose_step_can_be_recorded_take_hagans():
    """path_of says what of t decides: it is read off Hagan.update."""
    kinds = {name: model_of(Experiment.make(name)) for name in MODELS}
    by_phase = {name for name, kind in kinds.items() if kind.by_phase}
    assert by_phase == {name for name, kind in kinds.items() if kind.update is Hagan.update}
    assert by_phase == {"hagan", "sagan", "dcgan"}


def test_a_training_may_ask_for_a_recorded_step_on_a_cpu(tmp_path):
    with pytest.warns(UserWarning, match="not recorded"):
        run = train.train(tiny(steps=2, phase_two=1), tmp_path / "run", device="cpu", recorded=True)
    assert (run / "generator.safetensors").is_file()
