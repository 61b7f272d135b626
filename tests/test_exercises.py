"""The checks accept every right answer, however it is written, and say in words what is wrong with others.

The answers stand in ``right_answers/<module>.py`` (``RIGHT``) and ``wrong_answers/<module>.py`` (``WRONG``, and in
``WORDS`` what is said to some of them), one module each for every module of exercises.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from gazecourse import exercises
from gazecourse.exercises import Checks, Exercise
from gazecourse.exercises.registry import STEPS


def _checks() -> dict[str, Checks]:
    """``check`` of every module of exercises, by the module's name."""
    names = [module.name for module in pkgutil.iter_modules(exercises.__path__)]
    found = {name: getattr(import_module(f"gazecourse.exercises.{name}"), "check", None) for name in names}
    return {name: check for name, check in found.items() if isinstance(check, Checks)}


def _table(package: str, module: str, table: str) -> dict | list:
    """A table of answers; empty where there is none."""
    path = f"{package}.{module}"
    return getattr(import_module(path), table, []) if find_spec(path) else []


CHECKS = _checks()
RIGHT = {name: dict(_table("right_answers", name, "RIGHT")) for name in CHECKS}
WRONG = {name: dict(_table("wrong_answers", name, "WRONG")) for name in CHECKS}
EXERCISES = [
    pytest.param(module, exercise, id=f"{module}-{name}")
    for module, check in CHECKS.items()
    for name, exercise in check.exercises.items()
]


def _answers(tables: dict[str, dict]) -> list:
    return [
        pytest.param(CHECKS[module].exercises[name], answer, id=f"{module}-{name}-{answer.__name__}")
        for module, table in tables.items()
        for name, answers in table.items()
        for answer in answers
    ]


WORDS = [
    pytest.param(check.exercises[name], answer, words, id=f"{module}-{name}-{answer.__name__}")
    for module, check in CHECKS.items()
    for name, answer, words in _table("wrong_answers", module, "WORDS")
]


@pytest.mark.parametrize("package", ["right_answers", "wrong_answers"])
@pytest.mark.parametrize("module", CHECKS)
def test_no_answer_is_written_and_never_given(package, module):
    if not (found := find_spec(f"{package}.{module}")):
        pytest.skip("no answers")
    text = Path(found.origin).read_text(encoding="utf-8")
    written = re.findall(r"^def (\w+)", text, re.MULTILINE)
    assert [name for name in written if len(re.findall(rf"\b{name}\b", text)) < 2] == []


@pytest.mark.parametrize(("exercise", "answer"), _answers(RIGHT))
def test_right_answers_written_in_other_ways_are_accepted(exercise: Exercise, answer):
    verdict = exercise.judge(answer)
    assert verdict.state == "passed", verdict.message


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("module", "exercise"), EXERCISES)
def test_the_librarys_version_is_accepted_whatever_the_random_numbers(module, exercise: Exercise, seed):
    torch.manual_seed(seed)
    exercise.examine(exercise.reference)


@pytest.mark.parametrize(("exercise", "answer"), _answers(WRONG))
def test_wrong_answers_are_rejected_in_words(exercise: Exercise, answer):
    verdict = exercise.judge(answer)
    assert verdict.state == "wrong", verdict.message
    assert "the check cannot use" not in verdict.message


@pytest.mark.parametrize(("exercise", "answer", "words"), WORDS)
def test_a_wrong_answer_gets_the_message_that_helps(exercise: Exercise, answer, words):
    assert words in exercise.judge(answer).message


@pytest.mark.parametrize(("module", "exercise"), EXERCISES)
def test_every_exercise_has_a_badge_hints_and_answers_to_try_it_on(module, exercise: Exercise):
    assert exercise.badge.startswith(STEPS[exercise.difficulty - 1])
    assert len(exercise.hints) >= 3
    assert len(RIGHT[module].get(exercise.name, ())) >= 3, f"tests/right_answers/{module}.py"
    assert len(WRONG[module].get(exercise.name, ())) >= 4, f"tests/wrong_answers/{module}.py"
