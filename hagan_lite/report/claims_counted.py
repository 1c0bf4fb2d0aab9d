"""Test claims that need no training: count, and compare the paper's own tables."""

from collections.abc import Callable
from functools import cache

from hagan_lite.config import Experiment
from hagan_lite.evaluation.complexity import Cost, costs, training_flops
from hagan_lite.paper import PAPER
from hagan_lite.report.verdicts import HELD, NOT, Finding

COUNTED, PRINTED = "figures/table1.csv", "hagan_lite/paper.json"
"""The files that such verdicts refer to, as others refer to records."""


def _decided(held: bool, because: str, by: str) -> Finding:
    return Finding.stated(HELD if held else NOT, because, (by,))


@cache
def _costs(model: str) -> dict[str, Cost]:
    return costs(Experiment.make(model, "covid-ct", "paper", channels=3))


def least(what: str, rank: int) -> Finding:
    """Judge whether HAGAN is among the `rank` cheapest of all models, as counted.

    `what` is "parameters" or "macs".
    """
    totals = {m: getattr(_costs(m)["all"], what) / 1e6 for m in PAPER["table_1"]["rows"]}
    order = sorted(totals, key=totals.get)
    place = order.index("hagan")
    up_to_hagan = ", ".join(f"{m} {totals[m]:.2f}" for m in order[: place + 1])
    return _decided(place < rank, f"counted, in millions: {up_to_hagan}", COUNTED)


def times_the_parameters(model: str, more_than: float) -> Finding:
    """Judge whether `model` has more than `more_than` times HAGAN's parameters, as counted."""
    ratio = _costs(model)["all"].parameters / _costs("hagan")["all"].parameters
    return _decided(ratio > more_than, f"counted: {ratio:.2f} times", COUNTED)


def same_discriminator(model: str) -> Finding:
    """Judge whether HAGAN's D has the parameters and multiply-accumulates of the D of `model`."""
    mine = _costs("hagan")["D"]
    branch = _costs("hagan")["D, image branch"]
    other = _costs(model)["D"]
    because = (
        f"its image branch does ({branch.parameters:,} parameters), but the pixel branch adds "
        f"{mine.parameters - branch.parameters:,} parameters and "
        f"{mine.macs / branch.macs - 1:.0%} of the work"
    )
    return _decided(mine == other, because, COUNTED)


def free_of_cost(part: str) -> Finding:
    """Judge whether a part of AttnMix costs less than a hundredth of what it is a part of.

    `part` is "label", compared with G's pass, or "images", compared with a whole step. The label
    needs the mean over channels of what the last attention layer has computed anyway
    (Experiment.saliency "output"); the map of attention received would need that layer's N x N
    products of queries and keys once more. The mixed images are one batch more for D to judge and
    to learn from: complexity.training_flops with and without them.
    """
    if part == "label":
        channels, side = 64, 32  # of the last attention layer at width 64
        additions, products = channels * side**2, channels // 8 * side**4
        of_g = _costs("hagan")["G"].macs
        share = additions / of_g
        because = (
            f"{additions:,} additions per image, {share:.2%} of G's pass, and no N x N matrix; "
            f"the received map takes {products / of_g:.0%} of G's pass, and that matrix"
        )
    else:
        mixing = Experiment.make("hagan", "covid-ct", "paper", channels=3, phase_two=0)
        plain = Experiment.make("hagan", "covid-ct", "paper", channels=3, mix="off")
        share = 1 - training_flops(plain) / training_flops(mixing)
        because = f"a batch more for D, {share:.0%} of a step's work"
    return _decided(share < 0.01, f"counted: {because}", COUNTED)


def _fid(table: str, data: str) -> dict[str, float]:
    """Return the printed FID of each model that has one in this table for these data."""
    return {model: row[data] for model, row in PAPER[table]["fid"].items() if data in row}


def lead(
    table: str, data: str, over: list[str], by: float, exactly: bool = True, model: str = "hagan"
) -> Finding:
    """Judge whether `model` has a lower printed FID than each of `over`, by `by` or more than it.

    With `exactly` the lead over the nearest rival is `by` (to 0.005), otherwise it is larger.
    """
    fid = _fid(table, data)
    nearest = min(over, key=fid.get)
    distance = fid[nearest] - fid[model]
    held = abs(distance - by) < 0.005 if exactly else distance > by
    return _decided(held, f"{nearest} is {distance:.3f} behind", PRINTED)


def lowest_everywhere() -> Finding:
    """Judge whether HAGAN has the lowest printed FID in every column of Tables II and III."""
    best = []
    for table in ("table_2", "table_3"):
        for data in PAPER[table]["images"]:
            fid = _fid(table, data)
            best.append(min(fid, key=fid.get))
    led = best.count("hagan")
    return _decided(led == len(best), f"in {led} of {len(best)} columns", PRINTED)


def most(table: str, data: str, by: float) -> Finding:
    """Judge whether HAGAN leads more than half of the others by more than `by` printed FID."""
    fid = _fid(table, data)
    behind = [model for model, score in fid.items() if score - fid["hagan"] > by]
    others = len(fid) - 1
    return _decided(len(behind) > others / 2, f"{len(behind)} of {others} models", PRINTED)


def loses_most(data: str, model: str, of: list[str]) -> Finding:
    """Judge whether, of the models `of`, that of `model` has the FID that grows most.

    It is the printed FID, from 64x64 to 256x256.
    """
    small, large = _fid("table_2", data), _fid("table_3", data)
    lost = {m: large[m] - small[m] for m in of}
    first = max(lost, key=lost.get)
    because = ", ".join(f"{m} loses {growth:.1f}" for m, growth in lost.items())
    return _decided(first == model, because, PRINTED)


def step(to: int, by: float) -> Finding:
    """Judge whether Table IV's FID falls by `by` from the row above to row `to` (base is row 1)."""
    fids = [row["fid"] for row in PAPER["table_4"]["rows"]]
    before, after = fids[to - 2], fids[to - 1]
    fall = before - after
    return _decided(abs(fall - by) < 5e-4, f"{before} to {after} is {fall:.3f}", PRINTED)


def flips_help() -> Finding:
    """Judge whether Table II's DCGAN, with flips and shifts, is ahead of Table IV's base model.

    The base model has DCGAN's structure without them.
    """
    base = PAPER["table_4"]["rows"][0]["fid"]
    dcgan = _fid("table_2", "covid-ct")["dcgan"]
    because = f"{dcgan} with and {base} without, {base - dcgan:.1f} apart"
    return _decided(dcgan < base, because, PRINTED)


def printed(what: str, rank: int) -> Finding:
    """Judge whether Table I has HAGAN among the `rank` cheapest; equal models share a rank.

    `what` is "params" or "flops".
    """
    table = PAPER["table_1"]["rows"]
    totals = {m: row[what]["all"] for m, row in table.items() if what in row}
    cheaper = [m for m, total in totals.items() if total < totals["hagan"]]
    because = f"cheaper in Table I: {', '.join(cheaper) or 'none'}"
    return _decided(len(cheaper) < rank, because, PRINTED)


def printed_ratio(model: str, more_than: float) -> Finding:
    """Judge whether Table I has `model` at more than `more_than` times HAGAN's parameters."""
    table = PAPER["table_1"]["rows"]
    ratio = table[model]["params"]["all"] / table["hagan"]["params"]["all"]
    return _decided(ratio > more_than, f"{ratio:.2f} times", PRINTED)


_COUNTS = (least, times_the_parameters, same_discriminator, free_of_cost)
_SUMS = (lead, lowest_everywhere, most, loses_most, step, flips_help, printed, printed_ratio)
TESTS: dict[str, Callable[..., Finding]] = {test.__name__: test for test in _COUNTS + _SUMS}
