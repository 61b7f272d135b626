"""Numbers that belong to an image: hashed, well distributed, and the same in any company."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gazecourse.faces.noise import enlarge, fbm, hashed, normal, uniform

SEEDS = torch.tensor([0, 1, 2, 3, -1, 2**62, -(2**63), 123456789])


def correlations(rows: Tensor) -> Tensor:
    """Absolute correlations between different rows."""
    return torch.corrcoef(rows).fill_diagonal_(0).abs()


def test_hash_is_the_documented_one():
    """Fixed values, computed with 64- and 32-bit unsigned arithmetic in plain Python."""

    def reference(seed: int, index: int, stream: int) -> int:
        big, small = (1 << 64) - 1, (1 << 32) - 1
        z = (seed + (stream + 1) * 0x9E3779B97F4A7C15) & big
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & big
        z = (z ^ z >> 27) * 0x94D049BB133111EB & big
        z ^= z >> 31
        x = (index * 0x9E3779B9 + z) & small
        x = (x ^ x >> 16) * 0x7FEB352D & small
        x = (x ^ x >> 15 ^ z >> 32) * 0x846CA68B & small
        return (x ^ x >> 16) & 0x7FFFFFFF

    for stream in (0, 5, 2001):
        expected = [[reference(seed, index, stream) for index in range(50)] for seed in SEEDS.tolist()]
        assert hashed(SEEDS, 50, stream).tolist() == expected


def test_hash_is_never_negative():
    assert int(hashed(SEEDS, 100_000).min()) >= 0


def test_uniform_numbers_fill_the_unit_interval_evenly():
    numbers = uniform(SEEDS, 50_000)
    assert numbers.dtype == torch.float32
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    shares = torch.histc(numbers, bins=20, min=0, max=1) / numbers.numel()
    assert torch.allclose(shares, torch.full((20,), 0.05), atol=0.002)


def test_normal_numbers_have_the_moments_of_a_normal_distribution():
    numbers = normal(SEEDS, 50_000).double()
    assert abs(float(numbers.mean())) < 0.01
    assert float(numbers.std()) == pytest.approx(1, abs=0.01)
    assert float((numbers**3).mean()) == pytest.approx(0, abs=0.03)
    assert float((numbers**4).mean()) == pytest.approx(3, abs=0.08)


def test_seeds_and_streams_are_independent():
    by_seed = uniform(torch.arange(40), 5000)
    by_stream = torch.cat([uniform(torch.tensor([7]), 5000, stream) for stream in range(40)])
    for rows in (by_seed, by_stream):
        assert float(correlations(rows).max()) < 0.07


def test_neighbors_in_one_sequence_are_independent():
    numbers = uniform(SEEDS, 20_000)
    for lag in (1, 2, 3, 64, 128):
        pairs = torch.stack([numbers[:, :-lag].flatten(), numbers[:, lag:].flatten()])
        assert float(correlations(pairs).max()) < 0.01


@pytest.mark.parametrize("draw", [hashed, uniform, normal])
def test_numbers_do_not_depend_on_the_batch_or_the_count(draw):
    together = draw(SEEDS, 1000, 3)
    for row in range(len(SEEDS)):
        assert torch.equal(draw(SEEDS[row : row + 1], 1000, 3)[0], together[row])
    assert torch.equal(draw(SEEDS, 10, 3), together[:, :10])


def test_numbers_leave_torchs_own_random_state_alone():
    before = torch.get_rng_state()
    fbm(SEEDS, 16, 16)
    assert torch.equal(before, torch.get_rng_state())


def test_fractal_noise_has_mean_0_and_variance_1():
    for octaves in (1, 3):
        field = fbm(torch.arange(2000), 24, 32, octaves=octaves)
        assert float(field.mean()) == pytest.approx(0, abs=0.03)
        assert float(field.std()) == pytest.approx(1, abs=0.04)


def test_fractal_noise_shows_no_lattice():
    """The variance is about the same at every place, on the lattice's lines and between them."""
    variance = fbm(torch.arange(3000), 1, 40, cells=4, octaves=1).var(0)
    assert float(variance.max() / variance.min()) < 1.35


def test_fractal_noise_is_smooth_and_more_octaves_make_it_rougher():
    steps = [float(fbm(SEEDS, 96, 96, octaves=n).diff(dim=2).std()) for n in (1, 3, 5)]
    assert steps[0] < steps[1] < steps[2]
    assert steps[0] < 0.12


def test_fractal_noise_is_one_field_sampled_at_any_size():
    coarse, fine = fbm(SEEDS, 32, 48), fbm(SEEDS, 96, 144)
    # Every third pixel center of the fine picture is a pixel center of the coarse one.
    assert torch.allclose(coarse, fine[:, 1::3, 1::3], atol=1e-4)


def test_enlarging_keeps_flat_pictures_flat_and_ramps_straight():
    flat = torch.full((1, 2, 8, 10), 0.3)
    assert torch.allclose(enlarge(flat, 31, 47), torch.tensor(0.3), atol=1e-6)
    ramp = ((torch.arange(20) + 0.5) / 20).expand(1, 1, 8, 20)
    expected = (torch.arange(60) + 0.5) / 60
    assert torch.allclose(enlarge(ramp, 8, 60)[0, 0, 4, 9:-9], expected[9:-9], atol=1e-5)


def test_enlarging_never_overshoots():
    step = (torch.arange(16) >= 8).float().expand(1, 1, 16, 16)
    large = enlarge(step, 64, 64)
    assert float(large.min()) >= 0
    assert float(large.max()) <= 1 + 1e-6
    assert bool((large.diff(dim=3) >= -1e-6).all())


def test_enlarging_treats_rows_and_columns_alike():
    image = uniform(SEEDS[:2], 3 * 9 * 9).view(2, 3, 9, 9)
    assert torch.allclose(enlarge(image, 20, 33).mT, enlarge(image.mT, 33, 20), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uniform(torch.zeros(2, 2, dtype=torch.int64), 3), ValueError, "seed"),
        (lambda: uniform(torch.zeros(2), 3), TypeError, "seed must be int64"),
        (lambda: uniform(torch.zeros(2, dtype=torch.int32), 3), TypeError, "seed must be int64"),
        (lambda: uniform([1], 3), TypeError, "seed"),
        (lambda: uniform(SEEDS, -1), ValueError, "count"),
        (lambda: uniform(SEEDS, 1.5), TypeError, "count"),
        (lambda: normal(SEEDS, 3, -2), ValueError, "stream"),
        (lambda: fbm(SEEDS, 0, 8), ValueError, "height"),
        (lambda: fbm(SEEDS, 8, 8.5), TypeError, "width"),
        (lambda: fbm(SEEDS, 8, 8, cells=-1), ValueError, "cells"),
        (lambda: fbm(SEEDS, 8, 8, octaves=0), ValueError, "octaves"),
        (lambda: fbm(SEEDS, 8, 8, gain=0.0), ValueError, "gain"),
        (lambda: enlarge(torch.zeros(3, 4, 4), 8, 8), ValueError, "image"),
        (lambda: enlarge(torch.zeros(1, 3, 4, 4), 8, 0), ValueError, "width"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
