"""The occlusion study on networks made by hand, of which one knows what moves when a region is covered."""

import pytest
import torch

from gazecourse.analysis.occlusion import GRAY, REGIONS, cover, influence, under_cover
from gazecourse.landmark_noise import face_sizes

SIDE = 40
# Four landmarks, one in each corner of a face of 20 × 20 pixels, so that its size is 20.
FACE = torch.tensor([[10.0, 10.0], [30.0, 10.0], [10.0, 30.0], [30.0, 30.0]])
PARTS = {"top": [0, 1], "bottom": [2, 3]}


def faces(count=2):
    return torch.ones(count, 3, SIDE, SIDE), FACE.repeat(count, 1, 1)


def local(images):
    """Landmark i moves by 4 (1 − the brightness at its own place), to the right."""
    at = FACE.long()
    darkness = 1 - images[:, 0][:, at[:, 1], at[:, 0]]
    return FACE + 4 * torch.stack([darkness, torch.zeros_like(darkness)], dim=2)


def coupled(images):
    """All landmarks move alike with the brightness of the whole image."""
    return FACE + 100 * (1 - images.mean((1, 2, 3))).view(-1, 1, 1).expand(-1, 4, 2)


# ---------------------------------------------------------------------- covers


def test_a_cover_is_a_gray_disk_around_each_landmark_and_nothing_else():
    images, landmarks = faces(1)
    covered = cover(images, landmarks, [0], radius=0.2)
    x, y = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="xy")
    disk = (x - 10) ** 2 + (y - 10) ** 2 <= 4**2
    assert torch.equal(covered[0, 0] == GRAY, disk)
    assert (covered[0, :, ~disk] == 1).all()
    assert disk.sum() == 52, "about π 4²"


def test_disks_grow_with_the_face_and_images_stay_as_they_were():
    images, landmarks = faces(2)
    landmarks[1] = 20 + (landmarks[1] - 20) / 2
    covered = cover(images, landmarks, [0, 3], radius=0.2)
    large, small = ((part == GRAY).sum().item() for part in covered[:, 0])
    assert large == pytest.approx(4 * small, rel=0.25)
    assert (images == 1).all()
    assert face_sizes(landmarks).tolist() == [20.0, 10.0]


def test_landmarks_under_a_cover_are_those_within_its_disks():
    _, landmarks = faces(1)
    assert under_cover(landmarks, landmarks, [0], radius=0.2)[0].tolist() == [True, False, False, False]
    assert under_cover(landmarks, landmarks, [0], radius=1.0)[0].tolist() == [True, True, True, False]


# ---------------------------------------------------------------------- influence


def test_landmarks_that_look_at_their_own_place_move_only_under_the_cover():
    found = influence(local, *faces(), PARTS)
    assert found.names == ("top", "bottom")
    torch.testing.assert_close(found.matrix, torch.tensor([[0.1, 0.0], [0.0, 0.1]]))
    torch.testing.assert_close(found.under_cover, torch.tensor([0.1, 0.1]))
    torch.testing.assert_close(found.elsewhere, torch.zeros(2))
    assert found.moved.shape == (2, 2, 4, 2)
    torch.testing.assert_close(found.moved[1, 0], torch.tensor([[0.0, 0.0], [0.0, 0.0], [2.0, 0.0], [2.0, 0.0]]))


def test_landmarks_that_look_at_everything_move_everywhere_alike():
    found = influence(coupled, *faces(), PARTS)
    torch.testing.assert_close(found.under_cover, found.elsewhere)
    assert found.matrix.std() < 1e-6
    assert found.matrix.min() > 0.01


def test_a_network_that_errs_has_not_moved_for_that():
    found = influence(lambda images: local(images) + torch.tensor([3.0, -2.0]), *faces(), PARTS)
    torch.testing.assert_close(found.matrix, torch.tensor([[0.1, 0.0], [0.0, 0.1]]))


def test_rows_are_what_is_covered_and_columns_what_moves():
    def one_way(images):
        """The bottom looks at the top's left corner; nothing else moves."""
        darkness = 1 - images[:, 0, 10, 10]
        return FACE + 4 * darkness.view(-1, 1, 1) * torch.tensor([0.0, 0.0, 1.0, 1.0]).view(4, 1)

    matrix = influence(one_way, *faces(), PARTS).matrix
    assert matrix[0, 1] > 0.1
    assert matrix.sum() == matrix[0, 1]


def test_a_region_may_be_a_single_landmark_and_batches_change_nothing():
    single = {str(number): [number] for number in range(4)}
    whole, parts = (influence(local, *faces(5), single, batch=batch) for batch in (5, 2))
    torch.testing.assert_close(whole.matrix, 0.1 * torch.eye(4))
    assert torch.equal(whole.moved, parts.moved)


def test_landmarks_of_another_region_that_the_disks_reach_count_as_hidden():
    found = influence(local, *faces(), {"left top": [0], "right top": [1]}, radius=1.0)
    assert found.hidden[0, 0].tolist() == [True, True, True, False]
    torch.testing.assert_close(found.elsewhere, torch.zeros(2))


def test_the_parts_of_the_face_share_the_68_landmarks_among_them():
    assert sorted(point for points in REGIONS.values() for point in points) == list(range(68))


IMAGES, LANDMARKS = faces()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cover(255 * IMAGES, LANDMARKS, [0]), ValueError, r"images must lie in \[-0.05, 1.05\]"),
        (lambda: cover(IMAGES, LANDMARKS[:1], [0]), ValueError, r"landmarks must have shape \[2, N, 2\]"),
        (lambda: cover(IMAGES, LANDMARKS, [4]), ValueError, "points must be numbers of landmarks from 0 to 3"),
        (lambda: cover(IMAGES, LANDMARKS, []), ValueError, "points must be numbers of landmarks .* one or more"),
        (lambda: cover(IMAGES, LANDMARKS, [0], radius=0), ValueError, "radius must be a finite number above 0"),
        (lambda: influence(local, IMAGES, LANDMARKS), ValueError, r"regions\['jaw'\] must be .* from 0 to 3"),
        (lambda: influence(local, IMAGES, LANDMARKS, {"all": [0]}), ValueError, "regions must be .* two or more"),
        (lambda: influence(local, IMAGES, 0 * LANDMARKS, PARTS), ValueError, "landmarks must span a face"),
        (
            lambda: influence(lambda images: local(images)[:, :3], IMAGES, LANDMARKS, PARTS),
            ValueError,
            r"predict's result must have shape \[2, 4, 2\]",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
