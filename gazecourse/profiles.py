"""The two sizes of everything: ``quick`` for two CPU cores, ``full`` for a GPU.

The environment variable ``GAZECOURSE_PROFILE`` chooses. A profile changes sizes (images, people,
epochs, widths), never code paths: what a learner reads is what runs in both.
"""

from __future__ import annotations

import os
from typing import TypeVar

VARIABLE = "GAZECOURSE_PROFILE"
PROFILES = ("quick", "full")

T = TypeVar("T")


def profile() -> str:
    """The profile in use: ``"quick"`` (default) or ``"full"``.

    Raises:
        ValueError: ``GAZECOURSE_PROFILE`` is set to anything else.
    """
    name = os.environ.get(VARIABLE, "").strip().lower() or "quick"
    if name not in PROFILES:
        raise ValueError(f"{VARIABLE} must be quick or full; got {os.environ[VARIABLE]!r}.")
    return name


def pick(*, quick: T, full: T) -> T:
    """The one of the two values that belongs to the profile in use: ``epochs = pick(quick=3, full=50)``."""
    return {"quick": quick, "full": full}[profile()]
