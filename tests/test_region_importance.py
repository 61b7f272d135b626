"""Which part of an image an error depends on: known here, because the error is made by hand."""

import numpy as np
import pytest
import torch

from gazecourse.analysis.region_importance import eye_region, mask_centers, region_importance, share_of_eyes


def one_patch_error(images):
    """An error that grows with how far the patch of rows 8-15, columns 16-23 is from white."""
    return 10 * (1 - images[..., 8:16, 16:24]).mean((1, 2, 3))


def test_the_rise_is_where_the_error_looks_and_nowhere_else():
    importance = region_importance(one_patch_error, torch.ones(2, 3, 32, 40), mask=8, stride=8)
    assert importance.shape == (2, 4, 5)
    expected = torch.zeros(4, 5)
    expected[1, 2] = 5.0
    assert torch.allclose(importance, expected.expand(2, 4, 5))


def test_the_rise_is_a_difference_and_negative_where_hiding_helps():
    importance = region_importance(one_patch_error, torch.zeros(1, 3, 32, 40), mask=8, stride=8)
    assert importance[0, 1, 2] == -5.0


def test_positions_lie_wholly_in_the_image_and_overlap_by_the_stride():
    importance = region_importance(one_patch_error, torch.ones(1, 3, 30, 40), mask=16, stride=8)
    assert importance.shape == (1, 2, 4)
    assert torch.allclose(importance[0, 0], torch.tensor([0.0, 5.0, 5.0, 0.0]))
    assert mask_centers(30, 16, 8).tolist() == [8.0, 16.0]


def test_the_images_stay_as_they_were():
    images = torch.rand(2, 3, 16, 16)
    before = images.clone()
    region_importance(lambda x: x.mean((1, 2, 3)), images, mask=4, stride=4)
    assert torch.equal(images, before)


def landmarks(x, y):
    points = torch.zeros(1, 68, 2)
    points[0, 36:48] = torch.tensor([x, y])
    points[0, 36] = torch.tensor([x - 8.0, y])
    return points


def test_the_eye_region_is_the_box_of_the_eyes_with_rows_down_and_columns_across():
    region = eye_region(landmarks(30.0, 12.0), 40, mask=8, stride=8)
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[1, 3] = True  # middles at x = 28, y = 12
    assert torch.equal(region[0], expected)
    assert eye_region(landmarks(30.0, 12.0), 40, mask=8, stride=8, margin=8.0)[0].sum() == 9


def test_the_share_counts_rises_only_and_is_unknown_where_there_are_none():
    importance = torch.tensor([[[3.0, -2.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0]]])
    region = torch.tensor([[[True, True], [False, False]]] * 2)
    share = share_of_eyes(importance, region)
    assert share[0] == 0.75
    assert np.isnan(share[1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": torch.zeros(2, 16, 16)}, ValueError, r"images must have shape \[N, 3, H, W\]"),
        ({"images": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)}, TypeError, "images must be floating point"),
        ({"images": torch.full((2, 3, 16, 16), 255.0)}, ValueError, r"images must lie in \[-0.05, 1.05\]; got .* 255"),
        ({"mask": 17}, ValueError, "mask must be 1 or more, at most 16; got 17"),
        ({"stride": 0}, ValueError, "stride must be 1 or more; got 0"),
        ({"error": lambda images: images.mean()}, ValueError, r"error must return one number per image, \[2\]"),
    ],
)
def test_what_does_not_fit_is_named(change, error, message):
    arguments = {"error": one_patch_error, "images": torch.zeros(2, 3, 16, 16), "mask": 4, "stride": 4} | change
    with pytest.raises(error, match=message):
        region_importance(arguments.pop("error"), arguments.pop("images"), **arguments)
