"""The benchmark of the rank loss compares losses that are the same, and writes what it measured."""

import json
import sys
from pathlib import Path

import pytest
import torch

from gazecourse.losses import rank_loss

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")


@pytest.fixture(scope="module")
def module():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import rank_loss as benchmark

        yield benchmark
        for name in ("rank_loss", "report"):
            sys.modules.pop(name, None)


def test_the_plain_way_gives_the_same_loss_and_gradient(module):
    features = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    gaze = 0.4 * torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    gaze[7] = gaze[3]
    found = []
    for loss in (rank_loss, module.held_in_memory):
        leaf = features.clone().requires_grad_()
        value = loss(leaf, gaze)
        found.append((value, *torch.autograd.grad(value, leaf)))
    torch.testing.assert_close(found[0], found[1])


def test_every_loss_is_measured_and_written(module, monkeypatch, capsys):
    written = {}
    monkeypatch.setattr(module, "write", lambda name, device, **content: written.update(content, name=name))
    monkeypatch.setattr(sys, "argv", ["rank_loss.py", "--batches", "8", "300", "--seconds", "0"])
    monkeypatch.setattr(module, "SAMPLES", 64)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    module.main()
    assert written["name"] == "rank_loss"
    rows = json.loads(json.dumps(written["measurements"]))
    assert {row["loss"] for row in rows if row["batch"] == 8} == set(module.LOSSES)
    assert {row["loss"] for row in rows if row["batch"] == 300} == set(module.LOSSES) - {"all triplets, held in memory"}
    assert all(row["milliseconds"] > 0 and row["device"] == "cpu" for row in rows)
    assert "'loss': 'RankSim'" in capsys.readouterr().out
