"""In a real browser: the controls of the loss explorer and of the graph explorer redraw their pictures."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

LOSSES = """
import torch

from gazecourse.widgets.loss_explorer import LossExplorer

torch.manual_seed(0)
LossExplorer(5 * torch.randn(400, 68, 2)).show()
"""

GRAPH = """
import torch

from gazecourse.widgets.graph_explorer import GraphExplorer

torch.manual_seed(0)
landmarks = 32 + 2 * torch.randn(60, 20, 2).cumsum(1)
GraphExplorer(landmarks, torch.full((3, 64, 64), 0.4), landmarks[0], point=4).show()
"""


@pytest.fixture
def losses(scratch):
    """A notebook whose only cell has shown a loss explorer; its output."""
    output = scratch("losses.ipynb", LOSSES).run_cell(0)
    expect(output.locator(".widget-slider")).to_have_count(11)
    return output


@pytest.fixture
def graph(scratch):
    """A notebook whose only cell has shown a graph explorer; its output."""
    return scratch("graph.ipynb", GRAPH).run_cell(0)


def test_slider_and_list_of_losses_redraw_the_picture_and_its_description(losses, move):
    picture = losses.locator("img")
    before = picture.get_attribute("src")
    expect(losses).to_contain_text("soft wing (ω₁ = 2, ω₂ = 20, ε = 0.5)")
    move(losses, "soft wing ω₁", "ArrowRight", 4)
    expect(losses).to_contain_text("soft wing (ω₁ = 4, ω₂ = 20, ε = 0.5)", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before)
    before = picture.get_attribute("src")
    losses.locator(".widget-select-multiple select").select_option(["smooth L1"])
    expect(losses).to_contain_text("Value and slope of 1 losses", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before)
    expect(picture).to_have_count(1)


def test_k_and_landmark_redraw_the_graph(graph, move):
    picture = graph.locator("img")
    before = picture.get_attribute("src")
    expect(graph).to_contain_text("the Pearson graph of k = 3, symmetric")
    move(graph, "k (neighbors)", "ArrowRight", 2)
    expect(graph).to_contain_text("the Pearson graph of k = 5, symmetric", timeout=30_000)
    move(graph, "landmark", "ArrowRight", 1)
    expect(graph).to_contain_text("landmark 5, which hears of", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before)
    expect(picture).to_have_count(1)
