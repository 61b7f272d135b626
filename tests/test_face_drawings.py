"""Drawings of landmarks and of their errors show the numbers that they are given."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gazecourse.analysis.occlusion import Influence
from gazecourse.face_drawings import draw_error_curves, draw_face, draw_graph, draw_influence, draw_points


def test_a_face_is_drawn_with_pixels_for_coordinates_and_its_corner_at_zero():
    ax = Figure().subplots()
    image = torch.rand(3, 20, 30)
    draw_face(ax, image)
    np.testing.assert_allclose(ax.images[0].get_array(), image.permute(1, 2, 0))
    assert tuple(ax.images[0].get_extent()) == (0, 30, 20, 0)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 30), (20, 0)), "y points down"


def test_points_are_drawn_where_they_are():
    ax = Figure().subplots()
    draw_points(ax, torch.tensor([[1.5, 2.5], [3.0, 4.0]]))
    assert np.asarray(ax.collections[0].get_offsets()).tolist() == [[1.5, 2.5], [3.0, 4.0]]


def test_weak_edges_of_a_graph_keep_their_color_beside_the_rim():
    """An edge is drawn over a wider white one, which must not outweigh it."""
    ax = Figure().subplots()
    adjacency = ~torch.eye(3, dtype=torch.bool)
    weights = torch.tensor([[0.0, 0.01, 0.5], [0.0, 0.0, 0.1], [0.0, 0.0, 0.0]])
    draw_graph(ax, torch.rand(3, 2), adjacency, weights=weights)
    rim, edges = (np.asarray(lines.get_linewidths()) for lines in ax.collections[:2])
    np.testing.assert_allclose(edges, [0.24, 2.2, 0.6])
    assert (rim <= 2 * edges + 1e-9).all()
    assert (rim > edges).all()


def test_the_influence_matrix_is_in_percent_with_what_is_covered_as_rows():
    matrix = torch.tensor([[0.02, 0.005], [0.0, 0.011]])
    found = Influence(("eyes", "mouth"), torch.zeros(0), torch.zeros(0), torch.zeros(0), matrix)
    ax = Figure().subplots()
    draw_influence(ax, found)
    np.testing.assert_allclose(ax.images[0].get_array(), 100 * matrix)
    said = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}
    assert said == {(0, 0): "2.0", (0, 1): "0.5", (1, 0): "0.0", (1, 1): "1.1"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("moves", "covered")
    assert ax.images[0].get_clim() == pytest.approx((0, 2))
    other = Figure().subplots()
    draw_influence(other, found, most=5.0)
    assert other.images[0].get_clim() == (0, 5.0), "one scale for two matrices"


def test_error_curves_differ_by_line_and_marker_and_are_in_percent():
    fig = Figure()
    draw_error_curves(fig, {"wing": [0.1, 0.6], "soft wing": [0.2, 0.7]}, [0.05, 0.1])
    one, two = fig.axes[0].get_lines()
    assert one.get_xydata().tolist() == [[5.0, 0.1], [10.0, 0.6]]
    assert two.get_label() == "soft wing"
    assert one.get_linestyle() != two.get_linestyle()
    assert one.get_marker() != two.get_marker()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: draw_face(ax, torch.zeros(20, 30, 3)), r"image must have shape \[3, H, W\]"),
        (lambda ax: draw_points(ax, torch.zeros(5, 3)), r"points must have shape \[N, 2\]"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Figure().subplots())
