"""Figures reach the notebook as small, described pictures, and the gaze arrow points the right way."""

from __future__ import annotations

import base64
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from gazecourse import diagrams, plotting, profiles

ALT = "A line that rises from one to three."


@pytest.fixture
def figure():
    plotting.use_style()
    fig, ax = plt.subplots()
    ax.plot([1, 2, 3])
    yield fig
    plt.close(fig)


@pytest.fixture
def displayed(monkeypatch):
    """What reaches the notebook: a list of (data, metadata)."""
    calls = []
    monkeypatch.setattr(plotting, "display", lambda data, metadata=None, **_: calls.append((data, metadata)))
    return calls


def _picture(data: dict) -> Image.Image:
    (encoded,) = [value for kind, value in data.items() if kind.startswith("image/")]
    return Image.open(BytesIO(base64.b64decode(encoded)))


def test_show_gives_picture_description_and_spoken_text(figure, displayed):
    plotting.show(figure, ALT)
    (data, metadata), (spoken, _) = displayed
    assert set(data) == {"image/png", "text/plain"}
    assert data["text/plain"] == metadata["image/png"]["alt"] == ALT
    assert f"Figure: {ALT}" in spoken["text/html"]


def test_show_closes_the_figure_so_that_it_appears_once(figure, displayed):
    plotting.show(figure, ALT)
    assert not plt.fignum_exists(figure.number)


def test_picture_has_twice_the_pixels_of_its_width_on_the_page(figure):
    data, metadata = plotting.bundle(figure, ALT)
    assert _picture(data).width // 2 == metadata["image/png"]["width"]
    assert 600 < metadata["image/png"]["width"] < 750


def test_png_has_a_palette_and_is_small(figure):
    png = plotting.figure_png(figure)
    assert Image.open(BytesIO(png)).mode == "P"
    assert len(png) < 50_000


def test_same_figure_gives_the_same_bytes(figure):
    assert plotting.figure_png(figure) == plotting.figure_png(figure)


def test_photo_is_a_jpeg(figure):
    data, _ = plotting.bundle(figure, ALT, photo=True)
    assert _picture(data).format == "JPEG"


def test_spoken_text_is_escaped():
    assert "<b>" not in plotting.spoken("a <b> & c")["text/html"]


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_figure_without_description_is_refused(figure, alt):
    with pytest.raises(ValueError, match="alt must describe the figure"):
        plotting.show(figure, alt)


def test_what_is_no_figure_is_refused():
    with pytest.raises(TypeError, match="fig must be a matplotlib Figure; got str"):
        plotting.figure_png("figure")


def test_curves_differ_by_color_line_and_marker():
    styles = [plotting.curve_style(i) for i in range(7)]
    for key in ("color", "linestyle", "marker"):
        assert len({style[key] for style in styles}) == 7
    assert plotting.curve_style(7) == styles[0]


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_no_line_color_is_too_faint_on_white():
    assert all(1.05 / (_luminance(color) + 0.05) > 2.0 for color in plotting.PALETTE)


# --- gaze arrow -----------------------------------------------------------------------------------


def _arrow(pitch: float, yaw: float, length: float = 50.0) -> np.ndarray:
    ax = Figure().subplots()
    plotting.draw_gaze(ax, (100.0, 80.0), torch.tensor([pitch, yaw]), length)
    (arrow,) = [text for text in ax.texts if isinstance(text, Annotation)]
    return np.subtract(arrow.xy, arrow.xyann)


@pytest.mark.parametrize(
    ("pitch", "yaw", "direction"),
    [(0.5, 0.0, (0, -1)), (-0.5, 0.0, (0, 1)), (0.0, 0.5, (-1, 0)), (0.0, -0.5, (1, 0))],
    ids=["up", "down", "left", "right"],
)
def test_gaze_arrow_points_where_the_gaze_goes_in_the_image(pitch, yaw, direction):
    np.testing.assert_allclose(_arrow(pitch, yaw), 50.0 * np.sin(0.5) * np.array(direction), atol=1e-5)


def test_gaze_arrow_of_a_look_into_the_camera_has_no_length():
    np.testing.assert_allclose(_arrow(0.0, 0.0), 0.0, atol=1e-6)


def test_gaze_arrow_refuses_a_vector():
    with pytest.raises(ValueError, match=r"pitchyaw must have shape \[2\].*gaze must be"):
        plotting.draw_gaze(Figure().subplots(), (0, 0), torch.tensor([0.0, 0.0, -1.0]))


def test_prior_line_says_what_it_is_and_its_value():
    ax = Figure().subplots()
    plotting.prior_line(ax, 19.04)
    assert ax.lines[0].get_ydata()[0] == 19.04
    assert ax.texts[0].get_text() == "head pose taken as gaze: 19.0°"


# --- image grid -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(3, 3, 8, 8),
        torch.rand(3, 8, 8, 3),
        torch.rand(3, 8, 8),
        (torch.rand(3, 3, 8, 8) * 255).to(torch.uint8),
        [np.random.default_rng(0).random((8, 8, 3)) for _ in range(3)],
    ],
)
def test_image_grid_takes_every_layout(images, displayed):
    plotting.image_grid(images, ["a", "b", "c"], "Three noisy squares in one row.")
    assert displayed[0][0]["text/plain"] == "Three noisy squares in one row."


def test_image_grid_shows_rgb_in_its_order(displayed):
    red = torch.zeros(1, 3, 16, 16)
    red[:, 0] = 1.0
    plotting.image_grid(red, None, "A red square.")
    picture = _picture(displayed[0][0]).convert("RGB")
    r, g, b = picture.getpixel((picture.width // 2, picture.height // 2))
    assert r > 240
    assert max(g, b) < 15


def test_image_grid_draws_each_gaze_from_its_center(displayed, monkeypatch):
    drawn = []
    monkeypatch.setattr(plotting, "draw_gaze", lambda ax, start, gaze, *_, **__: drawn.append((*start, *gaze)))
    gaze, centers = torch.rand(2, 2), torch.rand(2, 2)
    plotting.image_grid(torch.rand(2, 3, 8, 6), None, "Two.", gaze=gaze, centers=centers)
    plotting.image_grid(torch.rand(2, 3, 8, 6), None, "Two.", gaze=gaze)
    torch.testing.assert_close(torch.tensor(drawn[:2]), torch.cat([centers, gaze], dim=1))
    assert drawn[2][:2] == (3.0, 4.0)


def test_image_grid_refuses_another_number_of_gazes(displayed):
    with pytest.raises(ValueError, match="gaze must be one per image, 2; got 3"):
        plotting.image_grid(torch.rand(2, 3, 8, 8), None, "Two.", gaze=torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        (torch.rand(2, 4, 8, 8), None, "must each be"),
        (torch.rand(2, 3, 8, 8) * 2, None, r"must lie in \[0, 1\]"),
        (torch.full((1, 3, 8, 8), torch.nan), None, "must be finite"),
        (torch.rand(0, 3, 8, 8), None, "at least one image"),
        (torch.rand(2, 3, 8, 8), ["one"], "titles must be one per image, 2; got 1"),
    ],
)
def test_image_grid_refuses(images, titles, message):
    with pytest.raises(ValueError, match=message):
        plotting.image_grid(images, titles, "x")


# --- drawings and profiles ------------------------------------------------------------------------


def test_every_loss_letter_of_a_diagram_is_explained_beside_it():
    for panel in diagrams.PANELS:
        used = {letter for box in panel.boxes for letter in box.losses} | {letter for letter, *_ in panel.ties}
        assert used == {letter for letter, _ in panel.losses}, panel.title


def test_one_system_is_drawn_with_its_title_and_every_box():
    (ax,) = diagrams.one_system(diagrams.PUREGAZE).axes
    words = {text.get_text() for text in ax.texts}
    assert {"PureGaze", *(box.text for box in diagrams.PUREGAZE.boxes)} <= words


def test_direction_seen_from_above_has_yaw_zero_towards_the_camera_at_the_bottom():
    yaws = torch.tensor([0.0])
    fig = diagrams.directions_from_above(yaws, {"a": yaws[0], "b": torch.tensor(torch.pi / 2)})
    tips = [text.xy for text in fig.axes[0].texts if isinstance(text, Annotation)]
    np.testing.assert_allclose(tips[0], (0, -0.85), atol=1e-6)
    np.testing.assert_allclose(tips[2], (-0.7, 0), atol=1e-6)
    plt.close(fig)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "quick"), ("", "quick"), ("quick", "quick"), ("full", "full"), (" FULL ", "full")]
)
def test_profile_comes_from_the_environment_and_picks_a_size(monkeypatch, value, expected):
    monkeypatch.delenv("GAZECOURSE_PROFILE", raising=False)
    if value is not None:
        monkeypatch.setenv("GAZECOURSE_PROFILE", value)
    assert profiles.profile() == expected
    assert profiles.pick(quick="quick", full="full") == expected


def test_unknown_profile_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("GAZECOURSE_PROFILE", "huge")
    with pytest.raises(ValueError, match="GAZECOURSE_PROFILE must be quick or full; got 'huge'"):
        profiles.pick(quick=1, full=2)


def test_differences_are_drawn_where_they_are_with_their_intervals_and_said():
    fig = Figure()
    ax = fig.subplots()
    found = {"a": {"x → y": (1.0, 0.5, 2.0), "x → z": (-1.0, -3.0, 0.0)}, "b": {"x → y": [2.0], "x → z": [0.5]}}
    said = plotting.draw_differences(ax, found, of="rival", xlabel="difference (degrees)")
    first, second = ax.containers
    assert list(first.lines[0].get_xdata()) == [1.0, -1.0]
    ends = [segment[:, 0].tolist() for segment in first.lines[2][0].get_segments()]
    assert ends == [[0.5, 2.0], [-3.0, 0.0]]
    assert list(second.lines[0].get_xdata()) == [2.0, 0.5]
    assert [s[:, 0].tolist() for s in second.lines[2][0].get_segments()] == [[2.0, 2.0], [0.5, 0.5]]
    assert np.all(first.lines[0].get_ydata() < second.lines[0].get_ydata())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x → y", "x → z"]
    assert ax.yaxis_inverted()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert "a, x → z: -1.0 [-3.0, +0.0]." in said


def test_many_rivals_stay_beside_their_task_and_are_said_in_the_form_that_is_asked_for():
    fig = Figure()
    found = {f"rival {number}": {"one": (0.123, 0.1, 0.2), "two": (0.5, 0.4, 0.6)} for number in range(6)}
    ax = fig.subplots()
    said = plotting.draw_differences(ax, found, of="rival", xlabel="difference", form="+.2f")
    assert "rival 5, one: +0.12 [+0.10, +0.20]." in said
    heights = [container.lines[0].get_ydata() for container in ax.containers]
    assert all(abs(first) < 0.5 and abs(second - 1) < 0.5 for first, second in heights)
