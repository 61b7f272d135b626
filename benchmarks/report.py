"""Where benchmarks put their numbers: ``results/``, with the command, the hardware and the date beside them."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from gazecourse.files import atomic_write
from gazecourse.history import describe_run

RESULTS = Path(__file__).resolve().parents[1] / "results"


def write(name: str, device: str, **measured: object) -> Path:
    """Write ``results/<name>.json``; ``measured`` holds JSON values."""
    path = RESULTS / f"{name}.json"
    content = {**describe_run(device, cpu=cpu_name()), **measured}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def cpu_name() -> str:
    """The processor as its maker calls it, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
