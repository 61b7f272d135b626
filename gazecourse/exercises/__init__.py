'''The exercises: what is asked, how an answer is checked, and the hints on the way.

One module a notebook (``start`` for 00, ``geometry`` for 01, ...). It makes its own ``check`` and
registers each exercise by decorating the function that examines an answer::

    # gazecourse/exercises/geometry.py
    from gazecourse.angles import pitchyaw_to_vector
    from gazecourse.exercises import Checks, Wrong, compare, same_output

    check = Checks()

    @check.exercise(
        reference=pitchyaw_to_vector,      # the library's version; the notebook goes on with it
        difficulty=1,                      # 1 ●○○, 2 ●●○, 3 ●●●
        minutes=5,
        hints=("...", "...", "..."),       # three or more, from a nudge to nearly the answer
    )
    def vector_from_angles(candidate):     # the function's name is the exercise's name
        """Every sign is right."""         # first line: what a passing answer has shown
        compare("the frontal direction", candidate(torch.zeros(2)), torch.tensor([0.0, 0.0, -1.0]))
        same_output(candidate, pitchyaw_to_vector, torch.randn(8, 2))
        if ...:
            raise Wrong("pitch = π/2 should give (0, -1, 0), whatever the yaw.")

The notebook's source (``notebooks/source/01_gaze_geometry.py``) uses it so::

    from gazecourse.exercises.geometry import check

    # %% [markdown]
    # **Your turn** (●○○ · 5 min). Write ...       <- difficulty and minutes as registered

    # %% exercise: vector_from_angles
    def vector_from_angles(pitchyaw: Tensor) -> Tensor:
        """What it does, with shapes."""
        # --- stub
        raise NotImplementedError
        # --- solution
        ...

    # %%
    vector_from_angles = check.vector_from_angles(vector_from_angles)

The check returns the learner's function if it passes and the reference if it does not, so that a
notebook never stops at an exercise. A bare ``raise NotImplementedError`` means "not started".
A check raises ``Wrong`` for a wrong answer, directly or through the helpers of ``compare``; any
other exception is reported in one line with the learner's line that raised it. Global random
numbers are seeded before a check and restored after it, so an answer never changes what follows.

An exercise cell may use what the notebook imports or defines above it (functions, classes, names in
CAPITALS) and earlier exercises, nothing else. ``tests/wrong_answers/<module>.py`` holds at least
four plausible wrong answers to each exercise, ``WRONG = {"name": [function, ...]}``, and
``tests/right_answers/<module>.py`` at least three right ones written in other ways, ``RIGHT``;
``tests/test_exercises.py`` proves that every check accepts the latter and rejects the former.
'''

from gazecourse.exercises.compare import Slips, Wrong, compare, examine, same_gradient, same_output
from gazecourse.exercises.registry import Checks, Exercise, Verdict

__all__ = ["Checks", "Exercise", "Slips", "Verdict", "Wrong", "compare", "examine", "same_gradient", "same_output"]
