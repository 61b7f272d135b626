"""The benchmark of calibration: who is tested on what, and that labeled pictures of a person help that person."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")
PEOPLE, PICTURES = 12, 45


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import calibration

        yield calibration
        for name in ("calibration", "puregaze", "kept", "report"):
            sys.modules.pop(name, None)


def people(offset, noise=0.05):
    """Predictions, truth and person of faces in the order of the rendered sets: image i shows person i mod P."""
    draw = torch.Generator().manual_seed(0)
    person = torch.arange(PEOPLE * PICTURES) % PEOPLE
    true = torch.rand(len(person), 2, generator=draw) - 0.5
    own = offset * torch.randn(PEOPLE, 2, generator=draw)
    return true - own[person] + noise * torch.randn(len(person), 2, generator=draw), true, person


def test_with_more_pictures_errors_fall(benchmark):
    found = benchmark.errors_of(*people(offset=0.08))
    assert found["offset: 16"] < found["offset: 2"] < found["no picture"]
    assert found["spread: offset"] == pytest.approx(torch.rad2deg(torch.tensor(0.08)).item(), rel=0.4)
    assert found["spread: noise"] == pytest.approx(torch.rad2deg(torch.tensor(0.05)).item(), rel=0.1)


def test_where_one_picture_is_noisy_the_most_probable_offset_beats_the_mean_error(benchmark):
    found = benchmark.errors_of(*people(offset=0.03))
    assert found["offset: 1"] < 0.95 * found["mean error: 1"]


def test_offsets_alone_leave_out_the_matrix_and_a_mean_error_is_believed_as_it_is(benchmark):
    predicted, true, _ = people(offset=0.08)
    given = predicted[:4], true[:4], benchmark.Spread(0.05, 0.08, 0.5)
    wanted = (true - predicted)[:4].mean(0).numpy()
    assert benchmark.calibrate(*given).slope.any()
    for way in (benchmark.offset_alone, benchmark.mean_offset):
        assert not way(*given).slope.any()
    assert benchmark.mean_offset(*given).offset == pytest.approx(wanted, rel=1e-4)
    assert benchmark.offset_alone(*given).offset == pytest.approx(wanted * 4 * 0.08**2 / (4 * 0.08**2 + 0.05**2))


def test_where_people_do_not_differ_the_mean_error_of_one_picture_does_harm(benchmark):
    found = benchmark.errors_of(*people(offset=0.0))
    assert found["mean error: 1"] > 1.2 * found["no picture"]
    assert found["offset and matrix: 1"] < 1.05 * found["no picture"]


def test_tested_pictures_calibrate_nothing_and_spreads_are_those_of_other_people(benchmark, monkeypatch):
    predicted, true, person = people(offset=0.08)
    learned_from, given = [], []
    spread_of = benchmark.spread_of
    monkeypatch.setattr(
        benchmark, "spread_of", lambda p, t, who: learned_from.append(set(who.tolist())) or spread_of(p, t, who)
    )

    def watched(mine, yours, spread):
        who = {int(person[(true == one).all(1)]) for one in yours}
        tested = true[person == next(iter(who))][benchmark.PICTURES[-1] :]
        given.append((who, len(learned_from) - 1, any(bool((tested == one).all(1).any()) for one in yours)))
        return benchmark.calibrate(mine, yours, spread)

    monkeypatch.setattr(benchmark, "WAYS", {"watched": watched})
    benchmark.errors_of(predicted, true, person)
    assert learned_from[0] | learned_from[1] == set(range(PEOPLE))
    assert {next(iter(who)) for who, _, _ in given} == set(range(PEOPLE))
    for who, half, is_tested in given:
        assert len(who) == 1
        assert not who & learned_from[half]
        assert not is_tested
