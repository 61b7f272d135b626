"""Shared set-up of all tests: one thread a process, no display, hypothesis without deadlines."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import ipywidgets
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


class Notebook:
    """Stands in for a notebook: keeps what is displayed, and what a handle replaces."""

    def __init__(self):
        self.shown, self.updates = [], []

    def display(self, data, metadata=None, raw=False, display_id=None):
        self.shown.append(data)
        return self

    def update(self, data, metadata=None, raw=False):
        self.updates.append((data, metadata))


@pytest.fixture
def notebook(monkeypatch):
    """What widgets show while it is in use."""
    notebook = Notebook()
    monkeypatch.setattr("IPython.display.display", notebook.display)
    monkeypatch.setattr("gazecourse.plotting.display", notebook.display)
    return notebook


@pytest.fixture
def controls(monkeypatch):
    """Every control made during a test, by its description."""
    made = {}

    def maker(kind):
        def make(**settings):
            made[settings["description"]] = kind(**settings)
            return made[settings["description"]]

        return make

    kinds = ("IntSlider", "FloatSlider", "SelectionSlider", "SelectMultiple", "Dropdown", "Checkbox")
    for name in (*kinds, "Button", "FileUpload"):
        monkeypatch.setattr(ipywidgets, name, maker(getattr(ipywidgets, name)))
    return made
