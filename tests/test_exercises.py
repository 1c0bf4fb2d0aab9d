"""Exercises check themselves, and say what is wrong with a function that a reader writes."""

import json
import runpy
import shutil
import sys

import pytest
import torch

from hagan_lite.lessons import exercises
from hagan_lite.lessons.exercises import Case
from hagan_lite.system.paths import ROOT


@pytest.fixture
def said(capsys):
    """What was printed since the last call."""
    return lambda: capsys.readouterr().out


def test_a_self_check_tells_right_from_wrong_and_holds_no_answer(said):
    assert exercises.check("06.1", None) is None
    assert exercises.check("06.1", 0.4) and exercises.check("06.1", torch.tensor(0.4))
    assert not exercises.check("06.1", 0.6)
    assert "Hint" in said()
    assert "0.4" not in json.dumps(json.loads(exercises.FILE.read_text())["06.1"]["hint"])
    with pytest.raises(KeyError, match="there are"):
        exercises.check("99.1", 1)
    assert exercises.digest("a", -0.0001, 2) == exercises.digest("a", 0.0, 2)
    assert exercises.digest("a", " Yes", 3) == exercises.digest("a", "yes", 3)


def test_a_letter_is_an_answer_in_either_case_and_one_that_is_not_offered_is_none(said):
    answers = {letter: exercises.check("06.3", letter) for letter in "abc"}
    assert sorted(answers.values()) == [False, False, True]
    for letter, right in answers.items():
        for written in (
            f" {letter.upper()} ",
            f"{letter})",
            f"'{letter}'.",
            f"{letter}: 1/2, for A",
        ):
            assert exercises.check("06.3", written) is right
    said()
    for other in ("maybe", 1, True):
        assert exercises.check("06.3", other) is None
        assert '"a" or "b" or "c"' in said()


def test_where_a_number_is_asked_for_a_word_is_no_answer(said):
    assert exercises.check("06.1", "0.4")
    said()
    for other in ("two fifths", [0.4], torch.tensor([0.4, 0.4]), True, "nan"):
        assert exercises.check("06.1", other) is None
        assert "a number" in said()


def test_a_right_number_with_too_few_digits_is_asked_for_more(store, said):
    store("98.1", "0.984", "--digits", "3")
    said()
    for rounded in (0.98, "0.98"):
        assert exercises.check("98.1", rounded) is None
        assert "3 decimals" in said()
    # One digit may be a guess, and other numbers are wrong.
    for wrong in (1.0, 0.97, 0.99, 0.985):
        assert exercises.check("98.1", wrong) is False
    assert exercises.check("98.1", 0.9841)


def test_where_a_whole_number_is_asked_for_another_is_no_answer(store, said):
    store("98.1", "99", "--digits", "0")
    said()
    assert exercises.check("98.1", 0.99 / 0.01)
    said()
    assert exercises.check("98.1", 98.7) is None
    assert "whole number" in said()


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Return a function that calls scripts/exercises.py with a copy of exercises.json."""
    copy = shutil.copy(exercises.FILE, tmp_path / "exercises.json")
    monkeypatch.setattr(exercises, "FILE", tmp_path / "exercises.json")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["exercises.py", *words, "--hint", "Think."])
        runpy.run_path(str(ROOT / "scripts" / "exercises.py"), run_name="__main__")
        return json.loads(copy.read_text())

    return call


def test_what_the_script_stores_can_be_answered(store):
    store("98.1", "0.75", "--digits", "2")
    store("98.2", "Left", "--offered", "left", "right")
    store("98.3", "b", "--offered", "a", "b", "C")
    assert exercises.check("98.1", 0.751) and not exercises.check("98.1", 0.5)
    assert exercises.check("98.2", "left") and not exercises.check("98.2", "right")
    assert exercises.check("98.3", "B") and exercises.check("98.3", "c") is False


def test_an_exercise_that_is_stored_again_keeps_the_words_it_offers(store):
    assert store("02.2", "a")["02.2"]["offered"] == ["a", "b", "c"]
    assert exercises.check("02.2", "a") and exercises.check("02.2", "b") is False


def test_an_exercise_that_offered_words_can_ask_for_a_number(store):
    assert "offered" not in store("02.2", "0.5", "--offered")["02.2"]
    assert exercises.check("02.2", 0.5)


def test_a_word_that_nobody_could_choose_is_refused(store):
    other = ["98.1", "yes", "--offered", "left", "right"]
    for words in (["98.1", "true"], ["98.1", "nan"], ["98.1", "1e400"], other, ["02.2", "d"]):
        with pytest.raises(SystemExit):
            store(*words)


def half_and_mean():
    """Return the cases of an exercise that asks for x / 2 and the mean of x."""
    return [Case("two numbers", (torch.tensor([2.0, 4.0]),), (torch.tensor([1.0, 2.0]), 3.0))]


@pytest.mark.parametrize(
    ("mine", "complaint"),
    [
        (lambda x: x / 2, "2 things"),
        (lambda x: (x / 2, x), "number 2"),
        (lambda x: (x[:1] / 2, x.mean()), "(1,) and should be (2,)"),
        (lambda x: (x / 2, "3"), "str"),
        (lambda x: (x / 0, x.mean()), "infinity"),
        (lambda x: (torch.tensor([1.0, 7.0]), x.mean()), "50% of the values"),
        (lambda x: (torch.tensor([1.0, 7.0]), x.mean()), "[1, 7] and should give [1, 2]"),
        (lambda x: (x / 2, x.sum()), "6 and should give 3"),
        (lambda x: x.nothing, "AttributeError"),
    ],
)
def test_a_wrong_function_is_told_what_is_wrong(mine, complaint, said):
    assert exercises.check_function("a", mine, half_and_mean()) is False
    printed = said()
    assert "two numbers" in printed and complaint in printed


def test_a_right_function_passes_and_an_unwritten_one_is_no_answer():
    assert exercises.check_function("a", lambda x: (x / 2, x.mean()), half_and_mean())
    assert exercises.check_function("a", lambda x: None, half_and_mean()) is None


def test_a_small_error_is_an_error_and_rounding_is_none():
    for wrong, right in ((0.01, False), (1e-6, True)):
        off = exercises.check_function("a", lambda x, w=wrong: (x / 2 + w, 3.0), half_and_mean())
        assert off is right


def test_a_function_that_returns_nothing_for_a_later_case_is_wrong(said):
    cases = [Case("one", (1,), True), Case("two", (2,), False)]
    assert exercises.check_function("a", lambda x: True if x == 1 else None, cases) is False
    assert "two" in said()
    assert exercises.check_function("a", lambda x: True, cases) is False
    assert "True and should give False" in said()


def test_of_many_wrong_values_the_first_is_shown(said):
    wanted = torch.zeros(4, 3)
    given = wanted.clone()
    given[1, 2] = given[2, 0] = 5
    assert exercises.check_function("a", lambda: given, [Case("a map", (), wanted)]) is False
    assert "at [1, 2] it gives 5 and should give 0" in said()


def test_a_function_that_changes_its_argument_cannot_spoil_a_case():
    cases = half_and_mean()
    exercises.check_function("a", lambda x: (x.zero_(), 0.0), cases)
    assert exercises.check_function("a", lambda x: (x / 2, x.mean()), cases)

    cases = [Case("a list and a dict", ([3, 1], {"a": [1]}), 4)]
    assert exercises.check_function("a", lambda x, y: x.sort() or y["a"].append(1), cases) is None
    assert exercises.check_function("a", lambda x, y: x[0] + len(y["a"]), cases)


def test_without_cases_nothing_is_right():
    with pytest.raises(ValueError, match="no cases"):
        exercises.check_function("a", lambda: 1, [])


def test_a_prediction_is_noted_before_the_outcome_is_told(said):
    exercises.outcome("b", "up")
    assert "noted nothing" in said()
    exercises.predict("b", None, "up", "down")
    assert "'up' or 'down'" in said()
    exercises.predict("b", "down", "up", "down")
    said()
    exercises.outcome("b", "up")
    assert "'down'" in (printed := said()) and "'up'" in printed
    exercises.predict("b", "left", "up", "down")
    assert "'up' or 'down'" in said()
    exercises.outcome("b", "up")
    assert "noted nothing" in said()
    exercises.predict("b", " UP", "up", "down")
    exercises.predict("c", 800, "25", "800")
    assert "'up' is noted" in (printed := said()) and "'800' is noted" in printed
