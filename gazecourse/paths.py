"""Where the course keeps things: the shipped models, the rendered data, the recorded runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HEAD_MODEL = Path(__file__).resolve().parent / "faces" / "head.safetensors"
CLIP_MODEL = Path(__file__).resolve().parent / "models" / "clip.safetensors"
LANDMARK_MODEL = Path(__file__).resolve().parent / "models" / "landmarks.safetensors"


def cache_dir() -> Path:
    """Folder for everything rendered or trained; never inside git.

    The environment variable ``GAZECOURSE_CACHE`` overrides the user's cache folder.
    """
    override = os.environ.get("GAZECOURSE_CACHE")
    return Path(override).expanduser() if override else Path(platformdirs.user_cache_dir("gazecourse"))


def data_dir() -> Path:
    """Folder of the rendered synthetic sets and the prepared real ones."""
    return cache_dir() / "data"


def runs_dir() -> Path:
    """Folder of training runs: histories (JSONL) and checkpoints (safetensors)."""
    return cache_dir() / "runs"


RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Measured results, part of the repository: JSON files that notebooks and the README read."""
