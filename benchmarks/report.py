"""Where benchmarks put their numbers: ``results/``, with the command, the hardware and the date beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from gazecourse.files import atomic_write
from gazecourse.history import describe_run
from gazecourse.metrics import student_ci
from gazecourse.paths import RESULTS

DIGITS = 5
"""After the point: errors of drawings are a few thousandths."""


def write(name: str, device: str, **measured: object) -> Path:
    """Write ``results/<name>.json``; ``measured`` holds JSON values."""
    path = RESULTS / f"{name}.json"
    content = {**describe_run(device), **measured}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def by_seed(values: Sequence[float]) -> dict[str, list[float]]:
    """Mean over seeds with its interval (no interval for a single seed), and the value of each seed."""
    mean = student_ci(torch.tensor(values, dtype=torch.float64)) if len(values) > 1 else values
    return {"mean": [round(v, DIGITS) for v in mean], "by_seed": [round(v, DIGITS) for v in values]}
