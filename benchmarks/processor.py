"""How much processor time a measurement took."""

from __future__ import annotations

import psutil


def core_seconds() -> float:
    """Processor time that this process and all its children, ended ones too, have had so far."""
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system
