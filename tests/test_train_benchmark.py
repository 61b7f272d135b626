"""The benchmark of training steps: what it times is the plain step, the decoder's own, and the game of both."""

import sys
from pathlib import Path

import pytest
import torch

from gazecourse.models import PureGaze

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")


@pytest.fixture(scope="module")
def train():
    """The benchmark as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import train

        yield train
        for name in ("train", "memory", "report"):
            sys.modules.pop(name, None)


@pytest.fixture
def game(train):
    """A small PureGaze; ``built`` holds it once it is made."""
    built = []

    def build():
        built.append(PureGaze(32, width=0.1, widths=(8, 4)))
        return built[-1]

    return train.Game("small", build, cpu_batch=2, gpu_batch=2), built


def moved(model, step):
    """Which parts of a network a step changes."""
    before = {name: value.clone() for name, value in model.named_parameters()}
    step()
    return {name.split(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])}


def test_each_step_trains_its_own_part_and_the_game_trains_all(train, game):
    game, built = game
    plain, decoder, both = train._game_steps(game, "cpu", 2)
    (model,) = built
    assert moved(model, decoder) == {"sa_module"}
    assert moved(model, both) == {"backbone", "mlp", "sa_module"}
    assert moved(model, plain) == {"backbone", "mlp"}


def test_the_share_is_what_the_game_costs_beside_the_decoder_in_plain_steps(train, game, monkeypatch):
    monkeypatch.setattr(train, "_medians", lambda *_: [2.0, 1.5, 4.5])
    row = train.game_measured(game[0], "cpu", 0.1)
    assert row["backbone_share"] == 1.5
    assert (row["plain_seconds"], row["decoder_seconds"], row["step_seconds"]) == (2.0, 1.5, 4.5)


def test_works_are_timed_in_turns_and_the_first_two_rounds_do_not_count(train, monkeypatch):
    calls, clock = [], iter(range(10_000))
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(clock)))
    found = train._medians([lambda: calls.append("a"), lambda: calls.append("b")], "cpu", 0.0)
    assert calls == ["a", "b"] * 7
    assert found == [1.0, 1.0]
