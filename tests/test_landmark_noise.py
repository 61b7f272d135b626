"""Hardness by hand, and what label noise promises: its size, its share along the outline, and the clean truth kept."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse.angles import pitchyaw_to_vector, vector_to_pitchyaw
from gazecourse.exercises import landmarks as exercises
from gazecourse.faces.domains import STUDIO, WILD
from gazecourse.landmark_noise import (
    OUTLINES,
    blur_sigma,
    face_hardness,
    noise_learned,
    noisy_labels,
    subset_of_hardness,
)

UNIT = st.floats(0, 1)


def face():
    """A frontal face of 68 points, 100 × 64 pixels and so of size 80: jaw, brows, and the rest on a grid."""
    points = torch.zeros(68, 2, dtype=torch.float64)
    turn = torch.linspace(math.pi, 0, 17, dtype=torch.float64)
    points[:17] = torch.stack([50 + 50 * turn.cos(), 20 + 44 * turn.sin()], 1)
    points[17:22, 0] = torch.linspace(10, 40, 5)
    points[22:27, 0] = torch.linspace(60, 90, 5)
    points[27:, 0] = 20 + 10 * (torch.arange(41) % 7)
    points[27:, 1] = 10 + 8 * (torch.arange(41) // 7)
    return points


def faces(count):
    return face().repeat(count, 1, 1)


def noise_of(count, hardness=1.0, level=0.05, seed=0):
    """Displacements [B, 68, 2] from the truth."""
    clean = faces(count)
    return noisy_labels(clean, torch.full((count,), hardness, dtype=torch.float64), level, seed) - clean


# ---------------------------------------------------------------------- hardness


def hardness(pitch=0.0, yaw=0.0, hidden=0, points=10, blur=0.0):
    visible = torch.arange(points) >= hidden
    head = torch.tensor([[math.radians(pitch), math.radians(yaw)]])
    return float(face_hardness(head, visible[None], torch.tensor([blur])))


def test_hardness_of_faces_computed_by_hand():
    assert hardness() == pytest.approx(0, abs=1e-6)
    assert hardness(yaw=45) == pytest.approx(0.5, abs=1e-6)
    assert hardness(yaw=-45) == hardness(pitch=45) == pytest.approx(0.5, abs=1e-6)
    assert hardness(hidden=3) == pytest.approx(0.3, abs=1e-6)
    assert hardness(blur=0.005) == pytest.approx(0.25, abs=1e-6)
    assert hardness(yaw=45, hidden=3, blur=0.005) == pytest.approx(1 - 0.5 * 0.7 * 0.75, abs=1e-6)
    assert hardness(pitch=60, yaw=60) == pytest.approx(math.acos(0.25) / (math.pi / 2), abs=1e-6), "cos 60° · cos 60°"


def test_hardness_ends_at_1_in_profile_when_all_is_hidden_or_blurred():
    assert (
        hardness(yaw=90) == hardness(yaw=140) == hardness(hidden=10) == hardness(blur=0.02) == hardness(blur=5.0) == 1
    )


@settings(max_examples=50)
@given(UNIT, UNIT, UNIT, UNIT, UNIT, UNIT)
def test_hardness_lies_in_0_1_and_grows_with_each_of_its_parts(yaw, hidden, blur, more_yaw, more_hidden, more_blur):
    base = hardness(yaw=90 * yaw, hidden=int(9 * hidden), blur=0.02 * blur)
    assert 0 <= base <= 1
    turned = hardness(yaw=90 * yaw + (90 - 90 * yaw) * more_yaw, hidden=int(9 * hidden), blur=0.02 * blur)
    covered = hardness(yaw=90 * yaw, hidden=min(10, int(9 * hidden) + round(5 * more_hidden)), blur=0.02 * blur)
    blurred = hardness(yaw=90 * yaw, hidden=int(9 * hidden), blur=0.02 * (blur + more_blur))
    assert min(turned, covered, blurred) >= base - 1e-6


def test_pose_is_the_angle_between_the_head_and_the_camera():
    head = torch.tensor([[0.3, -0.7], [-0.2, 1.1], [0.0, 0.0]])
    angles = np.degrees(np.arccos(-pitchyaw_to_vector(head)[:, 2].double().numpy()))
    values = face_hardness(head, torch.ones(3, 68, dtype=torch.bool), torch.zeros(3))
    np.testing.assert_allclose(values.numpy(), angles / 90, atol=1e-6)


def test_blur_of_lens_motion_and_sensor_adds_up_in_squares():
    factors = STUDIO.sample([0, 1, 2, 3], people=1, seed=0, split="train")
    plain = factors.replace(defocus=0.0, motion=0.0, resolution=1.0)
    assert not blur_sigma(plain, 112).any()
    torch.testing.assert_close(blur_sigma(plain.replace(defocus=0.01), 112), torch.full((4,), 0.01))
    moved = plain.replace(motion=torch.tensor([0.03, 0.04]))
    torch.testing.assert_close(blur_sigma(moved, 112), torch.full((4,), 0.05 / math.sqrt(12)))
    coarse = blur_sigma(plain.replace(resolution=0.5), 112)
    torch.testing.assert_close(coarse, torch.full((4,), math.sqrt(3 / 12) / 112))
    torch.testing.assert_close(blur_sigma(plain.replace(resolution=0.5), 224), coarse / 2)
    all_three = moved.replace(defocus=0.01, resolution=0.5)
    expected = math.sqrt(0.01**2 + 0.05**2 / 12 + float(coarse[0]) ** 2)
    torch.testing.assert_close(blur_sigma(all_three, 112), torch.full((4,), expected))


def test_a_path_spreads_a_point_by_its_length_over_the_root_of_12():
    path = np.linspace(-0.5, 0.5, 100_001)
    assert path.std() == pytest.approx(1 / math.sqrt(12), rel=1e-4)


def test_the_wild_domain_is_harder_than_the_studio():
    means = []
    for domain in (STUDIO, WILD):
        factors = domain.sample(range(300), people=10, seed=0, split="train")
        head = vector_to_pitchyaw(-factors.head_rotation[..., 2])
        visible = torch.ones(300, 68, dtype=torch.bool)
        means.append(face_hardness(head, visible, blur_sigma(factors, 112)).mean())
    assert means[1] > means[0] + 0.1


# ---------------------------------------------------------------------- thirds


@settings(max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), min_size=3, max_size=40))
def test_thirds_cover_everybody_once_and_are_ordered_and_of_one_size(values):
    values = torch.tensor(values)
    masks = [subset_of_hardness(values, which) for which in ("easy", "medium", "hard")]
    assert all(mask.dtype == torch.bool for mask in masks)
    assert (sum(mask.int() for mask in masks) == 1).all()
    sizes = [int(mask.sum()) for mask in masks]
    assert max(sizes) - min(sizes) <= 1
    for easier, harder in itertools.pairwise(masks):
        assert values[easier].max() <= values[harder].min()


def test_thirds_of_seven_faces_by_hand():
    values = torch.tensor([0.9, 0.1, 0.5, 0.5, 0.3, 0.7, 0.2])
    assert subset_of_hardness(values, "easy").nonzero().flatten().tolist() == [1, 6]
    assert subset_of_hardness(values, "medium").nonzero().flatten().tolist() == [2, 3, 4]
    assert subset_of_hardness(values, "hard").nonzero().flatten().tolist() == [0, 5]
    equal = torch.zeros(6)
    assert subset_of_hardness(equal, "easy").tolist() == [True, True, False, False, False, False]


# ---------------------------------------------------------------------- noise


def test_the_clean_truth_stays_untouched():
    clean = faces(3)
    before = clean.clone()
    noisy = noisy_labels(clean, torch.ones(3, dtype=torch.float64), 0.1, 0)
    assert torch.equal(clean, before)
    assert not torch.equal(noisy, clean)


def test_a_seed_gives_the_same_labels_and_another_seed_others():
    assert torch.equal(noise_of(5, seed=3), noise_of(5, seed=3))
    assert (noise_of(5, seed=3) - noise_of(5, seed=4)).abs().min() > 0
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    noise_of(5)
    assert torch.equal(torch.rand(1), first), "the global random numbers are left alone"


def test_noise_grows_in_proportion_to_hardness_and_level():
    whole = noise_of(4, hardness=1.0, level=0.05)
    torch.testing.assert_close(noise_of(4, hardness=0.3, level=0.05), 0.3 * whole)
    torch.testing.assert_close(noise_of(4, hardness=1.0, level=0.15), 3 * whole)
    assert not noise_of(4, hardness=0.0).any()
    assert not noise_of(4, level=0).any()


def test_each_face_has_the_noise_of_its_own_hardness():
    clean = faces(6)
    values = torch.linspace(0, 1, 6, dtype=torch.float64)
    noise = noisy_labels(clean, values, 0.05, 0) - clean
    torch.testing.assert_close(noise, values.view(-1, 1, 1) * noise_of(6))


def test_root_mean_square_distance_is_level_times_face_size_for_every_landmark():
    squared = noise_of(4000, level=0.05).square().sum(2)
    assert squared.mean().sqrt().item() == pytest.approx(0.05 * 80, rel=0.01)
    torch.testing.assert_close(squared.mean(0).sqrt(), torch.full((68,), 4.0, dtype=torch.float64), rtol=0.06, atol=0)


def test_noise_has_no_drift():
    assert noise_of(4000).mean(0).abs().max() < 4 * 4 / math.sqrt(4000)


def test_noise_scales_with_the_face():
    ones = torch.ones(3, dtype=torch.float64)
    large = noisy_labels(2.5 * faces(3) + 7, ones, 0.05, 0) - (2.5 * faces(3) + 7)
    torch.testing.assert_close(large, 2.5 * noise_of(3))


def tangents_by_loops():
    """Unit vectors along jaw and brows, point by point; None elsewhere."""
    points, found = face(), [None] * 68
    for first, last in ((0, 16), (17, 21), (22, 26)):
        for i in range(first, last + 1):
            along = points[min(i + 1, last)] - points[max(i - 1, first)]
            found[i] = along / along.norm()
    return found


def test_points_of_the_outline_slide_along_it_together():
    """0.6 of the variance is one slide: the correlation of tangential errors is 0.6 / (0.6 + 0.4 / 2)."""
    noise, tangents = noise_of(4000), tangents_by_loops()
    along = torch.stack([noise[:, i] @ tangents[i] for i in range(27)])
    across = torch.stack([noise[:, i] @ tangents[i].flip(0).mul(torch.tensor([-1.0, 1.0])) for i in range(27)])
    correlation = torch.corrcoef(along)
    line = torch.tensor([0] * 17 + [1] * 5 + [2] * 5)
    together = (line[:, None] == line) & ~torch.eye(27, dtype=torch.bool)
    apart = line[:, None] != line
    assert correlation[together].min() > 0.75 - 0.05
    assert correlation[together].max() < 0.75 + 0.05
    assert correlation[apart].abs().max() < 0.08, "jaw and brows slide each for themselves"
    assert torch.corrcoef(across)[~torch.eye(27, dtype=torch.bool)].abs().max() < 0.08
    assert along.var().item() == pytest.approx(16 * 0.8, rel=0.03)
    assert across.var().item() == pytest.approx(16 * 0.2, rel=0.03)


def test_the_other_points_err_alone_and_in_all_directions_alike():
    inner = noise_of(4000)[:, 27:].flatten(1)
    correlation = torch.corrcoef(inner.T)
    assert correlation[~torch.eye(82, dtype=torch.bool)].abs().max() < 0.08
    torch.testing.assert_close(inner.var(0), torch.full((82,), 8.0, dtype=torch.float64), rtol=0.12, atol=0)


def test_noise_is_its_formula_written_with_loops():
    clean, level, seed = faces(3), 0.05, 7
    clean[1] += 3 * torch.randn(68, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    alone = torch.randn(3, 68, 2, generator=generator, dtype=torch.float64)
    slides = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    expected = clean.clone()
    for b in range(3):
        (left, top), (right, bottom) = clean[b].min(0).values, clean[b].max(0).values
        sigma = level * values[b] * torch.sqrt((right - left) * (bottom - top))
        for i in range(68):
            shift = alone[b, i] / math.sqrt(2)
            for line, (first, last) in enumerate(((0, 16), (17, 21), (22, 26))):
                if first <= i <= last:
                    along = clean[b, min(i + 1, last)] - clean[b, max(i - 1, first)]
                    shift = math.sqrt(0.6) * slides[b, line] * along / along.norm() + math.sqrt(0.4) * shift
            expected[b, i] += sigma * shift
    torch.testing.assert_close(noisy_labels(clean, values, level, seed), expected)


def test_float32_landmarks_get_the_same_noise_in_float32():
    noisy = noisy_labels(faces(2).float(), torch.ones(2), 0.05, 0)
    assert noisy.dtype == torch.float32
    torch.testing.assert_close(noisy, (faces(2) + noise_of(2)).float())


def test_points_that_coincide_and_faces_without_extent_stay_finite():
    clean = faces(2)
    clean[0, :17] = clean[0, 0]  # a jaw seen edge-on
    clean[1] = 5.0
    noisy = noisy_labels(clean, torch.ones(2, dtype=torch.float64), 0.05, 0)
    assert noisy.isfinite().all()
    assert torch.equal(noisy[1], clean[1])


def test_outlines_are_jaw_and_brows_of_the_68_points():
    assert [point for line in OUTLINES for point in line] == list(range(27))


# ---------------------------------------------------------------------- noise that was learned


def test_share_of_the_noise_by_hand():
    clean = torch.zeros(1, 2, 2)
    noisy = torch.tensor([[[3.0, 4.0], [0.0, 10.0]]])  # squares of the lengths: 25 and 100
    pred = torch.tensor([[[3.0, 4.0], [7.0, 2.0]]])  # dot products: 25 and 20
    assert noise_learned(pred, clean, noisy) == pytest.approx(45 / 125)
    assert noise_learned(pred + 50, clean + 50, noisy + 50) == pytest.approx(45 / 125)


def test_giving_back_labels_is_1_the_truth_0_and_errors_at_right_angles_count_nothing():
    clean, noise = faces(4), torch.randn(4, 68, 2, generator=torch.Generator().manual_seed(0)).double()
    aside = noise.flip(-1) * torch.tensor([1.0, -1.0])
    for pred, share in ((clean + noise, 1.0), (clean, 0.0), (clean + 5 * aside, 0.0), (clean - 0.5 * noise, -0.5)):
        assert noise_learned(pred, clean, clean + noise) == pytest.approx(share, abs=1e-9)
    assert float(exercises._share_of_noise(clean + 0.3 * noise, clean, clean + noise)) == pytest.approx(0.3)


def test_errors_that_know_nothing_of_the_noise_have_a_share_of_about_0_however_large_they_are():
    generator = torch.Generator().manual_seed(2)
    clean = torch.zeros(500, 68, 2)
    noisy = torch.randn(500, 68, 2, generator=generator)
    pred = 10 * torch.randn(500, 68, 2, generator=generator)
    assert abs(noise_learned(pred, clean, noisy)) < 0.15


def test_without_noise_there_is_nothing_to_learn():
    clean = torch.zeros(2, 68, 2)
    with pytest.raises(ValueError, match="noisy must differ from clean; there is no noise to learn"):
        noise_learned(clean + 1, clean, clean)
    with pytest.raises(ValueError, match=r"pred must have shape \[2, 68, 2\]; got .*\[2, 29, 2\]"):
        noise_learned(clean[:, :29], clean, clean + 1)


# ---------------------------------------------------------------------- bad input

LANDMARKS, HARDNESS = faces(3).float(), torch.full((3,), 0.5)
HEAD, SEEN, SHARP = torch.zeros(3, 2), torch.ones(3, 68, dtype=torch.bool), torch.zeros(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: noisy_labels(LANDMARKS[:, :29], HARDNESS, 0.1, 0),
            ValueError,
            r"landmarks must have shape \[B, 68, 2\]; got tensor of shape \[3, 29, 2\]",
        ),
        (lambda: noisy_labels(LANDMARKS.int(), HARDNESS, 0.1, 0), TypeError, "landmarks must be floating point"),
        (lambda: noisy_labels(LANDMARKS * math.nan, HARDNESS, 0.1, 0), ValueError, "landmarks must be finite"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS[:2], 0.1, 0), ValueError, r"hardness must have shape \[3\]; got"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS + 1, 0.1, 0), ValueError, r"hardness must lie in \[0, 1\]; got"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, -0.1, 0), ValueError, "level must be a finite number, 0 or more"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, math.inf, 0), ValueError, "level must be .*; got inf"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, math.nan, 0), ValueError, "level must be .*; got nan"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, "0.1", 0), TypeError, "level must be a number.*; got str '0.1'"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, 0.1, 0.5), TypeError, "seed must be a whole number; got float 0.5"),
        (lambda: noisy_labels(LANDMARKS, HARDNESS, 0.1, -1), ValueError, "seed must be 0 or more; got -1"),
        (lambda: face_hardness(HEAD[0], SEEN, SHARP), ValueError, r"head must have shape \[B, 2\]"),
        (lambda: face_hardness(HEAD, SEEN[:2], SHARP), ValueError, r"visibility must have shape \[3, N\]"),
        (lambda: face_hardness(HEAD, SEEN.float(), SHARP), ValueError, r"visibility must be bool \[3, N\], .*float32"),
        (lambda: face_hardness(HEAD, SEEN[:, :0], SHARP), ValueError, r"visibility must be bool \[3, N\], N above 0"),
        (lambda: face_hardness(HEAD, SEEN, SHARP - 1), ValueError, r"blur must lie in \[0, inf\]; got values from -1"),
        (lambda: face_hardness(HEAD, SEEN, SHARP[:1]), ValueError, r"blur must have shape \[3\]; got"),
        (lambda: blur_sigma({"defocus": 0.1}, 112), TypeError, "factors must be Factors; got dict"),
        (
            lambda: blur_sigma(STUDIO.sample([0], people=1, seed=0, split="train"), 0),
            ValueError,
            "size must be 1 or more; got 0",
        ),
        (lambda: subset_of_hardness(HARDNESS, "harder"), ValueError, "which must be one of 'easy', 'medium', 'hard'"),
        (
            lambda: subset_of_hardness(HARDNESS[:2], "easy"),
            ValueError,
            "hardness must be of three faces or more; got 2",
        ),
        (lambda: subset_of_hardness(HARDNESS[None], "easy"), ValueError, r"hardness must have shape \[B\]"),
        (lambda: subset_of_hardness(HARDNESS * math.nan, "easy"), ValueError, "hardness must be finite"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
