"""Notebook 00 in a real browser: an exercise from untouched to solved, figures with descriptions."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

WRONG = "def mean_angle(angles):\n    return angles.mean()"
BROKEN = "def mean_angle(angles):\n    return angles.average()"
RIGHT = "def mean_angle(angles):\n    return torch.angle(torch.exp(1j * angles).mean())"


@pytest.fixture
def start_here(notebook):
    """Notebook 00, open, with its imports run."""
    opened = notebook("00_start_here.ipynb")
    opened.run_cell(opened.find_cell("import torch"))
    return opened


def _answer(opened, text: str) -> None:
    """Replace the exercise cell by an answer, and run it."""
    index = opened.find_cell("def mean_angle")
    opened.cell(index).locator(".cm-content").click()
    opened.page.keyboard.press("Control+a")
    opened.page.keyboard.insert_text(text)
    opened.run_cell(index)


def test_exercise_goes_from_untouched_over_wrong_to_right(start_here):
    check = start_here.find_cell("mean_angle = check.mean_angle(mean_angle)")
    start_here.run_cell(start_here.find_cell("def mean_angle"))
    expect(start_here.run_cell(check)).to_contain_text("○ mean_angle: not started. Hint 1 of 3")

    _answer(start_here, WRONG)
    expect(start_here.run_cell(check)).to_contain_text("✗ mean_angle: 179° and -179° gave 0°")
    expect(start_here.run_cell(check)).to_contain_text("Run your exercise cell again")

    _answer(start_here, BROKEN)
    expect(start_here.run_cell(check)).to_contain_text("line 2, `return angles.average()`, raised AttributeError")

    _answer(start_here, RIGHT)
    expect(start_here.run_cell(check)).to_contain_text("✓ mean_angle")
    assert start_here.errors() == []


def test_figure_is_described_to_screen_readers_and_takes_no_room_for_it(start_here):
    figure = start_here.find_cell("diagrams.four_systems()")
    output = start_here.run_cell(figure)
    expect(output.locator("img")).to_be_visible()
    description = output.locator("p", has_text="Figure: Four network diagrams")
    expect(description).to_have_count(1)
    assert description.bounding_box()["height"] <= 1
