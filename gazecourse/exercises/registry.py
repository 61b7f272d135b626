"""The registry behind ``check``: judge an answer, say how it went, hand back the function to go on with."""

from __future__ import annotations

import inspect
import linecache
import sysconfig
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal

import torch

from gazecourse.exercises.compare import Wrong

STEPS = ("●○○", "●●○", "●●●")
LINE_WIDTH = 100
LIBRARIES = tuple(
    str(folder)
    for folder in {Path(__file__).resolve().parents[1]}
    | {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")}
)


@dataclass(frozen=True)
class Verdict:
    """How an answer was judged: ``state`` and a sentence for the learner."""

    state: Literal["passed", "wrong", "not started", "reference"]
    message: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        name: the name of the function or class that the learner writes.
        examine: called with the learner's version; raises ``Wrong`` unless it is right.
        reference: the library's version.
        difficulty: 1 to 3.
        minutes: what it takes, reading included.
        hints: three or more, from a nudge to nearly the answer.
    """

    name: str
    examine: Callable[[Any], None]
    reference: Callable
    difficulty: int
    minutes: int
    hints: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.difficulty not in (1, 2, 3):
            raise ValueError(f"difficulty of {self.name} must be 1, 2 or 3; got {self.difficulty!r}.")
        if not (isinstance(self.minutes, int) and self.minutes > 0):
            raise ValueError(f"minutes of {self.name} must be a positive whole number; got {self.minutes!r}.")
        if isinstance(self.hints, str) or len(self.hints) < 3:
            raise ValueError(f"hints of {self.name} must be three sentences or more; got {self.hints!r}.")
        if not (inspect.getdoc(self.examine) or "").strip():
            raise ValueError(f"the check of {self.name} needs a docstring: what a passing answer has shown.")

    @property
    def badge(self) -> str:
        """Difficulty and time as they stand in the notebook: ``●●○ · 10 min``."""
        return f"{STEPS[self.difficulty - 1]} · {self.minutes} min"

    def judge(self, candidate: Any) -> Verdict:
        """Judge one answer. Global random state is seeded for the check and restored after it."""
        if candidate is self.reference:
            return Verdict("reference", "this is the library's version.")
        if not callable(candidate):
            return Verdict("wrong", f"{self.name} should be a function or class; it is {type(candidate).__name__}.")
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.examine(candidate)
        except Wrong as wrong:
            return Verdict("wrong", str(wrong))
        except Exception as error:
            if isinstance(error, NotImplementedError) and not error.args:
                return Verdict("not started", "not started.")
            return Verdict("wrong", _describe_error(error))
        return Verdict("passed", self.shown)

    @property
    def shown(self) -> str:
        """What a passing answer has shown: the first line of the check's docstring, to follow a colon."""
        line = inspect.getdoc(self.examine).splitlines()[0]
        return line[0].lower() + line[1:] if line[1:2].islower() else line


class Checks:
    """The exercises of one notebook. ``check.NAME(answer)`` checks an answer; see the package's docstring."""

    def __init__(self) -> None:
        self.exercises: dict[str, Exercise] = {}
        self._hints_shown: dict[str, int] = {}
        self._has_failed: set[str] = set()

    def exercise(
        self, *, reference: Callable, difficulty: int, minutes: int, hints: tuple[str, ...]
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Register the decorated function as the check of the exercise that bears its name.

        Raises:
            ValueError: fewer than three hints, no docstring, or a name that is taken.
        """

        def register(examine: Callable[[Any], None]) -> Callable[[Any], None]:
            name = examine.__name__
            if name in self.exercises or hasattr(type(self), name):
                raise ValueError(f"an exercise cannot be called {name}: the name is taken.")
            self.exercises[name] = Exercise(name, examine, reference, difficulty, minutes, tuple(hints))
            return examine

        return register

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name.startswith("_") or name not in self.exercises:
            known = ", ".join(self.__dict__.get("exercises", ()))
            raise AttributeError(f"there is no exercise {name!r} here; the exercises are {known}.")
        return lambda candidate: self._check(self.exercises[name], candidate)

    def __dir__(self) -> list[str]:
        return ["hint", "solution", *self.exercises]

    def hint(self, name: str) -> None:
        """Print the next hint of an exercise; after the last, all of them again."""
        exercise = self._find(name)
        if self._hints_shown.get(name, 0) < len(exercise.hints):
            _say(self._next_hint(exercise))
            return
        for number, hint in enumerate(exercise.hints, start=1):
            _say(f"Hint {number} of {len(exercise.hints)}: {hint}")
        _say(f'That was the last. check.solution("{name}") shows how we did it.')

    def solution(self, name: str) -> None:
        """Print the library's version of an exercise."""
        print(textwrap.dedent(inspect.getsource(self._find(name).reference)).rstrip())

    def _find(self, name: str) -> Exercise:
        if name not in self.exercises:
            raise ValueError(f"there is no exercise {name!r} here; the exercises are {', '.join(self.exercises)}.")
        return self.exercises[name]

    def _next_hint(self, exercise: Exercise) -> str:
        number = min(self._hints_shown.get(exercise.name, 0) + 1, len(exercise.hints))
        self._hints_shown[exercise.name] = number
        return f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}"

    def _check(self, exercise: Exercise, candidate: Any) -> Any:
        verdict = exercise.judge(candidate)
        name = exercise.name
        if verdict.state == "passed":
            _say(f"✓ {name}: {verdict.message} The notebook uses your version from here on.")
            return candidate
        if verdict.state == "reference":
            _say(f"○ {name}: this is the library's version. Run your exercise cell again, then this check.")
        elif verdict.state == "not started":
            self._hints_shown[name] = 0
            _say(f"○ {name}: not started. {self._next_hint(exercise)}")
            _say(f'The notebook goes on with the library\'s version. Another hint: check.hint("{name}")', 2)
        else:
            _say(f"✗ {name}: {verdict.message}")
            _say(self._help_after_failure(exercise), 2)
        return exercise.reference

    def _help_after_failure(self, exercise: Exercise) -> str:
        """The first failure speaks for itself; each further one brings one more hint."""
        if exercise.name in self._has_failed:
            return self._next_hint(exercise)
        self._has_failed.add(exercise.name)
        return f'The notebook goes on with the library\'s version. A hint: check.hint("{exercise.name}")'


def _say(text: str, indent: int = 0) -> None:
    print(textwrap.fill(text, LINE_WIDTH, initial_indent=" " * indent, subsequent_indent="  "))


def _describe_error(error: Exception) -> str:
    """One line: the exception, and the learner's line that raised it."""
    text = str(error).strip()
    reason = f"{type(error).__name__}: {textwrap.shorten(text.splitlines()[0], 200)}" if text else type(error).__name__
    frames = [f for f in extract_tb(error.__traceback__) if _is_learners(f.filename)]
    if not frames:
        return f"the check cannot use this answer ({reason})."
    frame = frames[-1]
    line = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    return f"line {frame.lineno}, `{line}`, raised {reason}" + ("" if reason.endswith(".") else ".")


def _is_learners(filename: str) -> bool:
    """Whether code is neither this package, nor an installed one, nor Python's own."""
    return not filename.startswith((*LIBRARIES, "<frozen", "<__array_function__"))
