import dataclasses
import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hagan_lite.config import MODELS, Experiment
from hagan_lite.evaluation import complexity, stopwatch
from hagan_lite.evaluation.complexity import costs, training_flops
from hagan_lite.model import REGISTERED, Model, model_of
from hagan_lite.report import table1, tables
from hagan_lite.system.paths import ROOT


@pytest.fixture(scope="module")
def table():
    return table1.table_1().set_index(["model", "network"])


@pytest.mark.parametrize(
    ("model", "network", "parameters"),
    [
        ("sagan", "G", 3_603_509),
        ("dcgan", "G", 3_577_667),
        ("wgan", "G", 13_301_632),
        ("sagan", "D", 2_764_737),
        ("dcgan", "D", 2_764_737),
        ("wgan", "D", 6_423_553),
        ("unetgan", "D", 6_175_106),
        ("hagan", "D, image branch", 2_764_737),
        ("hagan", "G", 3_603_509 + 4),  # the reverse skip's gates
        ("ddpm", "all", 35_746_307),
    ],
)
def test_parameters_are_table_ones(table, model, network, parameters):
    assert table.loc[(model, network), "parameters"] == parameters


@pytest.mark.parametrize(
    ("model", "network", "units"),
    [
        ("sagan", "G", 11.9604),
        ("hagan", "G", 11.9604),
        ("dcgan", "G", 6.2729),
        ("wgan", "G", 0.7923),
        ("sagan", "D", 6.1880),
        ("hagan", "D, image branch", 6.1880),
        ("wgan", "D", 0.3828),
        ("infogan", "G", 6.2603),
        ("infogan", "D", 6.2109),
        ("unetgan", "D", 16.313),
    ],
)
def test_multiply_accumulates_are_those_that_were_counted_by_hand(table, model, network, units):
    assert table.loc[(model, network), table1.FLOPS] == pytest.approx(units, abs=1e-4)


def test_every_printed_cell_has_a_verdict_and_every_blank_one_has_none(table):
    for quantity in (table1.PARAMS, table1.FLOPS):
        printed = table[f"paper's {quantity}"].notna()
        assert set(table.loc[printed, f"{quantity}: verdict"]) == {"agrees", "as a sum", "differs"}
        assert set(table.loc[~printed, f"{quantity}: verdict"]) <= {""}


def test_the_cells_that_differ_are_these(table):
    differ = {
        q: set(table.index[table[f"{q}: verdict"] == "differs"])
        for q in (table1.PARAMS, table1.FLOPS)
    }
    assert differ[table1.PARAMS] == {("infogan", "G"), ("infogan", "D"), ("infogan", "all")}
    with_pixels = {("hagan", "D"), ("hagan", "all")}
    assert differ[table1.FLOPS] == {("unetgan", "D"), ("unetgan", "all")} | with_pixels


def test_a_convolution_and_its_norm_cost_what_the_rule_says():
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
    measured = complexity.cost(net, torch.zeros(2, 3, 16, 16))
    assert measured.parameters == 8 * 3 * 16 + 8 + 2 * 8
    assert measured.macs == 8 * 8 * 8 * 3 * 16 + 5 * 8 * 8 * 8
    assert measured.units == measured.macs * 64 / 2**30


def test_attention_costs_what_its_equation_says():
    """Three 1x1 convolutions, q^T k and v A^T; zeros that the fused kernel is given are no work."""
    channels, side = 64, 8
    N, d = side**2, channels // 8
    net = complexity.SelfAttention(channels)
    counted = complexity.cost(net, torch.zeros(2, channels, side, side))
    convolutions = N * channels * (2 * d + channels)
    assert counted.macs == convolutions + N * N * (d + channels)


def test_a_model_without_a_discriminator_is_counted_by_what_its_generator_takes(monkeypatch):
    """Diffusion is not the only such model: a decoder makes an image of z in one pass."""

    class Decoder(Model):
        @staticmethod
        def networks(e):
            shape = (e.channels, e.size, e.size)
            layer = nn.Linear(e.z_dim, math.prod(shape))
            return nn.Sequential(layer, nn.Unflatten(1, shape)), None

    monkeypatch.setitem(REGISTERED, "dcgan", Decoder)
    e = Experiment.make("dcgan", size=32, width=7)  # costs are counted once: a width of its own
    products = e.z_dim * 32**2
    assert costs(e) == {"all": complexity.Cost(products + 32**2, products)}


def test_counting_leaves_the_network_as_it_was():
    net = complexity.SelfAttention(8)
    forward = complexity.SelfAttention.output
    with pytest.raises(RuntimeError):
        complexity.cost(net, torch.zeros(2, 3, 4, 4))  # the wrong number of channels
    assert not net._forward_hooks and complexity.SelfAttention.output is forward


def test_the_totals_at_the_papers_width_are_these():
    totals = {
        m: costs(Experiment.make(m, "covid-ct", "paper", channels=3))["all"]
        for m in ("sagan", "hagan")
    }
    assert {model: round(cost.macs / 1e6, 2) for model, cost in totals.items()} == {
        "sagan": 304.48,
        "hagan": 388.24,
    }


def test_30_of_table_ones_37_cells_agree(table):
    printed = table.drop(("hagan", "D, image branch"))  # a row of ours
    verdicts = pd.concat(
        [printed[f"{quantity}: verdict"] for quantity in (table1.PARAMS, table1.FLOPS)]
    )
    assert (verdicts != "").sum() == 37
    assert verdicts.isin(["agrees", "as a sum"]).sum() == 30


@pytest.mark.parametrize("model", MODELS)
def test_a_models_costs_on_this_machine_can_be_measured(model):
    e = Experiment.make(
        model, preset="smoke", size=32, **({"ddim_steps": 2} if model == "ddpm" else {})
    )
    measured = stopwatch.measure(e, torch.device("cpu"), n=1)
    assert measured.step > 0 and measured.image > 0
    weights = sum(c.parameters for name, c in complexity.costs(e).items() if name == "all")
    assert measured.memory > 4 * 3 * weights  # float32, with gradients and the optimiser's state


def test_the_bytes_that_are_alive_are_counted():
    with stopwatch._Alive([]) as alive:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b * 2
    assert (alive.most, alive.now) == (8000, 8000)
    del b, c
    assert alive.now == 0


def test_the_committed_table_is_counted_from_the_networks(tmp_path):
    markdown, csv, _ = tables.save_table(table1.table_1(), tmp_path / "table1")
    for path in (markdown, csv):
        assert path.read_text() == (ROOT / "figures" / path.name).read_text()


def test_a_trainings_flops_are_counted_pass_by_pass():
    """Per image: G three passes' worth, D eight; AttnMix three more of D from phase two on, two
    operations each.
    """
    plain, mixing = (Experiment.make(model, "covid-ct", "cpu") for model in ("sagan", "hagan"))
    G, D = (costs(plain)[network].macs for network in "GD")
    assert training_flops(plain) == 2 * 32 * 800 * (3 * G + 8 * D)
    fresh = dataclasses.replace(plain, fresh_noise=True)
    assert training_flops(fresh) == 2 * 32 * 800 * (4 * G + 8 * D)
    counted = Experiment.make("dcgan", "covid-ct", "cpu", flips=False)
    model = model_of(counted)(counted, torch.device("cpu"))
    with FlopCounterMode(
        display=False
    ) as counter:  # which knows no BatchNorm, and no backward pass of attention
        model.step(torch.zeros(32, 1, 64, 64), 0)
    assert 800 * counter.get_total_flops() == pytest.approx(training_flops(counted), rel=0.02)
    G, D = (costs(mixing)[network].macs for network in "GD")
    assert training_flops(mixing) == 2 * 32 * (800 * (3 * G + 8 * D) + 640 * 3 * D)


def test_a_measured_time_is_the_fastest_of_several_and_an_images_is_its_share(monkeypatch):
    taken = iter((0.3, 0.1, 0.2))
    monkeypatch.setattr(stopwatch, "seconds", lambda *_: next(taken))
    assert stopwatch._fastest(lambda: None, torch.device("cpu"), 3) == 0.1
    monkeypatch.setattr(stopwatch, "_fastest", lambda *_: 6.0)
    e = Experiment.make("dcgan", preset="smoke", size=32, width=4, batch_size=4)
    measured = stopwatch.measure(e, torch.device("cpu"))
    assert (measured.step, measured.image) == (6.0, 1.5)
