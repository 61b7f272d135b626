"""The graph explorer without a browser: it draws the library's graph, and its sliders change it."""

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gazecourse.face_drawings import draw_graph, draw_moves, edges_of
from gazecourse.models import landmark_graph
from gazecourse.widgets.graph_explorer import GraphExplorer
from gazecourse.widgets.screen import WIDGET_VIEW

POINTS = 9


def faces(count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 30 + 4 * torch.randn(count, POINTS, 2, generator=generator).cumsum(1)


@pytest.fixture
def explorer():
    landmarks = faces()
    return GraphExplorer(landmarks, torch.full((3, 60, 60), 90, dtype=torch.uint8), landmarks[0], point=4)


def drawn_edges(ax):
    """The segments of the upper set of lines, as sets of their ends."""
    collection = [part for part in ax.collections if isinstance(part, LineCollection)][-1]
    return [np.asarray(segment) for segment in collection.get_segments()]


def test_edges_are_pairs_of_which_one_listens_to_the_other():
    graph = torch.eye(4, dtype=torch.bool)
    graph[2, 0] = graph[1, 3] = graph[3, 1] = True
    assert edges_of(graph).tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("k", [1, 3])
def test_the_picture_shows_the_librarys_graph(explorer, k, symmetric):
    explorer.set(k=k, symmetric=symmetric)
    graph = landmark_graph(faces(), k, symmetric)
    assert torch.equal(explorer.adjacency(), graph)
    fig, alt = explorer.figure()
    whole, near = fig.axes
    wanted = [faces()[0][pair].numpy() for pair in edges_of(graph)]
    np.testing.assert_allclose(drawn_edges(whole), wanted)
    assert f"{len(wanted)} edges, {int(graph.sum())} entries" in whole.get_title("left")
    neighbors = [j for j in range(POINTS) if graph[4, j] and j != 4]
    assert len(drawn_edges(near)) == len(neighbors)
    named = ", ".join(map(str, neighbors))
    assert near.get_title("left") == f"landmark 4 hears of {named}"
    assert alt.endswith(f"landmark 4, which hears of {named}.")
    assert ("not symmetric" in alt) is not symmetric


def test_controls_and_a_described_picture_are_shown_and_redrawn(explorer, notebook, controls):
    explorer.show()
    view, picture, spoken = notebook.shown
    assert WIDGET_VIEW in view
    assert "image/jpeg" in picture
    assert "k = 3" in picture["text/plain"]
    assert "Figure:" in spoken["text/html"]
    assert (controls["k (neighbors)"].min, controls["k (neighbors)"].max) == (1, POINTS - 1)
    controls["k (neighbors)"].value = 5
    controls["landmark"].value = 7
    controls["symmetric"].value = False
    assert explorer.values == {"k": 5, "point": 7, "symmetric": False}
    said = notebook.updates[-2][0]["text/plain"]
    assert "k = 5, not symmetric" in said
    assert "landmark 7" in said
    assert len(notebook.updates) == 6


def test_set_moves_the_controls_and_draws_once(explorer, notebook, controls):
    explorer.show()
    explorer.set(k=2, point=0)
    assert controls["k (neighbors)"].value == 2
    assert len(notebook.updates) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be 1 or more, at most 8; got 0"),
        ({"k": 9}, ValueError, "k must be 1 or more, at most 8; got 9"),
        ({"k": 2.5}, TypeError, "k must be a whole number"),
        ({"point": 9}, ValueError, "point must be 0 or more, at most 8; got 9"),
        ({"symmetric": 1}, TypeError, "symmetric must be True or False"),
        ({"edges": 3}, ValueError, "slider must be one of 'k', 'point', 'symmetric'"),
    ],
)
def test_bad_values_of_sliders_are_named(explorer, options, error, message):
    before = dict(explorer.values)
    with pytest.raises(error, match=message):
        explorer.set(**options)
    assert explorer.values == before


def test_a_face_of_another_scheme_and_constant_coordinates_are_named():
    landmarks, image = faces(), torch.zeros(3, 8, 8)
    with pytest.raises(ValueError, match=r"points must have shape \[9, 2\]; .* same scheme"):
        GraphExplorer(landmarks, image, torch.zeros(68, 2), point=0)
    constant = landmarks.clone()
    constant[:, 3] = 7.0
    with pytest.raises(ValueError, match="a constant has no correlation"):
        GraphExplorer(constant, image, landmarks[0], point=0).figure()


# ---------------------------------------------------------------------- drawings


def test_an_edge_is_the_thicker_the_more_its_ends_hear_of_each_other():
    graph = torch.ones(3, 3, dtype=torch.bool)
    weights = torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    ax = Figure().subplots()
    draw_graph(ax, torch.rand(3, 2), graph, weights=weights)
    widths = [part for part in ax.collections if isinstance(part, LineCollection)][-1].get_linewidths()
    assert list(np.argsort(widths)) == [1, 2, 0], "0–2: 0.2, 1–2: 0.3, 0–1: 1.2"
    with pytest.raises(ValueError, match=r"weights must lie in \[0, inf\]"):
        draw_graph(ax, torch.rand(3, 2), graph, weights=-weights)


def test_arrows_begin_at_the_landmarks_and_go_their_way():
    ax = Figure().subplots()
    before, moved = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, -2.0]])
    draw_moves(ax, torch.zeros(3, 8, 8), before, moved, torch.tensor([True, False]), enlarged=3)
    hidden, seen = [part for part in ax.collections if hasattr(part, "U")]
    assert (hidden.X, hidden.Y, hidden.U, hidden.V) == ([1], [2], [3], [0])
    assert (seen.X, seen.Y, seen.U, seen.V) == ([3], [4], [0], [-6])
