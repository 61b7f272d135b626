"""The purification explorer without a browser: its numbers are the losses', and its sliders change the picture."""

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from gazecourse.crops import Band
from gazecourse.losses import adversarial_loss, eye_attention, likeness
from gazecourse.purification import Purification, attention_for
from gazecourse.sample import Sample
from gazecourse.widgets.purification_explorer import ATTENTIONS, PurificationExplorer, measure
from gazecourse.widgets.screen import WIDGET_VIEW

CENTERS = torch.tensor([[8.5, 5.0], [19.5, 5.5]])


def pair(height=12, width=28):
    """Dark and light stripes with some noise, and a blurred copy."""
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    image = 0.15 * noise + 0.8 * (torch.arange(width) // 4 % 2)
    return image, avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)


@pytest.fixture
def explorer():
    return PurificationExplorer(*pair(), CENTERS)


def maps(fig) -> dict[str, np.ndarray]:
    return {image.get_label(): np.asarray(image.get_array()) for image in fig.axes[0].images}


def words(fig) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


def expected_loss(explorer, k):
    """By the course's own loss, with its gradient."""
    drawing = explorer.drawing[None].clone().requires_grad_()
    attention = None if explorer.values["attention"] == "none" else explorer.attention_map()
    loss = adversarial_loss(drawing, explorer.image[None], attention, k)
    loss.backward()
    return loss.item(), drawing.grad[0]


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("k", [0.0, 0.5, 0.75, 0.98])
def test_numbers_and_maps_are_those_of_the_losses(explorer, attention, k, negative):
    explorer.set(attention=attention, k=k, negative=negative)
    now = explorer.measured()
    loss, gradient = expected_loss(explorer, k)
    assert now.loss == pytest.approx(loss, rel=1e-5)
    assert now.gradient == pytest.approx(gradient.norm().item(), rel=1e-5)
    t = likeness(explorer.drawing[None], explorer.image[None])[0]
    assert now.share == pytest.approx((t >= k).double().mean().item(), rel=1e-6)
    assert now.counted.mean().item() == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(now.counted, explorer.attention_map() * (t * (t >= k)).mean(0))


def test_figure_shows_the_pair_the_maps_and_the_numbers(explorer):
    explorer.set(k=0.3, negative=True)
    fig, alt = explorer.figure()
    now, shown, said = explorer.measured(), maps(fig), words(fig)
    np.testing.assert_allclose(shown["image I"], explorer.image.permute(1, 2, 0))
    np.testing.assert_allclose(shown["drawing Î"], 1 - explorer.image.permute(1, 2, 0))
    np.testing.assert_allclose(shown["likeness t"], now.likeness.mean(0))
    np.testing.assert_array_equal(shown["kept"], (now.likeness >= 0.3).sum(0))
    np.testing.assert_allclose(shown["attention M"], eye_attention(CENTERS, (12, 28), 2.8), rtol=1e-6)
    np.testing.assert_allclose(shown["M ⊙ t · 1[t ≥ k]"], now.counted)
    loss, gradient = expected_loss(explorer, 0.3)
    uncut, _ = expected_loss(explorer, 0.0)
    for text in (f"{loss:.4f}", f"{uncut:.4f}", f"{100 * now.share:.1f} %", f"{gradient.norm():.2e}"[:4] + " × 10"):
        assert any(text in line for line in said), text
        assert text in alt
    assert {"28 × 12 pixels", "negative, 1 − I", "t ≥ 0.30", "σ = 2.8 pixels"} <= set(said)
    assert fig.axes[0].images[0].get_extent()[1] < fig.axes[0].images[1].get_extent()[0], "one beside the other"


def test_bars_are_shares_of_what_a_perfect_copy_costs(explorer):
    explorer.set(negative=True, attention="none")
    blue = (0.0, 114 / 255, 178 / 255, 1.0)
    fig, _ = explorer.figure()
    bars = [bar.get_width() for bar in fig.axes[0].patches if np.allclose(bar.get_facecolor(), blue)]
    now = explorer.measured()
    assert np.array(bars[:2]) / 1.42 == pytest.approx([now.loss, now.share], rel=1e-5)


def test_negative_is_cheaper_than_a_good_reconstruction_unless_truncated(explorer):
    explorer.set(k=0.0, attention="none")
    plain = explorer.measured()
    explorer.set(negative=True)
    negative = explorer.measured()
    assert negative.loss < 0.8 * plain.loss
    assert negative.gradient > plain.gradient > 0
    explorer.set(k=0.75)
    assert explorer.measured().gradient < 0.5 * negative.gradient
    assert explorer.measured().share < 0.5


def test_gradient_vanishes_where_the_loss_is_truncated():
    image, _ = pair()
    image = (image > 0.5).float()
    now = measure(1 - image, image, torch.ones(12, 28), 0.75)
    assert (now.loss, now.share, now.gradient) == (0.0, 0.0, 0.0)
    explorer = PurificationExplorer(image, 1 - image, CENTERS)
    assert "length of the gradient: 0" in words(explorer.figure()[0])


@pytest.mark.parametrize("width", [28, 224])
@pytest.mark.parametrize(("form", "sigma"), [("gaussian", 0.1), ("exponential", 0.02)])
def test_attention_is_that_of_training(form, sigma, width):
    size = (width * 3 // 7, width)
    centers = CENTERS * width / 28
    landmarks = torch.cat([centers.repeat_interleave(2, 0), torch.zeros(2, 2)])[None]
    batch = Sample(image=torch.zeros(1, 3, *size), gaze=torch.zeros(1, 2), landmarks=landmarks)
    wanted = attention_for(batch, Band(size), size, Purification(sigma=sigma, form=form))
    explorer = PurificationExplorer(*pair(*size), centers, attention=form, sigma=sigma)
    torch.testing.assert_close(explorer.attention_map(), wanted[0])
    length = {"gaussian": f"σ = {0.1 * width:.1f}", "exponential": f"2σ² = {2 * 0.02**2 * 224 * width:.1f}"}[form]
    assert f"{length} pixels" in words(explorer.figure()[0])


@pytest.mark.parametrize("size", [(12, 28), (224, 224), (96, 224), (60, 20), (3, 90)])
def test_pictures_keep_their_proportions_and_stay_on_the_page(size):
    height, width = size
    explorer = PurificationExplorer(*pair(height, width), CENTERS.clamp(max=min(size)))
    fig, _ = explorer.figure()
    for image in fig.axes[0].images:
        left, right, bottom, top = image.get_extent()
        assert left >= 0
        assert right <= fig.get_figwidth()
        assert bottom >= 0
        assert top <= fig.get_figheight() - 0.4
        if image.get_label() != "scale":
            assert (top - bottom) / (right - left) == pytest.approx(height / width)


# ---------------------------------------------------------------------- in the notebook


def test_controls_and_a_described_picture_are_shown(explorer, notebook, controls):
    explorer.show()
    view, picture, spoken = notebook.shown
    assert WIDGET_VIEW in view
    assert "Sliders" in view["text/plain"]
    assert "image/jpeg" in picture
    assert "28 × 12 pixels" in picture["text/plain"]
    assert "Figure:" in spoken["text/html"]
    started = {name: control.value for name, control in controls.items()}
    assert started == {
        "k (truncation)": 0.75, "sigma (widths)": 0.1, "attention": "gaussian", "negative (1 − I)": False,
    }  # fmt: skip
    assert (controls["k (truncation)"].min, controls["k (truncation)"].max) == (0.0, 0.99)
    assert (controls["sigma (widths)"].min, controls["sigma (widths)"].max) == (0.02, 0.5)


@pytest.mark.parametrize(
    ("control", "value", "name", "said"),
    [
        ("k (truncation)", 0.96, "k", "k = 0.96"),
        ("sigma (widths)", 0.2, "sigma", "σ = 5.6 pixels"),
        ("attention", "exponential", "attention", "exponential attention around the eyes"),
        ("attention", "none", "attention", "every pixel counts alike"),
        ("negative (1 − I)", True, "negative", "its negative 1 − I"),
    ],
)
def test_each_control_redraws_the_picture_with_a_new_description(
    explorer, notebook, controls, control, value, name, said
):
    explorer.show()
    explorer.set(k=0.95)
    (before, _), _ = notebook.updates
    controls[control].value = value
    assert explorer.values[name] == value
    (picture, metadata), (spoken, _) = notebook.updates[-2:]
    assert picture["image/png"] != before["image/png"]
    assert said in picture["text/plain"]
    assert said not in before["text/plain"]
    assert metadata["image/png"]["alt"] == picture["text/plain"]
    assert said in spoken["text/html"]


def test_sigma_can_be_moved_only_where_it_counts(explorer, notebook, controls):
    explorer.set(attention="none")
    explorer.show()
    assert controls["sigma (widths)"].disabled
    controls["attention"].value = "gaussian"
    assert not controls["sigma (widths)"].disabled


def test_set_moves_the_controls_and_draws_once(explorer, notebook, controls):
    explorer.show()
    explorer.set(k=0.3, sigma=0.25, attention="exponential", negative=True)
    assert [control.value for control in controls.values()] == [0.3, 0.25, "exponential", True]
    assert len(notebook.updates) == 2, "the picture and what is read out"


def test_numbers_of_a_browser_are_rounded_to_the_steps(explorer, notebook, controls):
    explorer.show()
    controls["k (truncation)"].value = 0.1 + 0.2
    assert explorer.values["k"] == 0.3
    assert len(notebook.updates) == 2


def test_arrays_and_tensors_with_gradients_are_taken():
    image, reconstruction = pair()
    explorer = PurificationExplorer(image.double().numpy(), reconstruction.requires_grad_(), CENTERS.double().numpy())
    loss, _ = expected_loss(explorer, 0.75)
    assert explorer.measured().loss == pytest.approx(loss)
    assert reconstruction.grad is None


# ---------------------------------------------------------------------- bad input

IMAGE, DRAWING = pair()


@pytest.mark.parametrize(
    ("image", "reconstruction", "centers", "error", "message"),
    [
        (IMAGE[None], DRAWING, CENTERS, ValueError, r"image must have shape \[3, H, W\]; .* one picture"),
        (IMAGE.mul(255).byte(), DRAWING, CENTERS, TypeError, "image must be floating point; .* in \\[0, 1\\]"),
        (IMAGE * 255, DRAWING, CENTERS, ValueError, r"image must lie in \[0, 1\]"),
        (None, DRAWING, CENTERS, TypeError, "image must be a tensor or array; got NoneType"),
        (IMAGE, DRAWING[..., :20], CENTERS, ValueError, r"reconstruction must have shape \[3, 12, 28\]"),
        (IMAGE, DRAWING - 0.5, CENTERS, ValueError, r"reconstruction must lie in \[0, 1\]"),
        (IMAGE, DRAWING * torch.nan, CENTERS, ValueError, "reconstruction must be finite"),
        (IMAGE, DRAWING, CENTERS[None], ValueError, r"centers must have shape \[2, 2\]; .* both eyes"),
        (IMAGE, DRAWING, CENTERS * 2, ValueError, r"centers must lie in the image, x in \[0, 28\]"),
        (IMAGE, DRAWING, CENTERS.tolist(), TypeError, "centers must be a tensor or array; got list"),
    ],
)  # fmt: skip
def test_bad_pictures_and_centers_are_named(image, reconstruction, centers, error, message):
    with pytest.raises(error, match=message):
        PurificationExplorer(image, reconstruction, centers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 1.0}, ValueError, r"k must lie in \[0, 0.99\]; got 1.0"),
        ({"k": float("nan")}, ValueError, r"k must lie in \[0, 0.99\]; got nan"),
        ({"k": "0.75"}, TypeError, "k must be a number from 0 to 0.99; got str"),
        ({"k": True}, TypeError, "k must be a number"),
        ({"sigma": 20}, ValueError, r"sigma must lie in \[0.02, 0.5\]; got 20"),
        ({"sigma": None}, TypeError, "sigma must be a number from 0.02 to 0.5; got NoneType"),
        ({"attention": "box"}, ValueError, "attention must be one of 'none', 'gaussian', 'exponential'; got 'box'"),
        ({"attention": None}, ValueError, "attention must be one of 'none'"),
        ({"negative": 1}, TypeError, "negative must be True or False; got int 1"),
    ],
)
def test_bad_values_of_sliders_are_named_at_the_start_and_later(explorer, options, error, message):
    with pytest.raises(error, match=message):
        PurificationExplorer(IMAGE, DRAWING, CENTERS, **options)
    before = dict(explorer.values)
    with pytest.raises(error, match=message):
        explorer.set(negative=True, **options) if "negative" not in options else explorer.set(**options)
    assert explorer.values == before, "nothing moves if one value is wrong"


def test_unknown_slider_is_named(explorer):
    with pytest.raises(ValueError, match="slider must be one of 'k', 'sigma', 'attention', 'negative'; got 'form'"):
        explorer.set(form="gaussian")
