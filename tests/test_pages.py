"""README.md, docs/ and other pages: parts are drawn from records, links lead somewhere."""

import json
import re
import sys

import pytest

from hagan_lite.config import Experiment
from hagan_lite.system.paths import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import pages  # scripts/pages.py

GENERATED = {str(page.relative_to(ROOT)): page for page in pages.pages()}
WRITTEN = ["CONTRIBUTING.md", "data/README.md", "figures/README.md", "notebooks/README.md"]
WRITTEN += ["notebooks/glossary.md", "notebooks/handout.md"]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)<?([^)>#\s]+)")


@pytest.mark.parametrize("name", GENERATED)
def test_every_generated_part_is_drawn_from_the_committed_records(name, records):
    text = GENERATED[name].read_text()
    assert pages.drawn(text, records) == text, f"{name}: run make figures"


def test_every_part_stands_on_a_page_and_every_mark_is_a_whole_part():
    texts = [page.read_text() for page in GENERATED.values()]
    assert {name for text in texts for name in pages.parts_of(text)} == set(pages.PARTS)
    for text in texts:
        assert (
            text.count("scripts/pages.py -->")
            == text.count("<!-- end of ")
            == len(pages.parts_of(text))
        )


def test_a_part_that_nothing_draws_is_an_error():
    with pytest.raises(ValueError, match="gone: no such part"):
        pages.drawn("<!-- gone: scripts/pages.py -->\n<!-- end of gone -->", [])


@pytest.mark.parametrize(
    "name",
    ["four", "measured", "measured_pairs", "earlier_pairs", "acdc", "lgg", "figure_7"]
    + ["few_images", "budgets", "what_d_says", "longer", "longer_pairs", "acdc_pairs", "lgg_pairs"]
    + ["where_run", "paper_preset", "models", "larger", "larger_acdc", "d_over_training"],
)
def test_a_part_without_records_says_so(name):
    assert pages.PARTS[name]([]) == pages.NOTHING


def record_of(row, **changes):
    """Return a record of a row of the ladder on COVID-CT."""
    e = dict(pages.ladder("covid-ct", "cpu", **changes))[row]
    metrics = dict(
        extractor="x", resize="r", n_real=9, n_fake=9, floor=40.0, fd=200.0, fd_at_floor_n=210.0
    )
    about = dict(name=f"{row} {changes}", device="cpu", data=dict(name="covid-ct", fingerprint="f"))
    return about | dict(experiment=e.to_dict(), metrics=metrics)


def test_fid_768_has_columns_as_soon_as_a_row_has_it():
    plain = record_of("base")
    also = {"inception-768": dict(fid768=1.25, floor=0.5)}
    richer = record_of("sagan with T") | dict(also=also)
    assert "FID-768" not in pages.PARTS["measured"]([plain])
    head, _, *rows = pages.PARTS["measured"]([plain, richer]).splitlines()
    assert head.endswith("| FID-768 | FID-768: of runs | FID-768 of real halves |")
    assert [row.split(" | ")[0] for row in rows] == ["| base", "| sagan with T"]
    assert rows[1].endswith("| 1.250 | 1 | 0.500 |")


def test_rows_of_one_protocol_never_stand_in_the_other_ones_table():
    present, earlier = record_of(pages.FULL), record_of(pages.FULL, **pages.EARLIER)
    assert pages.PARTS["four"]([earlier]) == pages.NOTHING
    assert "| 200.0 |" in pages.PARTS["four"]([present])


def test_the_labels_shift_is_summed_up_by_data_budget_and_map():
    chances = (dict(output=0.2, received=0.1), dict(output=0.4, received=0.5))
    records = [record_of(pages.FULL) | dict(figure_7=chance) for chance in chances]
    records.append(record_of("hagan, received map") | dict(figure_7=chances[0]))
    lines = pages.PARTS["figure_7"](records).splitlines()[2:]
    shown = [line.strip("| ").split(" | ") for line in lines]
    assert [row[3:] for row in shown] == [
        ["output", "2", "0.3 [0.2, 0.4]", "0.3 [0.1, 0.5]", "in 1 of 2"],
        ["received", "1", "0.2", "0.1", "in 1 of 1"],
    ]


def test_trainings_in_bf16_stand_beside_those_in_float32():
    (first, *others) = json.loads(pages.GPU.read_text())["bf16"]
    records = [dict(metrics=dict(fd=123.4), hash=run["hash"]) for run in (first, *others)]
    lines = pages.PARTS["bf16"](records).splitlines()[2:]
    assert len(lines) == 1 + len(others)
    assert lines[0].endswith(f"| 123.4 | {first['fd']:.1f} |")


def test_runs_of_the_preset_paper_are_named_by_what_they_had():
    """A run without T, on other data, or without FID-768 must not stand there as another."""
    record = record_of("sagan") | dict(minutes=9.0)
    record["experiment"] = Experiment.make("sagan", "acdc", "paper").to_dict()
    record["data"] = dict(name="acdc")
    record["metrics"] |= dict(kid=0.1, precision=0.5, recall=0.25)
    (_, _, line) = pages.PARTS["paper_preset"]([record]).splitlines()
    model, data, *_ = line.strip("| ").split(" | ")
    assert (model, data) == ("sagan", "acdc")


def test_a_record_without_a_log_has_no_say_about_d():
    bare = record_of(pages.FULL)
    logged = bare | dict(name="b", device="gpu", log=dict(step=[800], d_real=[0.75], d_fake=[0.5]))
    logged["log"] |= dict(d_pix=[0.6], d_cons=[0.01], d=[1.0])
    assert pages.PARTS["what_d_says"]([bare]) == pages.NOTHING
    (_, _, line) = pages.PARTS["what_d_says"]([bare, logged]).splitlines()
    assert "| 0.75 | 0.50 | 0.25 |" in line and line.endswith("| 1 |")


def test_where_runs_were_made_says_protocol_machine_and_every_seed():
    present, earlier = record_of(pages.FULL), record_of(pages.FULL, **pages.EARLIER)
    control = record_of("hagan, received map") | dict(device="gpu")
    control["experiment"] = control["experiment"] | dict(seed=10)
    lines = pages.PARTS["where_run"]([present, earlier, control]).splitlines()[2:]
    kinds = [tuple(line.strip("| ").split(" | "))[-3:] for line in lines]
    assert kinds == [("earlier", "cpu", "0"), ("present", "cpu", "0"), ("present", "gpu", "10")]


def test_the_readme_is_one_screen_and_names_every_lesson():
    readme = (ROOT / "README.md").read_text()
    lines = readme.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 160
    for lesson in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"notebooks/{lesson.name}" in readme


@pytest.mark.parametrize("name", [*GENERATED, *WRITTEN])
def test_every_relative_link_of_a_page_leads_to_a_file(name):
    page = ROOT / name
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
