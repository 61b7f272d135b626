"""The widgets without a browser: what they draw, what they cost, what they leave behind."""

import base64
import json
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from gazecourse.history import History, smooth
from gazecourse.logbook import Progress
from gazecourse.widgets import live_curve
from gazecourse.widgets.curve_explorer import CurveExplorer
from gazecourse.widgets.live_curve import LiveCurve, clock, draw_run, status_line, summary


def recorded(offset=0.0, evaluations=True):
    history = History()
    for step in range(1, 41):
        history.append("train", step=step, seconds=step / 10, loss=1 / step + offset, learning_rate=0.1)
        if evaluations and step % 10 == 0:
            history.append("evaluation", step=step, seconds=step / 10, error=30 / step + offset)
    return history


def progress_at(step, **changes):
    values = {"session_steps": step, "session_seconds": step / 2, "training_seconds": step / 4, "step": step, **changes}
    return Progress(40, 10, 8, **values)


class Displays:
    """Stands in for a notebook: keeps every output, replaced where it has a handle."""

    def __init__(self, monkeypatch):
        self.outputs, self.updates = [], []
        monkeypatch.setattr(live_curve, "in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, data, metadata=None, raw=False, display_id=None):
        self.outputs.append(data)
        return Handle(self, len(self.outputs) - 1)

    def pictures(self):
        return [data for data in self.updates if "image/png" in data]


class Handle:
    def __init__(self, displays, index):
        self.displays, self.index = displays, index

    def update(self, data, metadata=None, raw=False):
        self.displays.outputs[self.index] = data
        self.displays.updates.append(data)


@pytest.fixture
def displays(monkeypatch):
    return Displays(monkeypatch)


def button_of(displays):
    return displays.outputs[0].children[0]


# ---- live curve


def test_last_picture_and_a_line_stay_and_no_widget_does(displays):
    curve, history = LiveCurve(references={"head pose": 19.0}), recorded()
    curve.begin(history, progress_at(0))
    curve.end(progress_at(40, status="finished"))
    assert displays.outputs[0] == {"text/plain": "Finished: 40 of 40 steps in 0:20 (32 images/s)."}
    picture = displays.outputs[1]
    assert Image.open(BytesIO(base64.b64decode(picture["image/png"]))).width > 1500
    assert "error now 0.75, best 0.75, for comparison head pose 19" in picture["text/plain"]
    assert "Figure: Training losses" in displays.outputs[2]["text/html"]


def test_stop_button_sets_the_flag_until_the_next_run_begins(displays):
    curve = LiveCurve()
    curve.begin(recorded(), progress_at(0))
    assert not curve.stop_requested
    button_of(displays).click()
    assert curve.stop_requested
    assert button_of(displays).disabled
    curve.begin(recorded(), progress_at(0))
    assert not curve.stop_requested


def test_drawing_takes_less_than_three_percent_of_a_run(displays, monkeypatch):
    clock = {"now": 1000.0, "drawing": 0.0}

    def drawing(fig):
        clock["now"] += 0.12
        clock["drawing"] += 0.12
        return b"png"

    monkeypatch.setattr(live_curve.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(live_curve, "quick_png", drawing)
    curve, history = LiveCurve(), recorded()
    curve.begin(history, progress_at(0))
    began = clock["now"]
    clock["drawing"] = 0.0
    for _ in range(3000):
        clock["now"] += 0.02
        curve.update(progress_at(5))
    assert 0.01 < clock["drawing"] / (clock["now"] - began) < 0.03


def test_status_is_shown_at_most_twice_a_second(displays, monkeypatch):
    now = {"seconds": 0.0}
    monkeypatch.setattr(live_curve.time, "perf_counter", lambda: now["seconds"])
    monkeypatch.setattr(live_curve, "quick_png", lambda fig: b"png")
    curve, seen = LiveCurve(), []
    curve.begin(recorded(), progress_at(0))
    displays.outputs[0].children[2].observe(lambda change: seen.append(change["new"]), names="value")
    for step in range(200):
        now["seconds"] = 10 + step / 100
        curve.update(progress_at(step))
    assert 3 <= len(seen) <= 5


def test_pictures_are_drawn_in_a_row_and_kept_as_photographs(displays):
    curve = LiveCurve(pictures=lambda: torch.zeros(3, 3, 8, 8))
    curve.begin(recorded(), progress_at(0))
    curve.end(progress_at(40, status="stopped"))
    assert "image/jpeg" in displays.outputs[1]
    assert "Below: a row of 3 images." in displays.outputs[1]["text/plain"]


def test_outside_a_notebook_one_line_per_evaluation_is_printed(capsys):
    curve, history = LiveCurve(), recorded()
    curve.begin(history, progress_at(0))
    for step in range(1, 41):
        curve.update(progress_at(step))
    curve.end(progress_at(40, status="interrupted"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("Interrupted: 40 of 40 steps in 0:20")
    assert all("images/s" in line for line in lines)


def test_line_waits_for_the_evaluation_of_its_epoch(capsys):
    curve, history = LiveCurve(), History()
    curve.begin(history, progress_at(0))
    history.append("evaluation", step=10, error=9.0)
    curve.update(progress_at(10))
    curve.update(progress_at(20))
    assert len(capsys.readouterr().out.splitlines()) == 1
    history.append("evaluation", step=20, error=8.0)
    curve.update(progress_at(20))
    assert capsys.readouterr().out.strip().endswith("error 8")


def test_curves_differ_by_line_and_marker_as_well_as_color():
    history = recorded()
    for record in history.records:
        record["yaw"] = record["pitch"] = 0.5
    fig, _ = draw_run(history)
    bold = [line for line in fig.axes[0].lines if line.get_alpha() is None]
    styles = [(line.get_linestyle(), line.get_marker()) for line in bold]
    assert len(bold) == 3
    assert len({line for line, _ in styles}) == len({marker for _, marker in styles}) == 3


def test_drawn_curve_is_the_recorded_one():
    fig, _ = draw_run(recorded(), references={"prior": 19.0})
    losses, errors = fig.axes
    np.testing.assert_allclose(losses.lines[0].get_xydata(), [(s, 1 / s) for s in range(1, 41)])
    np.testing.assert_allclose(errors.lines[0].get_xydata(), [(s, 30 / s) for s in (10, 20, 30, 40)])
    assert errors.lines[1].get_ydata() == [19.0, 19.0]
    assert errors.get_ylim() == pytest.approx((0, 1.12 * 19))


def test_references_bear_the_unit_of_the_errors():
    curve = LiveCurve(error_label="NME (%)", references={"mean face": 15.21}, unit=" %")
    fig, _ = curve.figure(recorded())
    assert [text.get_text() for text in fig.axes[1].texts] == ["mean face: 15.2 %"]
    fig, _ = LiveCurve(references={"prior": 19.0}).figure(recorded())
    assert [text.get_text() for text in fig.axes[1].texts] == ["prior: 19.0°"]


def test_loss_and_evaluation_of_the_same_name_are_kept_apart():
    history = History()
    history.append("train", step=1, loss=1.0)
    history.append("evaluation", step=1, loss=5.0)
    fig, _ = draw_run(history)
    assert fig.axes[0].lines[0].get_ydata() == [1.0]
    assert fig.axes[1].lines[0].get_ydata() == [5.0]


def test_run_without_evaluation_gets_one_wide_panel_and_an_empty_one_is_drawn_too():
    assert len(draw_run(recorded(evaluations=False))[0].axes) == 1
    assert "none yet" in draw_run(History())[1]


def drawn_texts(ax):
    ticks = [
        (ax.get_xlim(), ax.get_xticks(), ax.get_xticklabels()),
        (ax.get_ylim(), ax.get_yticks(), ax.get_yticklabels()),
    ]
    labels = [
        text for (low, high), at, texts in ticks for place, text in zip(at, texts, strict=True) if low <= place <= high
    ]
    title = [text for text in ax.findobj(Text) if text.get_text() == ax.get_title(loc="left")]
    assert len(title) == 1
    return [*title, ax.xaxis.label, ax.yaxis.label, *labels, *ax.get_legend().get_texts()]


def overlapping_texts(fig):
    renderer = FigureCanvasAgg(fig).get_renderer()
    fig.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for ax in fig.axes for text in drawn_texts(ax)]
    pairs = [(one, other) for index, one in enumerate(boxes) for other in boxes[index + 1 :]]
    return [(a, b) for (a, one), (b, other) in pairs if one.overlaps(other)]


@pytest.mark.parametrize("losses", [1, 3, 6])
def test_titles_legends_and_labels_do_not_overlap(losses):
    history = recorded()
    for record in history.of_kind("train"):
        record.update(
            {name: 1.0 for name in ("gaze", "separation", "distillation", "reconstruction", "rank")[: losses - 1]}
        )
    for record in history.of_kind("evaluation"):
        record.update({"studio, unseen people": 9.0, "laptop": 12.0})
    fig, _ = draw_run(history, "Structure-coherent network", references={"head pose taken as gaze": 19.0})
    assert overlapping_texts(fig) == []


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 8, 8, 3), r"pictures must have shape \[N, 3, H, W\]"),
        (torch.full((1, 3, 8, 8), 1.5), r"pictures must lie in \[0, 1\]"),
        ([1, 2], "pictures must be a tensor or array"),
    ],
)
def test_pictures_of_the_wrong_form_are_refused(images, message):
    with pytest.raises((TypeError, ValueError), match=message):
        draw_run(recorded(), pictures=images)


def test_reference_that_is_no_error_is_refused():
    with pytest.raises(ValueError, match=r"references\['prior'\] must be a finite number above 0; got -1"):
        LiveCurve(references={"prior": -1})


def test_words_about_progress():
    assert status_line(progress_at(12)) == "epoch 2 of 4 · step 12 of 40 · 32 images/s · 0:14 left"
    assert status_line(progress_at(0)) == "epoch 1 of 4 · step 0 of 40"
    assert summary(progress_at(40, status="failed")) == "Ended by an error: 40 of 40 steps in 0:20 (32 images/s)."
    assert [clock(s) for s in (0, 59.6, 3725)] == ["0:00", "1:00", "1:02:05"]


# ---- curve explorer


def test_explorer_starts_with_the_first_evaluation_and_offers_every_number():
    explorer = CurveExplorer({"a": recorded(), "b": recorded(1.0)})
    assert explorer.metrics == ["error", "loss", "learning_rate"]
    assert explorer.metric == "error"


def test_picture_that_stays_shows_the_chosen_metric_smoothing_and_scale():
    explorer = CurveExplorer({"a": recorded(), "b": recorded(1.0)}, "loss", over="seconds", smoothing=0.5, log=True)
    fig, alt = explorer.figure()
    (ax,) = fig.axes
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "loss (smoothed, w = 0.5)")
    expected = smooth([1 / s + 1 for s in range(1, 41)], 0.5)
    np.testing.assert_allclose(ax.lines[3].get_ydata(), expected)
    np.testing.assert_allclose(ax.lines[3].get_xdata(), np.arange(1, 41) / 10)
    assert alt == f"loss over seconds: a ends at {expected[-1] - 1:.3g}, b ends at {expected[-1]:.3g}."


def page_data(explorer):
    return json.loads(explorer.html("x").split('placeExplorer("x", ')[1].rsplit(");\n})();</script>", 1)[0])


def test_page_holds_every_curve_and_the_same_choice_as_the_picture():
    explorer = CurveExplorer({"a": recorded(), "b": recorded(1.0, evaluations=False)}, "loss", smoothing=0.3)
    data = page_data(explorer)
    assert data["state"] == {"metric": "loss", "over": "step", "smoothing": 0.3, "log": False}
    assert data["runs"][1]["curves"]["loss"]["value"] == [float(f"{1 / s + 1:.6g}") for s in range(1, 41)]
    assert "error" not in data["runs"][1]["curves"]
    assert data["runs"][0]["marker"] != data["runs"][1]["marker"]
    assert data["runs"][0]["dashes"] != data["runs"][1]["dashes"]


def test_name_of_a_run_cannot_break_out_of_the_script():
    html = CurveExplorer({"</script><b>x</b>": recorded()}).html("x")
    assert html.count("</script>") == 1


def test_page_needs_nothing_from_the_network():
    html = CurveExplorer({"a": recorded()}).html()
    assert "src=" not in html
    assert [word for word in html.split('"') if word.startswith("http")] == ["http://www.w3.org/2000/svg"]


def test_long_runs_are_thinned_for_the_page():
    history = History()
    for step in range(5001):
        history.append("train", step=step, seconds=0.0, loss=float(step))
    curve = CurveExplorer({"long": history}).curve("long", "loss")
    assert len(curve["value"]) == 2000
    assert (curve["value"][0], curve["value"][-1]) == (0, 5000)


def test_explorer_reads_a_folder_of_runs(tmp_path):
    history = History(tmp_path / "seed 1" / "history.jsonl", {"seed": 1})
    history.append("train", step=1, seconds=0.1, loss=1.0)
    assert list(CurveExplorer(tmp_path).runs) == ["seed 1"]


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ({}, {}, "runs must hold at least one recorded number; got 0 runs"),
        ({"a": History()}, {}, "got 1 runs without any"),
        ({"a": [1, 2]}, {}, r"runs\['a'\] must be a History; got list"),
        ({"a": recorded()}, {"metric": "accuracy"}, "metric must be one of 'error', 'loss', 'learning_rate'"),
        ({"a": recorded()}, {"over": "epoch"}, "over must be one of 'step', 'seconds'"),
        ({"a": recorded()}, {"smoothing": 1.0}, r"smoothing must lie in \[0, 1\)"),
    ],
)
def test_bad_choices_are_refused(runs, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        CurveExplorer(runs, **options)
