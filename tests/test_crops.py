"""Eye crops against ramps whose values are known everywhere, and face grids against boxes counted by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse.crops import EYES, FACE_WIDTH, GRID, WINDOW, Band, eye_centers, eye_crops, face_grid

HEIGHT, WIDTH = 90, 120


RIGHT_EYE, LEFT_EYE = EYES[68]


def ramps(height=HEIGHT, width=WIDTH, count=1):
    """Images whose first two channels are x and y in pixels, at pixel centers .5: sampling shows where it looked."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y]).expand(count, 2, height, width).clone()


def eyes_at(right, left, count=1):
    """Landmarks whose eyes have these middles; the six points of an eye lie around it, all others far away."""
    points = torch.full((count, 68, 2), -1000.0)
    spread = torch.tensor([[-3.0, 0.0], [-1.0, -2.0], [1.0, -2.0], [3.0, 0.0], [1.0, 2.0], [-1.0, 2.0]])
    points[:, 36:42] = torch.tensor(right) + spread
    points[:, 42:48] = torch.tensor(left) + spread
    return points


# ---------------------------------------------------------------------- eye crops


def test_center_of_a_crop_shows_the_middle_of_the_eye():
    crops = eye_crops(ramps(), eyes_at((40.3, 44.8), (79.2, 46.1)), size=(37, 61))
    for crop, middle in zip(crops, ((40.3, 44.8), (79.2, 46.1)), strict=True):
        assert crop.shape == (1, 2, 37, 61)
        assert crop[0, :, 18, 30].tolist() == pytest.approx(middle, abs=1e-3)


def test_a_crop_of_even_size_is_centered_on_the_eye_too():
    right, _ = eye_crops(ramps(), eyes_at((60.0, 45.0), (60.0, 45.0)))
    assert right.shape == (1, 2, 36, 60)
    assert right.mean((0, 2, 3)).tolist() == pytest.approx((60.0, 45.0), abs=1e-3)
    assert right[0, 0, 0, 29:31].mean().item() == pytest.approx(60.0, abs=1e-3)


def test_a_crop_shows_the_window_that_is_promised_as_shares_of_the_images_width():
    right, _ = eye_crops(ramps(), eyes_at((60.0, 45.0), (60.0, 45.0)), size=(9, 31))
    x, y = right[0]
    assert (x[:, -1] - x[:, 0]).tolist() == pytest.approx([WINDOW[0] * WIDTH] * 9, abs=1e-3)
    assert (y[-1] - y[0]).tolist() == pytest.approx([WINDOW[1] * WIDTH] * 31, abs=1e-3), "of the width, not the height"
    assert x[4].diff().tolist() == pytest.approx([WINDOW[0] * WIDTH / 30] * 30, abs=1e-3)
    assert (x.diff(dim=0).abs().max(), y.diff(dim=1).abs().max()) == (pytest.approx(0, abs=1e-3),) * 2
    assert WINDOW == (0.27, 0.16)


def test_whole_pixels_are_copied_without_a_shift():
    """A window of 27 by 16 pixels sampled once per pixel hits pixel centers exactly: any noise comes out unchanged."""
    image = torch.rand(1, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    middle = (50.0, 50.5)  # columns 36.5 to 63.5 and rows 42.5 to 58.5
    right, _ = eye_crops(image, eyes_at(middle, middle), size=(17, 28))
    torch.testing.assert_close(right, image[:, :, 42:59, 36:64], atol=1e-4, rtol=0)


def test_right_is_the_persons_right_landmarks_36_to_41_and_left_the_next_six():
    assert (list(range(68))[RIGHT_EYE], list(range(68))[LEFT_EYE]) == (list(range(36, 42)), list(range(42, 48)))
    right, left = eye_crops(ramps(), eyes_at((40.0, 45.0), (80.0, 45.0)))
    assert right[0, 0].mean() < 60 < left[0, 0].mean()


def test_with_six_landmarks_an_eye_is_cut_midway_between_its_corners():
    """MPIIFaceGaze's: the corners of the person's right eye, of the left eye, and of the mouth."""
    corners = torch.tensor([[[36.0, 44.0], [46.0, 46.0], [74.0, 45.0], [85.0, 43.0], [50.0, 80.0], [70.0, 80.0]]])
    right, left = eye_crops(ramps(), corners, size=(5, 5))
    assert right[0, :, 2, 2].tolist() == pytest.approx((41.0, 45.0), abs=1e-3)
    assert left[0, :, 2, 2].tolist() == pytest.approx((79.5, 44.0), abs=1e-3)


def test_two_landmarks_are_the_middles_of_the_eyes():
    right, left = eye_crops(ramps(), torch.tensor([[[41.0, 45.0], [79.5, 44.0]]]), size=(5, 5))
    assert right[0, :, 2, 2].tolist() == pytest.approx((41.0, 45.0), abs=1e-3)
    assert left[0, :, 2, 2].tolist() == pytest.approx((79.5, 44.0), abs=1e-3)


def test_each_image_of_a_batch_is_cut_at_its_own_landmarks():
    landmarks = torch.cat([eyes_at((40.0, 30.0), (80.0, 30.0)), eyes_at((45.0, 50.0), (70.0, 55.0))])
    right, left = eye_crops(ramps(count=2), landmarks, size=(5, 5))
    assert right[:, :, 2, 2].flatten().tolist() == pytest.approx([40, 30, 45, 50], abs=1e-3)
    assert left[:, :, 2, 2].flatten().tolist() == pytest.approx([80, 30, 70, 55], abs=1e-3)


def test_beyond_the_image_its_edge_is_repeated():
    right, left = eye_crops(ramps(), eyes_at((2.0, 45.0), (119.0, 88.0)), size=(9, 31))
    assert (right[0, 0, :, 0] == 0.5).all(), "the first pixel's center"
    assert left[0, 0].max() == WIDTH - 0.5
    assert left[0, 1].max() == HEIGHT - 0.5
    assert right.isfinite().all()


def test_the_gradient_flows_to_images_and_landmarks():
    images, landmarks = ramps().requires_grad_(), eyes_at((40.0, 45.0), (80.0, 45.0)).requires_grad_()
    right, left = eye_crops(images, landmarks, size=(5, 7))
    (right.sum() + 2 * left.sum()).backward()
    assert images.grad.sum().item() == pytest.approx((1 + 2) * 2 * 5 * 7, rel=1e-5), "bilinear weights add up to 1"
    # Moving the six points of an eye by one pixel moves all 35 pixels of its crop by one.
    for eye, factor in ((RIGHT_EYE, 1), (LEFT_EYE, 2)):
        assert landmarks.grad[0, eye].sum(0).tolist() == pytest.approx([factor * 35] * 2, rel=1e-3)
    assert not landmarks.grad[0, :36].any()
    assert not landmarks.grad[0, 48:].any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: eye_crops(ramps(), None),
            ValueError,
            "got None: without landmarks",
        ),
        (
            lambda: eye_crops(ramps(), torch.rand(1, 5, 2)),
            ValueError,
            "where the eyes are known; got",
        ),
        (lambda: eye_crops(ramps(), torch.rand(1, 98, 2)), ValueError, "where the eyes are known; got"),
        (
            lambda: eye_crops(ramps(), torch.rand(2, 68, 2)),
            ValueError,
            r"landmarks must have shape \[1, 68, 6 or 2, 2\]",
        ),
        (lambda: eye_crops(ramps(), torch.rand(1, 68, 2) * torch.nan), ValueError, "landmarks must be finite"),
        (lambda: eye_crops(ramps(), torch.zeros(1, 68, 2).long()), TypeError, "landmarks must be floating point"),
        (lambda: eye_crops(ramps()[0], eyes_at((1.0, 1.0), (1.0, 1.0))), ValueError, r"images must have shape \[B, C"),
        (lambda: eye_crops(ramps().byte(), torch.rand(1, 68, 2)), TypeError, "images must be floating point"),
        (lambda: eye_crops(None, torch.rand(1, 68, 2)), TypeError, "images must be a tensor or array; got NoneType"),
    ],
)
def test_bad_input_of_eye_crops_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("images", "landmarks"),
    [
        (ramps().double(), eyes_at((60.0, 45.0), (60.0, 45.0))),
        (ramps(), eyes_at((60.0, 45.0), (60.0, 45.0)).double()),
        (ramps().numpy(), eyes_at((60.0, 45.0), (60.0, 45.0)).numpy()),
    ],
    ids=["float64 images", "float64 landmarks", "arrays"],
)
def test_other_kinds_of_images_and_landmarks_are_taken_or_named(images, landmarks):
    try:
        right, _ = eye_crops(images, landmarks, (5, 5))
        assert right[0, :, 2, 2].tolist() == pytest.approx((60.0, 45.0), abs=1e-3)
    except TypeError as error:
        assert str(error).startswith(("images must", "landmarks must"))  # noqa: PT017


def test_a_size_of_one_number_makes_squares_or_is_named():
    try:
        assert eye_crops(ramps(), eyes_at((60.0, 45.0), (60.0, 45.0)), 9)[0].shape == (1, 2, 9, 9)
    except TypeError as error:
        assert str(error).startswith("size must")  # noqa: PT017


@pytest.mark.parametrize("size", [(36, 60, 3), 4.5, "36", 0, (36, 0)])
def test_impossible_sizes_are_named(size):
    with pytest.raises((TypeError, ValueError), match="size must"):
        eye_crops(ramps(), eyes_at((60.0, 45.0), (60.0, 45.0)), size)


# ---------------------------------------------------------------------- face grid

DISTANCE = 800.0
CELL = DISTANCE / GRID
"""At 800 mm a cell is 32 mm wide and the face, of 160 mm, covers five."""


def grid_at(x, y, z=DISTANCE, focal=1.0):
    return face_grid(torch.tensor([[x, y, z]]), focal)[0]


def test_a_face_before_the_camera_covers_the_middle_five_by_five_cells():
    grid = grid_at(0.0, 0.0)
    assert grid.shape == (GRID, GRID) == (25, 25)
    assert FACE_WIDTH == 5 * CELL
    expected = torch.zeros(25, 25)
    expected[10:15, 10:15] = 1
    torch.testing.assert_close(grid, expected, atol=1e-5, rtol=0)


def test_a_face_to_the_right_of_the_picture_lies_in_higher_columns_and_a_low_one_in_higher_rows():
    expected = torch.zeros(25, 25)
    expected[10:15, 12:17] = 1
    torch.testing.assert_close(grid_at(2 * CELL, 0.0), expected, atol=1e-5, rtol=0)
    expected = torch.zeros(25, 25)
    expected[13:18, 10:15] = 1
    torch.testing.assert_close(grid_at(0.0, 3 * CELL), expected, atol=1e-5, rtol=0)


def test_cells_that_are_covered_in_part_hold_their_share():
    grid = grid_at(0.25 * CELL, -0.5 * CELL)
    columns, rows = [0.75, 1, 1, 1, 1, 0.25], [0.5, 1, 1, 1, 1, 0.5]
    assert grid[12, 10:16].tolist() == pytest.approx(columns, abs=1e-5)
    assert grid[9:15, 12].tolist() == pytest.approx(rows, abs=1e-5)
    assert grid[9, 10].item() == pytest.approx(0.375, abs=1e-5)
    assert grid.sum().item() == pytest.approx(25, abs=1e-4)


def test_a_face_twice_as_far_is_half_as_large_and_half_as_far_from_the_middle():
    grid = grid_at(4 * CELL, 0.0, 2 * DISTANCE)
    assert grid.sum().item() == pytest.approx(6.25, abs=1e-4)
    columns = grid.sum(0)
    assert (columns @ (torch.arange(25) + 0.5) / columns.sum()).item() == pytest.approx(12.5 + 2, abs=1e-4)


def test_a_longer_focal_length_enlarges_the_face_about_the_middle():
    grid = grid_at(CELL, 0.0, focal=2.0)
    assert grid.sum().item() == pytest.approx(100, abs=1e-3)
    assert grid[12, 8:21].tolist() == pytest.approx([0, 0.5, *[1] * 9, 0.5, 0], abs=1e-5)
    columns = grid.sum(0)
    assert (columns @ (torch.arange(25) + 0.5) / columns.sum()).item() == pytest.approx(12.5 + 2, abs=1e-4)


def test_a_face_at_the_edge_is_clipped_and_one_beyond_it_leaves_nothing():
    grid = grid_at(-12.5 * CELL, 0.0)  # its middle on the left edge: half of it is seen
    assert grid[12, :4].tolist() == pytest.approx([1, 1, 0.5, 0], abs=1e-5)
    assert grid.sum().item() == pytest.approx(12.5, abs=1e-4)
    grid = grid_at(12.5 * CELL, 12.5 * CELL)
    assert grid[24, 21:].tolist() == pytest.approx([0, 0.5, 1, 1], abs=1e-5)
    assert grid[22, 22].item() == pytest.approx(0.25, abs=1e-5)
    assert grid_at(20 * CELL, 0.0).sum() == 0
    assert grid_at(0.0, -20 * CELL).sum() == 0


@settings(max_examples=60)
@given(st.floats(-700, 700), st.floats(-700, 700), st.floats(200, 3000), st.floats(0.5, 2))
def test_shares_add_up_to_the_visible_part_of_the_box_and_mirror_with_the_face(x, y, z, focal):
    center = torch.tensor([[x, y, z]], dtype=torch.float64)
    grid = face_grid(center, focal)
    sides = [
        max(0.0, min(0.5, focal * (at + FACE_WIDTH / 2) / z) - max(-0.5, focal * (at - FACE_WIDTH / 2) / z))
        for at in (x, y)
    ]
    assert grid.sum().item() == pytest.approx(np.prod(sides) * GRID**2, abs=1e-6)
    assert ((grid >= 0) & (grid <= 1)).all()
    mirrored = face_grid(center * torch.tensor([-1.0, 1.0, 1.0]), focal)
    torch.testing.assert_close(mirrored, grid.flip(2), atol=1e-9, rtol=0)
    exchanged = face_grid(center[:, [1, 0, 2]], focal)
    torch.testing.assert_close(exchanged, grid.mT, atol=1e-9, rtol=0)


def test_each_face_of_a_batch_has_its_own_grid():
    centers = torch.tensor([[0.0, 0.0, 800.0], [50.0, -70.0, 500.0], [-200.0, 10.0, 1000.0]])
    grids = face_grid(centers)
    assert grids.shape == (3, 25, 25)
    for center, grid in zip(centers, grids, strict=True):
        torch.testing.assert_close(face_grid(center[None])[0], grid)


@pytest.mark.parametrize(
    ("center", "error", "message"),
    [
        (None, TypeError, "center must be a tensor or array; got NoneType None"),
        (torch.zeros(3), ValueError, r"center must have shape \[B, 3\]"),
        (torch.zeros(2, 2), ValueError, r"center must have shape \[B, 3\]"),
        (torch.tensor([[0, 0, 800]]), TypeError, "center must be floating point"),
        (torch.tensor([[0.0, torch.nan, 800.0]]), ValueError, "center must be finite"),
        (torch.tensor([[0.0, 0.0, -800.0]]), ValueError, "center must lie in front of the camera"),
        (torch.tensor([[0.0, 0.0, 800.0], [0.0, 0.0, 0.0]]), ValueError, "center must lie in front of the camera"),
    ],
)
def test_bad_centers_are_named(center, error, message):
    with pytest.raises(error, match=message):
        face_grid(center)


@pytest.mark.parametrize("focal", [0.0, -1.0, float("nan")])
def test_a_focal_length_that_is_none_is_refused(focal):
    with pytest.raises(ValueError, match="focal must be"):
        grid_at(0.0, 0.0, focal=focal)


def test_an_array_of_centers_is_taken_or_named():
    try:
        assert face_grid(np.array([[0.0, 0.0, 800.0]])).sum() == pytest.approx(25)
    except TypeError as error:
        assert str(error).startswith("center must")  # noqa: PT017


# ---------------------------------------------------------------------- a band across the face


def test_a_band_shows_its_rows_at_its_size():
    band = Band((96, 224), 1 / 7, 4 / 7)
    cut = band.cut(ramps(112, 112) / 112)
    assert cut.shape == (1, 2, 96, 224)
    x, y = 112 * cut[0, :, 48, 112]
    assert (x.item(), y.item()) == pytest.approx((56.25, 40.25), abs=0.02), "halfway between rows 16 and 64"
    assert 112 * cut[0, 1].min() == pytest.approx(16.5, abs=0.02)
    assert 112 * cut[0, 1].max() == pytest.approx(63.5, abs=0.02)


def test_the_whole_face_at_its_own_size_is_left_as_it_is():
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(Band(64).cut(images), images)


def test_a_smaller_band_averages_rather_than_skips_pixels():
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 1.0
    assert Band((16, 16)).cut(stripes)[..., 2:-2, 2:-2].sub(0.5).abs().max() < 0.1


@given(st.floats(0, 112), st.floats(20, 60))
def test_points_are_where_the_band_shows_them(x, y):
    band = Band((96, 224), 1 / 7, 4 / 7)
    there = band.locate(torch.tensor([[x, y]]), (112, 112))
    assert there[0].tolist() == pytest.approx([2 * x, 2 * (y - 16)], abs=1e-3)


def test_the_middle_of_an_eye_is_the_mean_of_its_points():
    both = eye_centers(eyes_at((40.3, 44.8), (79.2, 46.1)))
    torch.testing.assert_close(both, torch.tensor([[[40.3, 44.8], [79.2, 46.1]]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Band((96, 224), 0.6, 0.4), "top and bottom must fulfill"),
        (lambda: Band((96, 224), 0.0, 1.2), "top and bottom must fulfill"),
        (lambda: Band((0, 224)), "size must be 1 or more"),
        (lambda: Band(8, 0.5, 0.501).cut(torch.rand(1, 3, 32, 32)), "top and bottom must leave a row"),
        (lambda: eye_centers(torch.zeros(1, 5, 2)), "landmarks must be"),
    ],
)
def test_bands_that_show_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
