"""The loss explorer without a browser: its numbers are the losses', and its sliders change the picture."""

import numpy as np
import pytest
import torch

from gazecourse.losses import adaptive_wing, l1, l2, soft_wing, wing
from gazecourse.widgets.loss_explorer import LOSSES, SLIDERS, LossExplorer
from gazecourse.widgets.screen import WIDGET_VIEW

RESIDUALS = torch.tensor([[-0.5, 1.0, -1.5, 1.9], [2.0, -4.0, 9.9, -10.0], [25.0, 3.0, 0.0, 0.2]])


@pytest.fixture
def explorer():
    return LossExplorer(RESIDUALS)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


# ---------------------------------------------------------------------- numbers


def test_values_are_the_losses_and_slopes_their_derivatives(explorer):
    x = torch.tensor([0.5, 1.9, 2.1, 5.0, 9.0, 20.0, 100.0])
    expected = {"L2": l2, "L1": l1, "wing": wing, "soft wing": soft_wing, "adaptive wing": adaptive_wing}
    for name, loss in expected.items():
        value, slope = explorer.curve(name, x)
        torch.testing.assert_close(value, loss(x.double()))
        step = 1e-6
        numeric = (loss(x.double() + step) - loss(x.double() - step)) / (2 * step)
        torch.testing.assert_close(slope, numeric, rtol=1e-4, atol=1e-6)


def test_every_constant_of_every_loss_has_a_slider_and_reaches_the_loss(explorer):
    x = torch.tensor([0.3, 1.0, 4.0, 12.0])
    constants = {
        "wing_omega": 5.0, "wing_epsilon": 1.0, "soft_wing_omega1": 4.0, "soft_wing_omega2": 9.0,
        "soft_wing_epsilon": 1.5, "adaptive_wing_omega": 10.0, "adaptive_wing_theta": 2.0,
        "adaptive_wing_epsilon": 0.7, "adaptive_wing_alpha": 2.5, "adaptive_wing_target": 0.5,
    }  # fmt: skip
    assert set(constants) == set(SLIDERS)
    for name, value in constants.items():
        loss = SLIDERS[name][0]
        before, _ = explorer.curve(loss, x)
        explorer.set(**{name: value})
        assert not torch.allclose(before, explorer.curve(loss, x)[0]), name
    torch.testing.assert_close(explorer.curve("wing", x)[0], wing(x.double(), 5.0, 1.0))
    torch.testing.assert_close(explorer.curve("soft wing", x)[0], soft_wing(x.double(), 4.0, 9.0, 1.5))
    last = adaptive_wing(x.double(), 0.5, 10.0, 2.0, 0.7, 2.5)
    torch.testing.assert_close(explorer.curve("adaptive wing", x)[0], last)


def test_all_settings_of_the_sliders_are_settings_that_the_losses_take():
    for low in (True, False):
        ends = {name: slider[2 if low else 3] for name, slider in SLIDERS.items()}
        explorer = LossExplorer(shown=tuple(LOSSES), **ends)
        explorer.set(adaptive_wing_target=1.0)
        for loss in LOSSES:
            value, slope = explorer.curve(loss, torch.linspace(0.1, 90, 50))
            assert value.isfinite().all()
            assert slope.isfinite().all()


def test_shares_of_the_pull_by_hand(explorer):
    # Below 2 px: 0.5, 1, 1.5, 1.9, 0.2 and 0; from 2 below 10: 2, 4, 9.9, 3; from 10: 10, 25.
    small, middle, large = explorer.shares("L1")
    assert (small, middle, large) == pytest.approx((5 / 11, 4 / 11, 2 / 11)), "at 0 there is no pull"
    total = RESIDUALS.abs().sum().item()
    assert explorer.shares("L2") == pytest.approx((5.1 / total, 18.9 / total, 35 / total))
    soft = [8 * 2.5 / 2.5, 20 / 4.5, 20 / 10.4, 20 / 3.5, 20 / 10.5, 20 / 25.5]
    assert explorer.shares("soft wing") == pytest.approx(
        (5 / (5 + sum(soft)), sum(soft[:4]) / (5 + sum(soft)), sum(soft[4:]) / (5 + sum(soft)))
    )
    assert explorer.shares("wing")[0] > 0.6, "wing attends to small errors, soft wing to middle-sized ones"
    assert explorer.shares("soft wing")[1] > 0.6


def test_without_residuals_there_are_curves_and_no_shares():
    explorer = LossExplorer()
    assert explorer.shares("wing") is None
    fig, alt = explorer.figure()
    assert len(fig.axes) == 2
    assert "histogram" not in alt


def test_only_exact_predictions_leave_no_pull():
    assert LossExplorer(torch.zeros(5)).shares("wing") == (0.0, 0.0, 0.0)


# ---------------------------------------------------------------------- picture


def test_picture_shows_value_and_slope_of_the_chosen_losses_over_the_histogram(explorer):
    explorer.set(shown=["soft wing", "L1"], reach=20)
    fig, alt = explorer.figure()
    value, slope, shares = fig.axes
    for ax, column in ((value, 0), (slope, 1)):
        drawn = lines(ax)
        assert set(drawn) == {"L1", "soft wing"}
        x, y = drawn["soft wing"].get_data()
        assert x.max() == 20
        np.testing.assert_allclose(y, explorer.curve("soft wing", torch.as_tensor(x))[column], rtol=1e-6)
        assert ax.get_xlabel() == "|residual| (px)"
        bars = [patch.get_height() for patch in ax.patches]
        assert sum(height > 0 for height in bars) == 10, "bins with residuals: 11 of them are up to 20 px"
        assert max(bars) < ax.get_ylim()[1]
    assert [tick.get_text() for tick in shares.get_yticklabels()] == ["of all errors", "L1", "soft wing"]
    assert "soft wing (ω₁ = 2, ω₂ = 20, ε = 0.5) at 1, 5 and 20 pixels: 1.0 with slope 1.00, 17.8 with slope" in alt
    assert "12 residuals" in alt


def test_bars_are_parted_as_the_shares_say(explorer):
    explorer.set(shown=["wing"])
    bars = explorer.figure()[0].axes[2].patches
    widths = [bar.get_width() for bar in bars]
    assert widths == pytest.approx([6 / 12, 4 / 12, 2 / 12, *explorer.shares("wing")])


def test_l2_does_not_hide_the_others_but_is_seen_alone(explorer):
    explorer.set(shown=["L2", "L1"], reach=30)
    assert explorer.figure()[0].axes[0].get_ylim()[1] < 40
    explorer.set(shown=["L2"])
    assert explorer.figure()[0].axes[0].get_ylim()[1] > 450


# ---------------------------------------------------------------------- in the notebook


def test_controls_and_a_described_picture_are_shown(explorer, notebook, controls):
    explorer.show()
    view, picture, spoken = notebook.shown
    assert WIDGET_VIEW in view
    assert "slider for each of their constants" in view["text/plain"]
    assert "image/png" in picture
    assert "12 residuals" in picture["text/plain"]
    assert "Figure:" in spoken["text/html"]
    assert len(controls) == 2 + len(SLIDERS)
    assert controls["soft wing ω₂"].value == 20.0
    assert controls["losses"].value == ("L2", "L1", "wing", "soft wing")


@pytest.mark.parametrize(
    ("control", "value", "name", "said"),
    [
        ("wing ω", 5.0, "wing_omega", "wing (ω = 5, ε = 2)"),
        ("soft wing ω₁", 6.0, "soft_wing_omega1", "ω₁ = 6"),
        ("adaptive wing θ", 2.0, "adaptive_wing_theta", "θ = 2"),
        ("reach (px)", 12.0, "reach", "residuals up to 12 pixels"),
        ("losses", ("wing", "adaptive wing"), "shown", "of 2 losses"),
    ],
)
def test_each_control_redraws_the_picture_with_a_new_description(
    explorer, notebook, controls, control, value, name, said
):
    explorer.set(shown=tuple(LOSSES))
    explorer.show()
    controls[control].value = value
    assert explorer.values[name] == value
    (picture, metadata), (spoken, _) = notebook.updates[-2:]
    assert said in picture["text/plain"]
    assert said not in notebook.shown[1]["text/plain"]
    assert metadata["image/png"]["alt"] == picture["text/plain"]
    assert said in spoken["text/html"]


def test_with_no_loss_chosen_the_picture_stays(explorer, notebook, controls):
    explorer.show()
    controls["losses"].value = ()
    assert notebook.updates == []
    assert explorer.values["shown"] == ("L2", "L1", "wing", "soft wing")


def test_set_moves_the_controls_and_draws_once(explorer, notebook, controls):
    explorer.show()
    explorer.set(wing_omega=4.0, soft_wing_epsilon=1.0, shown=["wing"], reach=50)
    assert controls["wing ω"].value == 4.0
    assert controls["losses"].value == ("wing",)
    assert len(notebook.updates) == 2, "the picture and what is read out"


def test_numbers_of_a_browser_are_rounded_to_the_steps(explorer, notebook, controls):
    explorer.show()
    controls["adaptive wing y"].value = 0.1 + 0.2
    assert explorer.values["adaptive_wing_target"] == 0.3


def test_arrays_and_many_residuals_are_taken():
    explorer = LossExplorer(np.random.default_rng(0).normal(0, 3, (2000, 68, 2)))
    assert 50_000 < len(explorer.residuals) <= 100_000
    assert explorer.shares("L1")[0] == pytest.approx(0.495, abs=0.01), "within 2/3 of a standard deviation"


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"wing_omega": 0.5}, ValueError, r"wing_omega must lie in \[1, 30\]; got 0.5"),
        ({"wing_omega": "10"}, TypeError, "wing_omega must be a number from 1 to 30; got str"),
        ({"wing_omega": True}, TypeError, "wing_omega must be a number"),
        ({"soft_wing_epsilon": float("nan")}, ValueError, "soft_wing_epsilon must lie in"),
        ({"adaptive_wing_alpha": 2.0}, ValueError, r"adaptive_wing_alpha must lie in \[2.05, 4\]"),
        ({"reach": 200}, ValueError, r"reach must lie in \[5, 100\]"),
        ({"shown": "wing"}, TypeError, "shown must be a list of names of losses"),
        ({"shown": ()}, TypeError, "shown must be a list of names of losses, one or more"),
        ({"shown": ["wang"]}, ValueError, "shown must be one of 'L2', 'L1', 'smooth L1', 'wing'"),
        ({"omega": 10.0}, ValueError, "slider must be one of 'shown', 'reach', 'wing_omega'"),
    ],
)
def test_bad_values_are_named_at_the_start_and_later(explorer, options, error, message):
    if "shown" not in options or not isinstance(options["shown"], str):
        with pytest.raises(error, match=message):
            LossExplorer(RESIDUALS, **options)
    before = dict(explorer.values)
    with pytest.raises(error, match=message):
        explorer.set(**{"soft_wing_omega2": 5.0, **options})
    assert explorer.values == before, "nothing moves if one value is wrong"


@pytest.mark.parametrize(
    ("residuals", "error", "message"),
    [
        ([1.0], TypeError, "residuals must be a tensor or array; got list"),
        (torch.tensor([1, 2]), TypeError, "residuals must be floating point"),
        (torch.tensor([1.0, float("nan")]), ValueError, "residuals must be finite"),
        (torch.zeros(0), ValueError, "residuals must hold at least one number"),
    ],
)
def test_bad_residuals_are_named(residuals, error, message):
    with pytest.raises(error, match=message):
        LossExplorer(residuals)
