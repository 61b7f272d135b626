"""In a real browser, bare page and JupyterLab: pickers, smoothing, log scale and the values under the pointer."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from playwright.sync_api import expect

from gazecourse.history import History, smooth
from gazecourse.widgets.curve_explorer import CurveExplorer

CELL = """
from gazecourse.history import History
from gazecourse.widgets.curve_explorer import CurveExplorer

def recorded(offset):
    history = History()
    for step in range(1, 101):
        history.append("train", step=step, seconds=step / 10, loss=1 / step + offset)
    return history

CurveExplorer({"plain": recorded(0), "purified": recorded(1)}, smoothing=0.5)
"""


def recorded(offset):
    history = History()
    for step in range(1, 101):
        history.append("train", step=step, seconds=step / 10, loss=1 / step + offset)
        if step % 20 == 0:
            history.append("evaluation", step=step, seconds=step / 10, error=30 / step - 1 + offset)
    return history


@pytest.fixture
def explorer(page):
    """The explorer of two runs in a bare page that has no network."""
    page.context.set_offline(True)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    runs = {"plain": recorded(0), "purified": recorded(1)}
    page.set_content("<!doctype html><body>" + CurveExplorer(runs, "loss").html())
    yield page
    assert problems == []


def plot(page):
    return page.locator("svg[role=img]")


def readout(page):
    return page.locator("[data-role=readout]").inner_text().splitlines()


def point_at_middle(page):
    box = plot(page).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)


def curve_of(page, run):
    """Points of a drawn curve in the plot's own coordinates."""
    path = page.locator(f'path[data-run="{run}"]').get_attribute("d")
    return [tuple(map(float, pair.split())) for pair in path[1:].split("L")]


def step_under_cursor(line):
    return int(line.split("at step ")[1])


def test_pointer_reads_the_recorded_values(explorer):
    point_at_middle(explorer)
    plain, purified = readout(explorer)
    step = step_under_cursor(plain)
    assert 40 < step < 60
    assert plain.strip() == f"plain: {float(f'{1 / step:.4g}'):g} at step {step}"
    assert purified.strip() == f"purified: {float(f'{1 / step + 1:.4g}'):g} at step {step}"


def test_smoothed_values_are_those_of_the_library(explorer):
    explorer.get_by_label("smoothing").fill("0.9")
    point_at_middle(explorer)
    line = readout(explorer)[0]
    step = step_under_cursor(line)
    expected = smooth([float(f"{1 / s:.6g}") for s in range(1, 101)], 0.9)[step - 1]
    shown, raw = map(float, re.search(r"plain: (\S+) \(recorded (\S+)\)", line).groups())
    assert shown == pytest.approx(expected, rel=1e-3)
    assert raw == pytest.approx(1 / step, rel=1e-3)


def test_log_scale_draws_equal_ratios_as_equal_distances(explorer):
    explorer.get_by_label("log scale").check()
    height = [y for _, y in curve_of(explorer, "plain")]
    assert height[9] - height[0] == pytest.approx(height[99] - height[9], abs=0.3)


def test_metric_and_axis_pickers_change_the_curve(explorer):
    explorer.get_by_label("metric").select_option("error")
    assert len(curve_of(explorer, "plain")) == 5
    explorer.get_by_role("combobox", name="over").select_option("seconds")
    point_at_middle(explorer)
    assert "at seconds 6" in readout(explorer)[0]


def test_runs_can_be_left_out_and_come_back(explorer):
    explorer.get_by_label("purified").uncheck()
    expect(explorer.locator("path[data-run]")).to_have_count(1)
    explorer.get_by_label("plain").uncheck()
    expect(plot(explorer)).to_contain_text("Nothing is chosen.")
    explorer.get_by_label("purified").check()
    expect(explorer.locator("path[data-run]")).to_have_count(1)


def test_values_below_zero_are_left_out_on_a_log_scale(explorer):
    explorer.get_by_label("metric").select_option("error")
    explorer.get_by_label("log scale").check()
    assert len(curve_of(explorer, "plain")) == 1  # 0.5, then 0 and below
    assert len(curve_of(explorer, "purified")) == 5


def test_arrow_keys_read_values_too(explorer):
    plot(explorer).focus()
    for _ in range(5):
        explorer.keyboard.press("ArrowRight")
    first = step_under_cursor(readout(explorer)[0])
    explorer.keyboard.press("ArrowLeft")
    assert 1 < step_under_cursor(readout(explorer)[0]) < first


def test_no_text_of_the_plot_lies_on_another(explorer):
    boxes = [text.bounding_box() for text in plot(explorer).locator("text").all()]
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = (
                one["x"] + one["width"] <= other["x"]
                or other["x"] + other["width"] <= one["x"]
                or one["y"] + one["height"] <= other["y"]
                or other["y"] + other["height"] <= one["y"]
            )
            assert apart


def test_explorer_replaces_its_picture_in_jupyterlab_and_the_picture_is_saved(lab, scratch):
    opened = scratch("explorer.ipynb", CELL)
    output = opened.run_cell(0)
    expect(output.get_by_label("metric")).to_be_visible()
    expect(output.locator("img")).to_be_hidden()
    output.locator("svg[role=img]").hover(position={"x": 300, "y": 100})
    expect(output.locator("[data-role=readout]")).to_contain_text("purified: 1.")
    opened.page.keyboard.press("Control+s")
    opened.page.wait_for_timeout(1500)
    saved = json.loads((lab.folder / "notebooks" / "explorer.ipynb").read_text())
    kinds = [set(item["data"]) for item in saved["cells"][0]["outputs"]]
    assert {"image/png", "text/plain"} in kinds
    assert not any("application/vnd.jupyter.widget-view+json" in kind for kind in kinds)


def test_notebook_from_elsewhere_shows_the_picture_before_it_is_run(scratch):
    """JupyterLab runs no scripts of notebooks that it does not trust yet."""
    output = [
        nbformat.v4.new_output("display_data", data={"image/png": ONE_PIXEL, "text/plain": "loss"}),
        nbformat.v4.new_output("display_data", data={"text/html": CurveExplorer({"a": recorded(0)}).html()}),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=output, execution_count=1)
    opened = scratch("untrusted.ipynb", cell)
    opened.page.wait_for_timeout(1000)
    expect(opened.output(0).locator("img")).to_be_visible()
    expect(opened.output(0)).not_to_contain_text("function")


ONE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
