"""The benchmark of preparing: its data passes for the real release, and its table holds what was prepared."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from gazecourse.datasets import mpiifacegaze, open_release

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import prepare as benchmark

FEW = ["--normalized", "30", "--photographs", "15", "--processes", "1"]
MAKERS = {"normalized": benchmark.normalized_release, "raw": benchmark.raw_release}


@pytest.fixture
def strict(monkeypatch):
    """The reader judges the signs of a person by two images, as by the thousands of the release."""
    monkeypatch.setattr(mpiifacegaze, "ENOUGH_TO_TELL", 2)


@pytest.mark.parametrize("kind", MAKERS)
def test_everybody_looks_at_a_screen_below_the_camera(strict, tmp_path, kind):
    MAKERS[kind](tmp_path, 300)
    source = open_release("mpiifacegaze", tmp_path, kind)
    faces = [source.face(row, 32) for row in range(0, 300, 7)]
    pitch, yaw = np.degrees([face.gaze.numpy() for face in faces]).T
    assert sorted({face.person for face in faces}) == list(range(15))
    assert -25 < pitch.min() < pitch.max() < 3
    assert yaw.min() < -5
    assert yaw.max() > 5, "to both sides"
    assert source.warnings == [], "both accounts of the point looked at agree"


def test_a_dry_run_prepares_both_releases_and_writes_nothing(strict, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "write", lambda *name, **content: pytest.fail("wrote a file"))
    benchmark.main([*FEW, "--dry"])
    assert capsys.readouterr().out.count("'release'") == 2


def test_share_of_cores_is_that_of_each_process(strict, tmp_path, monkeypatch):
    benchmark.normalized_release(tmp_path / "m", 30)
    own = benchmark.prepare
    monkeypatch.setattr(benchmark, "prepare", lambda source, root, processes: own(source, root=root, processes=1))
    monkeypatch.setattr(benchmark, "core_seconds", iter([10.0, 11.5]).__next__)
    row = benchmark.measure("normalized", tmp_path / "m", tmp_path / "stores", 3)
    assert row["core_milliseconds_per_image"] == 1000 * 1.5 / 30
    assert row["share_of_cores"] == pytest.approx(1.5 * row["images_per_second"] / 30 / 3, rel=0.05, abs=0.01)


def test_what_is_written_counts_the_images_and_says_what_the_whole_release_would_take(strict, monkeypatch):
    written = {}
    monkeypatch.setattr(benchmark, "write", lambda name, device, **content: written.update({name: content}))
    benchmark.main(FEW)
    rows = written["prepare"]["measurements"]
    named = [(row["release"], row["images"], row["processes"]) for row in rows]
    assert named == [("normalized", 30, 1), ("raw", 15, 1)]
    for row in rows:
        assert row["minutes_for_release"] == pytest.approx(45_000 / row["images_per_second"] / 60, rel=0.02, abs=0.06)
        assert row["core_milliseconds_per_image"] > 0
        assert row["read_per_second"] > 0
