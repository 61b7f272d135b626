"""Lens distortion: a point by hand, there and back, and a picture that becomes straight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.lens import Lens
from gazecourse.normalization import normalize, warp_image

CAMERA = np.array([[500.0, 0.0, 320.0], [0.0, 400.0, 240.0], [0.0, 0.0, 1.0]])
WEBCAM = np.array([-0.12, 0.2, 0.003, -0.002, -0.1])


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        # The ideal pixel (420, 120) is (x, y) = (0.2, -0.3), r² = 0.13.
        ((1.0, 0, 0, 0, 0), (320 + 500 * 0.2 * 1.13, 240 - 400 * 0.3 * 1.13)),
        ((0, 1.0, 0, 0, 0), (320 + 500 * 0.2 * 1.0169, 240 - 400 * 0.3 * 1.0169)),
        ((0, 0, 0, 0, 1.0), (320 + 500 * 0.2 * 1.002197, 240 - 400 * 0.3 * 1.002197)),
        ((0, 0, 1.0, 0, 0), (320 + 500 * (0.2 - 0.12), 240 + 400 * (-0.3 + 0.31))),
        ((0, 0, 0, 1.0, 0), (320 + 500 * (0.2 + 0.21), 240 + 400 * (-0.3 - 0.12))),
    ],
    ids=["k1", "k2", "k3", "p1", "p2"],
)
def test_each_coefficient_moves_a_point_as_computed_by_hand(coefficients, expected):
    x, y = Lens(CAMERA, np.array(coefficients, float)).distort(np.array(420.0), np.array(120.0))
    np.testing.assert_allclose((x, y), expected, rtol=1e-12)


def test_four_coefficients_mean_no_k3():
    four, five = Lens(CAMERA, WEBCAM[:4]), Lens(CAMERA, np.array([*WEBCAM[:4], 0.0]))
    np.testing.assert_array_equal(
        four.distort(np.array(7.0), np.array(9.0)), five.distort(np.array(7.0), np.array(9.0))
    )


@given(st.floats(0, 640), st.floats(0, 480), st.floats(-5, 5))
def test_undistorting_undoes_distorting(x, y, skew):
    camera = CAMERA + np.array([[0, skew, 0], [0, 0, 0], [0, 0, 0]])
    lens = Lens(camera, WEBCAM)
    ideal = lens.undistort(np.array([x, y]))
    np.testing.assert_allclose(lens.distort(ideal[..., 0], ideal[..., 1]), (x, y), atol=1e-6)


def bent_stripes(lens: Lens) -> np.ndarray:
    """A picture [480, 640, 3] through the lens: left of the ideal column 400 black, right of it white."""
    y, x = np.mgrid[:480, :640] + 0.5
    ideal = lens.undistort(np.stack([x, y], -1))
    return np.where(ideal[..., :1] > 400, 255, 0).repeat(3, -1).astype(np.uint8)


def test_a_bent_edge_becomes_straight_where_the_warp_says():
    lens = Lens(CAMERA, np.array([-0.2, 0.05, 0.0, 0.0, 0.0]))
    bent = bent_stripes(lens)
    edges = (bent[:, :, 0] == 0).sum(1)
    assert np.ptp(edges) >= 5, "the edge is bent in the picture"
    straight = warp_image(bent, np.eye(3), (640, 480), lens)
    assert np.ptp((straight[10:-10, :, 0] < 128).sum(1)) <= 2
    assert abs((straight[240, :, 0] < 128).sum() - 400) <= 1
    assert np.ptp((warp_image(bent, np.eye(3), (640, 480))[10:-10, :, 0] < 128).sum(1)) >= 5


def test_normalized_landmark_stays_on_its_spot_only_with_the_lens():
    lens, spot = Lens(CAMERA, np.array([-0.3, 0.1, 0.0, 0.0, 0.0])), np.array([480.0, 330.0])
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[327:333, 477:483] = 255
    face = normalize(picture, CAMERA, np.array([150.0, 90.0, 520.0]), np.eye(3), lens=lens)
    x, y = face.warp_points(lens.undistort(spot))
    assert face.image[round(y - 0.5), round(x - 0.5), 0] > 200
    x, y = face.warp_points(spot)
    assert face.image[round(y - 0.5), round(x - 0.5), 0] < 50


@pytest.mark.parametrize(
    ("camera", "coefficients", "message"),
    [
        (CAMERA[:2], WEBCAM, r"camera_matrix must have shape \[3, 3\]"),
        (CAMERA, WEBCAM[:3], r"coefficients must be \(k1, k2, p1, p2\[, k3\]\); got 3 numbers"),
        (CAMERA, WEBCAM[None], "coefficients must have shape"),
        (CAMERA, WEBCAM * np.nan, "coefficients must be finite"),
    ],
)
def test_bad_cameras_are_named(camera, coefficients, message):
    with pytest.raises(ValueError, match=message):
        Lens(camera, coefficients)


def test_lens_that_cannot_be_undone_is_named():
    with pytest.raises(ValueError, match="coefficients must be those of a real lens"):
        Lens(CAMERA, np.array([-5.0, 0.0, 0.0, 0.0])).undistort(np.array([639.0, 479.0]))
