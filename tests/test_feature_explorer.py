"""The feature explorer without a browser: pickers, selection, thumbnails, and the picture that stays."""

from __future__ import annotations

import base64
import io
import math
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from PIL import Image

from gazecourse import plotting
from gazecourse.widgets.feature_explorer import (
    CATEGORY_COLORS,
    OTHERS,
    OTHERS_COLOR,
    FeatureExplorer,
)
from gazecourse.widgets.screen import WIDGET_VIEW

COUNT = 48
ANGLES = torch.arange(COUNT) * 2 * math.pi / COUNT
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
YAW = torch.linspace(-20, 30, COUNT)
PERSON = torch.arange(COUNT) % 4 + 100
LIGHT = ["window", "lamp"] * (COUNT // 2)
IMAGES = torch.arange(COUNT, dtype=torch.uint8).mul(5)[:, None, None, None].expand(COUNT, 3, 32, 32).contiguous()


def explorer(**changes) -> FeatureExplorer:
    arguments = {
        "embeddings": {"conv5": 7 * RING, "fc": RING.flip(0) * torch.tensor([1.0, 0.3])},
        "colors": {"gaze yaw (degrees)": YAW, "person": PERSON, "light": LIGHT},
        "images": IMAGES,
    }
    return FeatureExplorer(**{**arguments, **changes})


@pytest.fixture
def shown(notebook):
    """An explorer that is in a notebook."""
    shown = explorer()
    shown.show()
    return shown


def drawn_colors(shown) -> np.ndarray:
    """[N, 4] RGBA of the points in the plot, as the browser looks them up."""
    plot = shown._scatter.widget
    values, palette = plot.points[:, 2], np.array(plot.color)
    if plot.color_scale == "categorical":
        return palette[values.astype(int)]
    return palette[np.round(values * (len(palette) - 1)).astype(int)]


# --- the picture that stays ---------------------------------------------------------------------


def test_controls_and_a_described_picture_are_put_into_the_notebook(notebook):
    explorer().show()
    controls, picture, spoken = notebook.shown
    assert WIDGET_VIEW in controls
    assert controls["text/plain"].endswith("(in a live notebook).")
    assert "image/jpeg" in picture
    assert "Figure: UMAP maps of 48 faces" in spoken["text/html"]


def test_picture_has_a_panel_per_stage_and_color_and_one_with_faces_per_stage():
    figure, _ = explorer().figure()
    panels = [ax for ax in figure.axes if ax.collections and len(ax.collections[0].get_offsets()) == COUNT]
    assert len(panels) == 2 * (3 + 1)
    assert [ax.get_title(loc="left") for ax in panels[:4]] == ["gaze yaw", "person", "light", "some of the faces"]
    assert [len(ax.images) > 0 for ax in panels] == 2 * [False, False, False, True]
    assert {ax.get_xlabel() for ax in panels[4:]} == {"UMAP 1 (no unit)"}
    assert panels[4].get_ylabel() == "UMAP 2 (no unit)"
    assert {text.get_text() for text in figure.texts} == {"conv5", "fc"}


def test_legends_name_the_unit_of_quantities_and_every_category():
    figure, _ = explorer().figure()
    bars = [child.get_xlabel() for ax in figure.axes for child in ax.child_axes]
    assert bars == ["gaze yaw (degrees)"]
    words = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in figure.axes if ax.get_legend()]
    assert words == [["100", "101", "102", "103"], ["lamp", "window"]]


def test_points_of_the_picture_have_the_colors_of_the_legend():
    figure, _ = explorer().figure()
    yaw, person = (ax.collections[0].get_facecolors() for ax in figure.axes[:2])
    assert yaw[0] == pytest.approx(to_rgba("#440154"), abs=0.01)  # both ends of viridis
    assert yaw[-1] == pytest.approx(to_rgba("#FDE725"), abs=0.01)
    assert np.array_equal(person[:4], [to_rgba(color) for color in CATEGORY_COLORS[:4]])


def test_faces_in_the_picture_stand_whole_at_their_points_and_do_not_cover_each_other():
    figure, _ = explorer().figure()
    faces = [image for ax in figure.axes for image in ax.images]
    assert 2 * 4 <= len(faces) <= 2 * 12
    for ax in {image.axes for image in faces}:
        places = np.array([image.get_extent() for image in ax.images])
        points = ax.collections[0].get_offsets()
        assert places[:, 0].min() >= ax.get_xlim()[0]
        assert places[:, 1].max() <= ax.get_xlim()[1]
        assert places[:, 2].min() >= ax.get_ylim()[0]
        assert places[:, 3].max() <= ax.get_ylim()[1]
        for image, place in zip(ax.images, places, strict=True):
            row = int(image.get_array()[0, 0, 0]) // 5
            assert np.array(points[row]) == pytest.approx([place[:2].mean(), place[2:].mean()])
        apart = np.abs(places[:, None, [0, 2]] - places[:, [0, 2]]).max(axis=2)[~np.eye(len(places), dtype=bool)]
        assert apart.min() >= 0.999 * (places[0, 1] - places[0, 0])


def test_panels_show_a_unit_across_as_long_as_a_unit_up():
    figure, _ = explorer().figure()
    for ax in figure.axes[:8]:
        place = ax.get_position()
        inches = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
        assert inches[0] / np.ptp(ax.get_xlim()) == pytest.approx(inches[1] / np.ptp(ax.get_ylim()))


def test_nothing_of_the_picture_lies_on_another_thing_or_beyond_the_edge():
    names = {"an embedding with a long name": RING, "fc": RING}
    colors = {"gaze yaw (degrees)": YAW, "person": torch.arange(COUNT) + 2_500_000, "light": LIGHT, "pitch (°)": YAW}
    figure, _ = explorer(embeddings=names, colors=colors).figure()
    plotting.figure_png(figure)
    renderer = figure.canvas.get_renderer()
    legends = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    bars = [child for ax in figure.axes for child in ax.child_axes]
    boxes = [item.get_tightbbox(renderer) for item in [*figure.axes[:10], *bars, *legends, *figure.texts]]
    for index, one in enumerate(boxes):
        assert one.x0 > -1
        assert one.y0 > -1
        assert one.x1 < figure.bbox.x1 + 1
        for other in boxes[index + 1 :]:
            shared = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(shared) < 2  # pixels


def test_description_says_what_is_colored_and_how_well_it_is_ordered():
    text = explorer().describe()
    assert "UMAP maps of 48 faces, a row per stage (conv5, fc), colored by gaze yaw (degrees), person, light" in text
    assert re.search(r"conv5: gaze yaw 0\.[5-9], person 0\.0, light 0\.0; fc:", text)


def test_description_does_not_judge_what_cannot_be_judged():
    few = FeatureExplorer({"fc": RING[:5]}, {"yaw": YAW[:5]}, IMAGES[:5])
    assert "fc: yaw cannot be told." in few.describe()
    assert "person cannot be told" in explorer(colors={"person": torch.zeros(COUNT, dtype=torch.long)}).describe()


# --- colors -------------------------------------------------------------------------------------


def test_more_categories_than_colors_leave_the_rarest_gray():
    person = np.concatenate([np.repeat(np.arange(10), 4), np.arange(20, 28)])
    many = explorer(colors={"person": person}).colors["person"]
    assert many.shown == [str(number) for number in range(10)]
    assert set(many.words[40:]) == {OTHERS}
    assert many.palette[OTHERS] == OTHERS_COLOR
    assert len(set(many.palette.values())) == 11
    assert many.said(45) == "25"


def test_floats_are_quantities_and_all_else_is_a_category():
    kinds = {"a": YAW.half(), "b": YAW.numpy(), "c": PERSON, "d": YAW > 0, "e": LIGHT, "f": np.array(LIGHT)}
    made = {name: type(color).__name__ for name, color in explorer(colors=kinds).colors.items()}
    assert made == {"a": "Quantity", "b": "Quantity", "c": "Categories", "d": "Categories", "e": "Categories",
                    "f": "Categories"}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "written"),
    [([-40.0, 40.0], "−40.0"), ([-0.04, 3.0], "−0.04"), ([2e-5, 9e-5], "0.0000200"), ([1234.0, 9000.0], "1234")],
)
def test_values_are_written_with_as_many_digits_as_tell_them_apart(values, written):
    [color] = FeatureExplorer({"fc": RING[:2]}, {"a": torch.tensor(values)}, IMAGES[:2]).colors.values()
    assert color.said(0) == written


def test_a_quantity_that_is_the_same_everywhere_can_be_shown():
    figure, _ = explorer(colors={"yaw": torch.full((COUNT,), 3.0)}).figure()
    assert np.isfinite(figure.axes[0].collections[0].get_facecolors()).all()


# --- the plot -----------------------------------------------------------------------------------


def test_plot_has_the_colors_of_the_picture_for_every_color(shown):
    for name, color in shown.colors.items():
        shown.choose(color=name)
        assert drawn_colors(shown) == pytest.approx(color.point_colors(), abs=0.02)


def test_choosing_a_stage_moves_the_points_to_its_map_and_keeps_their_colors(shown):
    before = drawn_colors(shown)
    for stage in ("fc", "conv5"):
        shown.choose(stage=stage)
        points, drawn = shown.embeddings[stage], shown._scatter.widget.points[:, :2]
        scale = np.ptp(drawn, axis=0) / np.ptp(points, axis=0)
        assert scale[0] == pytest.approx(scale[1])  # a unit across is as long as a unit up
        assert np.abs(drawn).max() == pytest.approx(1 / 1.05)
        assert drawn == pytest.approx((points - points.mean(axis=0)) * scale, abs=0.05)
        assert drawn_colors(shown) == pytest.approx(before)


def test_pickers_and_choose_do_the_same(shown):
    stage, color = shown._pickers["stage"], shown._pickers["color"]
    assert (stage.options, color.options) == (("conv5", "fc"), ("gaze yaw (degrees)", "person", "light"))
    stage.value, color.value = "fc", "person"
    picked = shown._scatter.widget.points.copy()
    shown.choose(stage="conv5", color="light")
    assert (stage.value, color.value) == ("conv5", "light")
    shown.choose(stage="fc", color="person")
    assert shown._scatter.widget.points == pytest.approx(picked, abs=1e-5)


def test_last_change_is_sent_once_more_because_a_busy_browser_drops_it(shown, monkeypatch):
    monkeypatch.setattr("gazecourse.widgets.feature_explorer.SETTLED", 0.5)
    sent, timers = [], []
    shown._scatter.widget.observe(lambda change: sent.append(change["new"]), names="points")
    for change in ({"stage": "fc"}, {"stage": "conv5", "color": "person"}):
        shown.choose(**change)
        timers.append(shown._again)
    for timer in timers:
        timer.join(timeout=10)
    assert len(sent) == 3  # two changes, and the last of them again
    assert not np.array_equal(sent[2].astype(np.float32), sent[1].astype(np.float32))  # equal ones are not sent
    assert sent[2] == pytest.approx(sent[1], abs=1e-5)


def test_legend_follows_the_color(shown):
    assert "gaze yaw (degrees)" in shown._legend.value
    assert "−20.0" in shown._legend.value
    shown.choose(color="light")
    assert "−20.0" not in shown._legend.value
    assert CATEGORY_COLORS[0] in shown._legend.value
    assert "window" in shown._legend.value


def test_tooltip_shows_the_face_and_all_labels_of_a_point(shown, monkeypatch):
    plot, sent = shown._scatter.widget, []
    monkeypatch.setattr(plot, "send", sent.append)
    plot.show_tooltip(7)
    assert sent[0]["preview"] == shown.thumbnail(7)
    assert {name.strip(): value for name, value in sent[0]["properties"].items()} == {
        "gaze yaw (degrees)": "−12.6", "person": "103", "light": "lamp"}  # fmt: skip


def test_names_that_the_plot_reserves_can_be_used(notebook):
    shown = explorer(colors={"size": YAW, "color": PERSON, "face": LIGHT, "x": YAW}, embeddings={"y": RING})
    shown.show()
    assert list(shown._scatter.widget.tooltip_properties_non_visual_info) == ["size ", "color ", "face ", "x "]


def test_thumbnail_is_the_face_itself():
    kind, data = explorer().thumbnail(20).split(",")
    assert kind == "data:image/jpeg;base64"
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == pytest.approx(100, abs=2)


def test_thumbnails_of_large_faces_are_small():
    large = FeatureExplorer({"fc": RING[:1]}, {"yaw": YAW[:1]}, torch.zeros(1, 3, 224, 448, dtype=torch.uint8))
    picture = Image.open(io.BytesIO(base64.b64decode(large.thumbnail(0).split(",")[1])))
    assert picture.size == (112, 56)


# --- selection ----------------------------------------------------------------------------------


def test_lasso_fills_strip_and_text(shown):
    assert "Selected: none of 48 faces." in shown._text.value
    shown._scatter.widget.selection = np.array([40, 3, 5], dtype=np.uint32)
    assert shown.selected == [3, 5, 40]
    assert "Selected: 3 of 48 faces." in shown._text.value
    assert re.findall(r'alt="face (\d+)"', shown._strip.value) == ["3", "5", "40"]
    assert shown.thumbnail(40) in shown._strip.value
    shown._scatter.widget.selection = np.array([], dtype=np.uint32)
    assert "Selected: none of 48 faces." in shown._text.value
    assert "<img" not in shown._strip.value


def test_select_is_seen_in_the_plot_before_and_after_it_is_shown(notebook):
    early = explorer()
    early.select([9, 1])
    early.show()
    assert early._scatter.widget.selection.tolist() == [1, 9]
    early.select([2])
    assert early._scatter.widget.selection.tolist() == [2]
    assert "Selected: 1 of 48 faces." in early._text.value


def test_selection_stays_when_stage_and_color_change(shown):
    shown.select([4, 5])
    shown.choose(stage="fc", color="person")
    assert shown._scatter.widget.selection.tolist() == [4, 5]
    assert "Selected: 2 of 48 faces." in shown._text.value
    assert "<figcaption>100</figcaption>" in shown._strip.value


def test_summary_gives_mean_and_range_of_quantities_and_counts_categories():
    chosen = explorer(colors={"yaw (degrees)": YAW.round(), "person": PERSON, "light": LIGHT})
    chosen.select([0, 4, 6])  # -20, -16 and -14 degrees
    assert chosen.summary().splitlines() == [
        "Selected: 3 of 48 faces.",
        "yaw (degrees): mean −16.7, −20.0 to −14.0",
        "person: 2 different, most often 100 (2)",
        "light: all window",
    ]


def test_twelve_examples_of_a_large_selection_span_the_values_in_their_order():
    chosen = explorer(colors={"yaw": -YAW})
    chosen.select(range(40))
    examples = chosen.examples()
    assert len(examples) == 12
    assert (examples[0], examples[-1]) == (39, 0)
    assert examples == sorted(examples, reverse=True)


@pytest.mark.parametrize(
    ("rows", "error"), [([COUNT], ValueError), ([-1], ValueError), ([0.5], TypeError), (["a"], TypeError)]
)
def test_points_that_do_not_exist_cannot_be_selected(rows, error):
    with pytest.raises(error, match="rows must be"):
        explorer().select(rows)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"embeddings": {}}, ValueError, "embeddings must hold at least one array by name; got none"),
        ({"colors": {}}, ValueError, "colors must hold at least one array by name; got none"),
        ({"embeddings": RING}, TypeError, "embeddings must be a dictionary of arrays by name; got tensor"),
        ({"embeddings": {5: RING}}, TypeError, "embeddings must be a dictionary of arrays by name"),
        ({"embeddings": {"fc": RING[:9]}}, ValueError, r"embeddings\['fc'\] must be one point per image, 48; got 9"),
        ({"embeddings": {"fc": YAW}}, ValueError, r"embeddings\['fc'\] must have shape \[N, 2\]"),
        ({"embeddings": {"fc": RING / 0}}, ValueError, r"embeddings\['fc'\] must be finite"),
        ({"embeddings": {"fc": RING.long()}}, TypeError, r"embeddings\['fc'\] must be floating point"),
        ({"colors": {"yaw": YAW[:9]}}, ValueError, r"colors\['yaw'\] must be one label per image, \[48\]; got .*\[9\]"),
        ({"colors": {"gaze": RING}}, ValueError, r"colors\['gaze'\] must be one label per image.*\[48, 2\]"),
        ({"colors": {"yaw": YAW / 0 * 0}}, ValueError, r"colors\['yaw'\] must be finite; got NaN"),
        ({"colors": {"light": "window"}}, TypeError, r"colors\['light'\] must be an array .* got str 'window'"),
        ({"colors": {"light": [None] * COUNT}}, TypeError, r"colors\['light'\] must be an array"),
        ({"images": IMAGES.float()}, TypeError, "images must be uint8"),
        ({"images": IMAGES[:, 0]}, ValueError, r"images must have shape \[N, 3, H, W\]"),
        ({"images": IMAGES[:0]}, ValueError, "images must hold at least one image"),
        ({"images": "faces"}, TypeError, "images must be a tensor or array"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        explorer(**changes)


def test_stages_and_colors_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="stage must be one of 'conv5', 'fc'; got 'conv6'"):
        explorer().choose(stage="conv6")
    with pytest.raises(ValueError, match="color must be one of"):
        explorer().choose(color="age")


# --- around it ----------------------------------------------------------------------------------


def test_one_face_alone_can_be_shown(notebook):
    alone = FeatureExplorer({"fc": RING[:1]}, {"yaw": YAW[:1], "person": PERSON[:1]}, IMAGES[:1])
    alone.show()
    assert np.isfinite(alone._scatter.widget.points).all()


def test_showing_and_choosing_warns_of_nothing(notebook):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = explorer()
        quiet.show()
        quiet.choose(stage="fc", color="person")
        quiet.select([1])


def test_explorer_can_be_imported_and_drawn_where_there_are_no_widgets():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('ipywidgets', 'jscatter', 'umap')))\n"
        "import torch\nfrom gazecourse.widgets.feature_explorer import FeatureExplorer\n"
        "FeatureExplorer({'fc': torch.rand(9, 2)}, {'a': torch.rand(9)}, torch.zeros(9, 3, 8, 8).byte()).figure()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
