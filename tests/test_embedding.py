"""Maps of features can be repeated, and agreement of neighbors tells what features know from what they do not."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from gazecourse.analysis.embedding import neighborhood_agreement, umap_embedding


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def people():
    """Feature maps [60, 8, 3, 3] of six people that lie far apart, and who is who."""
    person = torch.arange(6).repeat_interleave(10)
    return 5 * noise(6, 8, 3, 3, seed=1)[person] + noise(60, 8, 3, 3), person


# --- the map ------------------------------------------------------------------------------------


def test_map_keeps_people_together_and_apart_from_others(people):
    features, person = people
    points = umap_embedding(features, neighbors=8)
    assert points.shape == (60, 2)
    assert points.dtype == np.float32
    assert neighborhood_agreement(points, person, neighbors=5) == 1


def test_same_seed_gives_the_same_map_and_another_seed_another(people):
    features, _ = people
    first = umap_embedding(features, neighbors=8, seed=3)
    assert np.array_equal(umap_embedding(features, neighbors=8, seed=3), first)
    assert not np.allclose(umap_embedding(features, neighbors=8, seed=4), first)


def test_same_seed_gives_the_same_map_of_features_too_large_for_an_exact_analysis():
    wide = noise(100, 600)
    assert np.array_equal(umap_embedding(wide), umap_embedding(wide))


def test_tensors_that_need_gradients_and_arrays_give_the_same_map(people):
    features, _ = people
    first = umap_embedding(features.clone().requires_grad_(), neighbors=8)
    assert np.array_equal(umap_embedding(features.flatten(1).numpy(), neighbors=8), first)


def test_few_samples_and_few_features_suffice():
    assert np.isfinite(umap_embedding(noise(3, 1), neighbors=2)).all()
    assert np.isfinite(umap_embedding(noise(16, 300))).all()


def test_clusters_without_a_link_print_nothing_and_warn_of_nothing(capfd):
    apart = noise(60, 99) + 1000 * torch.arange(3).repeat_interleave(20)[:, None]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        umap_embedding(apart, neighbors=5)
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def test_import_leaves_the_slow_packages_for_later():
    code = "import sys, gazecourse.analysis.embedding; print(sorted({'umap', 'numba', 'sklearn'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- agreement ----------------------------------------------------------------------------------


def test_features_that_hold_a_quantity_agree_fully_and_noise_does_not():
    yaw = noise(400, seed=2)
    assert neighborhood_agreement(yaw[:, None], yaw) > 0.99
    assert neighborhood_agreement(noise(400, 8), yaw) == pytest.approx(-0.1, abs=0.08)


def test_agreement_of_a_quantity_is_the_r2_of_neighbors_means():
    features = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    values = torch.tensor([1.0, 2.0, 4.0, 9.0])
    # Nearest others: 0→1, 1→0, 2→3, 3→2; the errors are 1, 1, 5, 5; the mean is 4.
    assert neighborhood_agreement(features, values, neighbors=1) == pytest.approx(1 - 52 / (9 + 4 + 0 + 25))


def test_agreement_falls_as_noise_hides_the_quantity():
    yaw = noise(300, seed=2)
    scores = [neighborhood_agreement(yaw[:, None] + level * noise(300, 1), yaw) for level in (0, 0.5, 1, 4)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.8


def test_categories_agree_fully_in_groups_and_not_at_all_where_drawn_at_random(people):
    features, person = people
    assert neighborhood_agreement(features, person, neighbors=5) == 1
    assert neighborhood_agreement(noise(2000, 4), noise(2000, seed=2) > 1.0) == pytest.approx(0, abs=0.03)


def test_agreement_of_categories_is_the_share_above_chance():
    features = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    # Nearest others: 0→1 same, 1→0 same, 2→3 not, 3→2 not; of 12 ordered pairs, 3·2 share a label.
    score = neighborhood_agreement(features, torch.tensor([7, 7, 7, 1]), neighbors=1)
    assert score == pytest.approx((0.5 - 0.5) / (1 - 0.5))
    assert neighborhood_agreement(features, np.array([5, 5, 1, 1]), neighbors=1) == 1


def test_integers_are_names_like_words_so_that_their_order_does_not_matter(people):
    features, person = people
    mixed = features + 20 * noise(60, 8, 3, 3, seed=9)
    expected = neighborhood_agreement(mixed, person)
    assert neighborhood_agreement(mixed, torch.tensor([40, 7, -3, 1000, 2, 5])[person]) == expected
    assert neighborhood_agreement(mixed, [f"person {number}" for number in person]) == expected


def test_equal_faces_do_not_count_as_their_own_neighbors():
    features = torch.zeros(4, 3)
    assert neighborhood_agreement(features, torch.tensor([0, 1, 2, 3]), neighbors=3) == pytest.approx(0)


def test_period_makes_neighbors_of_the_ends_of_a_circle():
    degrees = torch.arange(0, 360, 2.0)
    circle = torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
    assert neighborhood_agreement(circle, degrees, neighbors=4, period=360) > 0.99
    assert neighborhood_agreement(circle, degrees, neighbors=4) < 0.99


def test_scale_of_features_and_half_precision_do_not_matter():
    yaw = noise(200, seed=2)
    features = torch.stack([yaw, noise(200)], dim=1).half()
    expected = neighborhood_agreement(features.float(), yaw)
    assert neighborhood_agreement(features, yaw) == pytest.approx(expected)
    assert neighborhood_agreement(1000 * features.float(), yaw) == pytest.approx(expected)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [umap_embedding, lambda features: neighborhood_agreement(features, noise(20))])
@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (noise(20), ValueError, r"features must have shape \[N, ...\].*shape \[20\]"),
        (noise(20, 0), ValueError, r"features must have shape \[N, ...\].*shape \[20, 0\]"),
        (torch.full((20, 3), torch.nan), ValueError, "features must be finite; got NaN"),
        (torch.ones(20, 3, dtype=torch.long), TypeError, "features must be floating point"),
        ([[1.0, 2.0]] * 20, TypeError, "features must be a tensor or array; got list"),
    ],
)
def test_features_of_another_form_are_refused_by_name(measure, features, error, message):
    with pytest.raises(error, match=message):
        measure(features)


def test_fewer_samples_than_neighbors_are_refused():
    with pytest.raises(ValueError, match=r"features must hold at least neighbors \+ 1 = 16 samples; got 15"):
        umap_embedding(noise(15, 4))
    with pytest.raises(ValueError, match=r"features must hold at least neighbors \+ 1 = 11 samples; got 10"):
        neighborhood_agreement(noise(10, 4), noise(10))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"neighbors": 1}, ValueError, "neighbors must be 2 or more; got 1"),
        ({"neighbors": 2.5}, TypeError, "neighbors must be a whole number"),
        ({"min_distance": 0}, ValueError, "min_distance must be a finite number above 0"),
        ({"min_distance": 1.5}, ValueError, "min_distance must be at most 1; got 1.5"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, error, message):
    with pytest.raises(error, match=message):
        umap_embedding(noise(20, 3), **settings)


def test_features_that_are_all_equal_have_no_map():
    with pytest.raises(ValueError, match="features must differ between samples; got 20 equal ones"):
        umap_embedding(torch.ones(20, 3))


@pytest.mark.parametrize(
    ("values", "settings", "error", "message"),
    [
        (noise(19), {}, ValueError, r"values must be one per row of features, \[20\]; got .* shape \[19\]"),
        (noise(20, 2), {}, ValueError, r"values must be one per row of features, \[20\]; got .* shape \[20, 2\]"),
        (torch.ones(20), {}, ValueError, "values must differ between faces"),
        (torch.zeros(20, dtype=torch.long), {}, ValueError, "values must differ between faces"),
        (torch.tensor([1.0] * 19 + [torch.nan]), {}, ValueError, "values must be finite"),
        ([None] * 20, {}, TypeError, "values must be floats .* or words"),
        ("a" * 20, {}, ValueError, "values must be one per row"),
        (torch.arange(20), {"period": 360}, ValueError, "period is for quantities"),
        (noise(20), {"period": 0}, ValueError, "period must be a finite number above 0"),
        (noise(20), {"neighbors": 0}, ValueError, "neighbors must be 1 or more"),
    ],
)
def test_labels_of_another_form_are_refused_by_name(values, settings, error, message):
    with pytest.raises(error, match=message):
        neighborhood_agreement(noise(20, 3), values, **settings)
