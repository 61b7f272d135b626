"""What a learner reads from a check, and which function the notebook goes on with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gazecourse.exercises import Checks, Exercise, Wrong, compare, examine, same_gradient, same_output

HINTS = ("look at the sign", "look at the factor", "it is 2 * x")


def double(x):
    return 2 * x


@pytest.fixture
def check():
    checks = Checks()

    @checks.exercise(reference=double, difficulty=2, minutes=10, hints=HINTS)
    def twice(candidate):
        """Doubling works for any shape."""
        same_output(candidate, double, torch.tensor([[1.0, -2.0, 4.0]]))

    return checks


def _not_started(x):
    raise NotImplementedError


def _triple(x):
    return 3 * x


# --- which function the notebook goes on with, and what is said ----------------------------------


def test_right_answer_is_used_from_then_on(check, capsys):
    def mine(x):
        return x + x

    assert check.twice(mine) is mine
    said = capsys.readouterr().out
    assert said == "✓ twice: doubling works for any shape. The notebook uses your version from here on.\n"


def test_unsolved_stub_gives_the_first_hint_and_the_library_version(check, capsys):
    assert check.twice(_not_started) is double
    assert check.twice(_not_started) is double
    said = capsys.readouterr().out
    assert said.count("○ twice: not started. Hint 1 of 3: look at the sign\n") == 2


def test_wrong_answer_names_the_first_wrong_value_and_gives_the_library_version(check, capsys):
    assert check.twice(_triple) is double
    said = capsys.readouterr().out
    assert "✗ twice: output[0, 0] is 3; it should be 2. 3 of 3 values differ." in said
    assert "Hint 1" not in said
    assert 'check.hint("twice")' in said


def test_each_further_failure_brings_one_more_hint(check, capsys):
    heard = []
    for _ in range(5):
        check.twice(_triple)
        said = capsys.readouterr().out
        heard.append([hint for hint in HINTS if hint in said])
    assert heard == [[], [HINTS[0]], [HINTS[1]], [HINTS[2]], [HINTS[2]]]


def test_hint_of_an_unsolved_stub_is_not_repeated_by_the_next_hint(check, capsys):
    check.twice(_not_started)
    capsys.readouterr()
    check.hint("twice")
    assert capsys.readouterr().out == "Hint 2 of 3: look at the factor\n"


def test_after_the_last_hint_all_are_shown_and_the_solution_is_offered(check, capsys):
    for _ in HINTS:
        check.hint("twice")
    capsys.readouterr()
    check.hint("twice")
    said = capsys.readouterr().out
    assert all(hint in said for hint in HINTS)
    assert 'check.solution("twice")' in said


def test_solution_shows_the_source_of_the_library_version(check, capsys):
    check.solution("twice")
    assert capsys.readouterr().out == "def double(x):\n    return 2 * x\n"


def test_checking_the_library_version_again_is_not_taken_for_success(check, capsys):
    name = check.twice(_triple)
    capsys.readouterr()
    assert check.twice(name) is double
    said = capsys.readouterr().out
    assert "✓" not in said
    assert "Run your exercise cell again" in said


def test_right_answer_after_a_failure_is_used(check, capsys):
    check.twice(_triple)
    mine = lambda x: x * 2  # noqa: E731
    assert check.twice(mine) is mine
    assert "✓ twice" in capsys.readouterr().out


# --- errors in the learner's code ---------------------------------------------------------------


def test_exception_is_one_line_with_the_learners_line(check, capsys):
    def mine(x):
        y = x.reshape(2, 2)
        return y

    assert check.twice(mine) is double
    first = capsys.readouterr().out.split("\n  ")[0]
    assert first.startswith("✗ twice: line ")
    assert "`y = x.reshape(2, 2)`, raised RuntimeError: shape" in first
    assert "Traceback" not in first


def test_line_is_the_learners_even_if_the_library_raised(check, capsys):
    from gazecourse.angles import pitchyaw_to_vector

    def mine(x):
        return pitchyaw_to_vector(x)

    check.twice(mine)
    said = " ".join(capsys.readouterr().out.split())
    assert "`return pitchyaw_to_vector(x)`, raised ValueError: pitchyaw must have shape" in said


def test_wrong_signature_is_said_in_one_line(check, capsys):
    check.twice(lambda: 1)
    assert "takes 0 positional arguments but 1 was given" in " ".join(capsys.readouterr().out.split())


def test_not_implemented_error_with_a_reason_is_an_error_and_not_a_stub(check):
    def mine(x):
        raise NotImplementedError("no such operator")

    verdict = check.exercises["twice"].judge(mine)
    assert verdict.state == "wrong"
    assert "no such operator" in verdict.message


def test_answer_that_is_no_function_is_refused(check, capsys):
    assert check.twice(4.0) is double
    assert "should be a function or class; it is float" in capsys.readouterr().out


def test_interrupt_by_the_learner_gets_through(check):
    def mine(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.twice(mine)


def test_check_leaves_global_random_numbers_as_they_were():
    checks = Checks()
    drawn = []

    @checks.exercise(reference=double, difficulty=1, minutes=1, hints=HINTS)
    def noisy(candidate):
        """Seeded."""
        drawn.append(torch.rand(1).item())

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    checks.noisy(_triple)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    checks.noisy(_triple)
    assert drawn[0] == drawn[1]


# --- registration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficulty": 4}, "difficulty of twice must be 1, 2 or 3; got 4"),
        ({"minutes": 0}, "minutes of twice must be a positive whole number; got 0"),
        ({"hints": ("a", "b")}, "hints of twice must be three sentences or more"),
        ({"hints": "one long hint"}, "hints of twice must be three sentences or more"),
        ({"examine": lambda candidate: None}, "the check of twice needs a docstring"),
    ],
)
def test_registration_refuses(change, message):
    def examine(candidate):
        """Right."""

    good = {"name": "twice", "examine": examine, "reference": double, "difficulty": 1, "minutes": 5, "hints": HINTS}
    Exercise(**good)
    with pytest.raises(ValueError, match=message):
        Exercise(**{**good, **change})


@pytest.mark.parametrize("name", ["twice", "hint"])
def test_name_cannot_be_registered_twice_nor_hide_a_method(check, name):
    def examine(candidate):
        """Right."""

    examine.__name__ = name
    with pytest.raises(ValueError, match=f"cannot be called {name}"):
        check.exercise(reference=double, difficulty=1, minutes=1, hints=HINTS)(examine)


def test_unknown_exercise_lists_the_known_ones(check):
    with pytest.raises(AttributeError, match="there is no exercise 'thrice' here; the exercises are twice"):
        check.thrice(double)
    with pytest.raises(ValueError, match="the exercises are twice"):
        check.hint("thrice")


def test_names_can_be_completed_by_tab(check):
    assert dir(check) == ["hint", "solution", "twice"]


def test_badge_shows_difficulty_and_minutes(check):
    assert check.exercises["twice"].badge == "●●○ · 10 min"


# --- compare ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "want", "message"),
    [
        (None, torch.ones(2), "output is None: is the `return` missing?"),
        (torch.ones(3), torch.ones(2), "output has shape [3]; it should be [2]."),
        (torch.ones(2).long(), torch.ones(2), "output has dtype int64; it should be a floating-point number."),
        (torch.ones(2), torch.ones(2).bool(), "output has dtype float32; it should be bool."),
        ([1.0, 1.0], torch.ones(2), "output is a list; it should be a torch tensor of shape [2]."),
        (torch.tensor([1.0, math.nan]), torch.ones(2), "output[1] is nan; it should be 1. 1 of 2 values differ."),
        (1.5, 1.0, "output is 1.5; it should be 1."),
        (torch.tensor(0.25), 0.5, "output is 0.25; it should be 0.5."),
        (1.00012, 1.0, "output is 1.0001; it should be 1."),
        ((1.0, 2.0), (1.0, 2.0, 3.0), "output has 2 parts; it should have 3."),
        ((1.0, 2.5), (1.0, 2.0), "output[1] is 2.5; it should be 2."),
        (1.0, (1.0, 2.0), "output is a float; it should have 2 parts."),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, "output has no 'b'."),
        ({"a": 3.0}, {"a": 1.0}, "output['a'] is 3; it should be 1."),
        ("text", 1.0, "output is a str; it should be a float."),
    ],
)
def test_compare_names_the_first_difference(got, want, message):
    with pytest.raises(Wrong) as wrong:
        compare("output", got, want)
    assert str(wrong.value).startswith(message)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.ones(2), torch.ones(2)),
        (torch.ones(2), np.ones(2)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        (1000.001, 1000.0),
        (math.nan, math.nan),
        (math.inf, math.inf),
        ([1.0, (2.0, 3.0)], (1.0, [2.0, 3.0])),
        (torch.empty(0, 3), torch.empty(0, 3)),
        (True, True),
    ],
)
def test_compare_accepts(got, want):
    compare("output", got, want)


RADIANS = torch.tensor([[0.3, -0.5], [0.2, 0.7]])


@pytest.mark.parametrize(
    ("got", "want", "guess"),
    [
        (-RADIANS, RADIANS, "Only the sign is wrong."),
        (torch.rad2deg(RADIANS), RADIANS, "degrees; radians are wanted"),
        (torch.deg2rad(RADIANS), RADIANS, "radians; degrees are wanted"),
        (RADIANS.T, RADIANS, "transpose"),
        (RADIANS.flip(-1), RADIANS, "The two columns are swapped."),
        (RADIANS * torch.tensor([1.0, -1.0]), RADIANS, "Only the sign of component 1 is wrong."),
    ],
)
def test_compare_recognizes_the_usual_slips(got, want, guess):
    with pytest.raises(Wrong, match=guess):
        compare("output", got, want)


def test_compare_guesses_nothing_where_no_slip_explains_it():
    with pytest.raises(Wrong) as wrong:
        compare("output", RADIANS + 0.1, RADIANS)
    assert str(wrong.value) == "output[0, 0] is 0.4; it should be 0.3. 4 of 4 values differ."


# --- same_output and same_gradient ---------------------------------------------------------------


def test_same_output_refuses_an_array_for_a_tensor():
    with pytest.raises(Wrong, match="output is a numpy array; it should be a torch tensor"):
        same_output(lambda x: (2 * x).numpy(), double, torch.ones(2))


def test_same_output_refuses_a_number_for_a_tensor():
    with pytest.raises(Wrong, match="output is a float; it should be a torch tensor"):
        same_output(lambda x: float(x.sum()), lambda x: x.sum(), torch.ones(2))


def test_same_output_finds_a_missing_return():
    with pytest.raises(Wrong, match="output is None: is the `return` missing"):
        same_output(lambda x: None, double, torch.ones(2))


def test_same_output_refuses_another_dtype():
    with pytest.raises(Wrong, match="output has dtype float64; it should be float32"):
        same_output(lambda x: 2 * x.double(), double, torch.ones(2))


def test_same_output_takes_arrays():
    same_output(lambda x: x + x, double, np.ones(2))


def test_same_output_finds_a_change_in_place():
    with pytest.raises(Wrong, match="changes its argument `x` in place"):
        same_output(lambda x: x.mul_(2), double, torch.ones(2))


def test_examine_names_the_slip_that_gives_a_result():
    slips = [(torch.tensor([3.0, 3.0]), "three times."), (torch.tensor(4.0), "the sum.")]
    given = {"inputs": (torch.ones(2),), "slips": slips, "name": "output", "setting": "for ones"}
    examine(lambda x: x + x, double, **given)
    for candidate, message in (
        (lambda x: 3 * x, "for ones: three times."),
        (lambda x: (2 * x).sum(), "for ones: the sum."),
        (lambda x: 5 * x, "for ones: output[0] is 5; it should be 2. All 2 values differ."),
        (lambda x: None, "for ones: output is None: is the `return` missing?"),
        (lambda x: x.mul_(2), "for ones: your code changes its argument `x` in place"),
    ):
        with pytest.raises(Wrong) as wrong:
            examine(candidate, double, **given)
        assert str(wrong.value).startswith(message.split(" All")[0])


def test_a_right_result_is_no_slip_even_where_a_slip_gives_the_same():
    slips = [(torch.zeros(2), "a slip.")]
    examine(lambda x: x + x, double, (torch.zeros(2),), slips, name="output", setting="for zeros")


def _product(a, b):
    return a * b


def test_same_gradient_accepts_another_formula():
    same_gradient(lambda a, b: b * a, _product, torch.randn(3), torch.randn(3))


def test_same_gradient_names_the_argument_whose_gradient_is_wrong():
    with pytest.raises(Wrong, match=r"the gradient with respect to `b`\[0\] is .* Only the sign is wrong"):
        same_gradient(lambda a, b: a * b.detach() - (a.detach() * (b - b.detach())), _product, *torch.randn(2, 3))


def test_same_gradient_finds_a_detached_input():
    with pytest.raises(Wrong, match="no gradient reaches `b`"):
        same_gradient(lambda a, b: a * b.detach(), _product, torch.randn(3), torch.randn(3))


def test_same_gradient_finds_nan():
    with pytest.raises(Wrong, match="is nan; it should be"):
        same_gradient(lambda x: x * torch.sqrt(x - x).sum() + 2 * x, double, torch.ones(3))


def test_same_gradient_sees_errors_that_cancel_in_a_sum():
    with pytest.raises(Wrong, match="gradient"):
        same_gradient(lambda x: 2 * x.flip(0), double, torch.ones(2))


def test_same_gradient_skips_inputs_that_have_none():
    same_gradient(lambda x, i: x[i] * 2, lambda x, i: x[i] * 2, torch.randn(3), torch.tensor([0, 2]))
