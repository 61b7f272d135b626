"""Where benchmarks put their numbers: ``results/``, with the command, the hardware and the date beside them."""

from __future__ import annotations

import json
from pathlib import Path

from gazecourse.files import atomic_write
from gazecourse.history import describe_run
from gazecourse.paths import RESULTS


def write(name: str, device: str, **measured: object) -> Path:
    """Write ``results/<name>.json``; ``measured`` holds JSON values."""
    path = RESULTS / f"{name}.json"
    content = {**describe_run(device), **measured}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
