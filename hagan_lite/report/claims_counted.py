"""What of the paper's claims can be decided without a training: by counting, and by arithmetic on its own tables."""

from collections.abc import Callable
from functools import cache

from hagan_lite.config import Experiment
from hagan_lite.evaluation.complexity import Cost, costs, training_flops
from hagan_lite.paper import PAPER
from hagan_lite.report.verdicts import HELD, NOT, Finding

COUNTED, PRINTED = "figures/table1.csv", "hagan_lite/paper.json"
"""What such a verdict points at."""


def _decided(held: bool, because: str, by: str) -> Finding:
    return Finding(HELD if held else NOT, because, (by,))


@cache
def _costs(model: str) -> dict[str, Cost]:
    return costs(Experiment.make(model, "covid-ct", "paper", channels=3))


def least(what: str, rank: int) -> Finding:
    """Whether HAGAN is among the `rank` cheapest in `what`, "parameters" or "macs", of all networks as counted."""
    totals = {m: getattr(_costs(m)["all"], what) / 1e6 for m in PAPER["table_1"]["rows"]}
    order = sorted(totals, key=totals.get)
    told = ", ".join(f"{m} {totals[m]:.2f}" for m in order[: order.index("hagan") + 1])
    return _decided(order.index("hagan") < rank, f"counted, in millions: {told}", COUNTED)


def times_the_parameters(model: str, more_than: float) -> Finding:
    """Whether `model` has `more_than` times HAGAN's parameters, counted."""
    ratio = _costs(model)["all"].parameters / _costs("hagan")["all"].parameters
    return _decided(ratio > more_than, f"counted: {ratio:.2f} times", COUNTED)


def same_discriminator(model: str) -> Finding:
    """Whether HAGAN's D costs what that of `model` costs, in parameters and multiply-accumulates."""
    mine, other, branch = _costs("hagan")["D"], _costs(model)["D"], _costs("hagan")["D, image branch"]
    because = f"its image branch does ({branch.parameters:,} parameters), but the pixel branch adds "
    because += f"{mine.parameters - branch.parameters:,} parameters and {mine.macs / branch.macs - 1:.0%} of the work"
    return _decided(mine == other, because, COUNTED)


def free_of_cost(part: str) -> Finding:
    """Whether a part of AttnMix costs less than a hundredth: the "label" of G's pass, the "images" of a whole step.

    The label needs the mean over channels of what the last attention layer has computed anyway (Experiment.saliency
    "output"). The mixed images are one batch more for D to judge and to learn from: complexity.training_flops with and
    without them.
    """
    if part == "label":
        channels, side = 64, 32  # of the last attention layer at width 64
        additions = channels * side**2
        share = additions / _costs("hagan")["G"].macs
        because = f"{additions:,} additions per image, {share:.2%} of G's pass, and no N x N matrix"
    else:
        e = Experiment.make("hagan", "covid-ct", "paper", channels=3, phase_two=0)
        plain = Experiment.make("hagan", "covid-ct", "paper", channels=3, mix="off")
        share = 1 - training_flops(plain) / training_flops(e)
        because = f"a batch more for D, {share:.0%} of a step's work"
    return _decided(share < 0.01, f"counted: {because}", COUNTED)


def _fid(table: str, data: str) -> dict[str, float]:
    return {model: row[data] for model, row in PAPER[table]["fid"].items() if data in row}


def lead(table: str, data: str, over: list[str], by: float, exactly: bool = True, model: str = "hagan") -> Finding:
    """Whether the printed FIDs have `model` ahead of each of `over` by `by`: exactly, or by more than that."""
    fid = _fid(table, data)
    nearest = min(over, key=fid.get)
    found = fid[nearest] - fid[model]
    held = abs(found - by) < 0.005 if exactly else found > by
    return _decided(held, f"{nearest} is {found:.3f} behind", PRINTED)


def lowest_everywhere() -> Finding:
    """Whether HAGAN has the lowest printed FID in every column of Tables II and III."""
    columns = [(t, data) for t in ("table_2", "table_3") for data in PAPER[t]["images"]]
    first = [min(_fid(*column), key=_fid(*column).get) == "hagan" for column in columns]
    return _decided(all(first), f"in {sum(first)} of {len(first)} columns", PRINTED)


def most(table: str, data: str, by: float) -> Finding:
    """Whether the printed FIDs have HAGAN ahead of more than half of the other models by more than `by`."""
    fid = _fid(table, data)
    ahead = [model for model, score in fid.items() if score - fid["hagan"] > by]
    return _decided(len(ahead) > (len(fid) - 1) / 2, f"{len(ahead)} of {len(fid) - 1} models", PRINTED)


def loses_most(data: str, model: str) -> Finding:
    """Whether `model` loses most printed FID from 64x64 to 256x256."""
    small, large = _fid("table_2", data), _fid("table_3", data)
    lost = {m: large[m] - small[m] for m in small}
    worst = max(lost, key=lost.get)
    return _decided(worst == model, f"{model} loses {lost[model]:.1f}, {worst} {lost[worst]:.1f}", PRINTED)


def step(to: int, by: float) -> Finding:
    """Whether Table IV's FID falls by `by` from the row above to row `to` (the base model is row 1)."""
    fids = [row["fid"] for row in PAPER["table_4"]["rows"]]
    fell = fids[to - 2] - fids[to - 1]
    return _decided(abs(fell - by) < 5e-4, f"{fids[to - 2]} to {fids[to - 1]} is {fell:.3f}", PRINTED)


def flips_help() -> Finding:
    """Whether Table II's DCGAN, with flips and shifts, is ahead of Table IV's base, DCGAN's structure without them."""
    base, dcgan = PAPER["table_4"]["rows"][0]["fid"], _fid("table_2", "covid-ct")["dcgan"]
    return _decided(dcgan < base, f"{dcgan} with and {base} without, {base - dcgan:.1f} apart", PRINTED)


def printed(what: str, rank: int) -> Finding:
    """Whether Table I has HAGAN among the `rank` cheapest in `what`, "params" or "flops"; equals share a rank."""
    totals = {m: row[what]["all"] for m, row in PAPER["table_1"]["rows"].items() if what in row}
    cheaper = [m for m, total in totals.items() if total < totals["hagan"]]
    return _decided(len(cheaper) < rank, f"cheaper in Table I: {', '.join(cheaper) or 'none'}", PRINTED)


def printed_ratio(model: str, more_than: float) -> Finding:
    """Whether Table I has `model` at `more_than` times HAGAN's parameters."""
    rows = PAPER["table_1"]["rows"]
    ratio = rows[model]["params"]["all"] / rows["hagan"]["params"]["all"]
    return _decided(ratio > more_than, f"{ratio:.2f} times", PRINTED)


_COUNTS = (least, times_the_parameters, same_discriminator, free_of_cost)
_SUMS = (lead, lowest_everywhere, most, loses_most, step, flips_help, printed, printed_ratio)
TESTS: dict[str, Callable[..., Finding]] = {test.__name__: test for test in _COUNTS + _SUMS}
