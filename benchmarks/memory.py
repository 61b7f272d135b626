"""How much memory a measurement took."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

GIB = 2**30


@dataclass
class Peak:
    """The largest memory use seen, in bytes."""

    size: int = 0


@contextmanager
def peak_memory(own: bool = True) -> Iterator[Peak]:
    """Watch the resident memory of this process's children, and its ``own``."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak.size = max(peak.size, _resident(own))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _resident(own: bool) -> int:
    total = 0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)] if own else me.children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
