"""Shared set-up of all tests: one thread a process, no display, hypothesis without deadlines."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import pytest
import torch

import gazecourse  # noqa: F401  (puts the torchvision hook in place before any test imports torchvision)

hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Two pytest workers share two cores; more threads than cores only get into each other's way."""
    torch.set_num_threads(1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of its own for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GAZECOURSE_CACHE", str(folder))
    return folder
