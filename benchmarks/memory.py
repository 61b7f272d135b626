"""How much memory a measurement took."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

GIB = 2**30


@dataclass
class Peak:
    """The largest memory use seen, in bytes."""

    size: int = 0


@contextmanager
def peak_memory(own: bool = True) -> Iterator[Peak]:
    """Watch the resident memory of the processes that are started in the block, and of this one with its ``own``."""
    peak, done = Peak(), threading.Event()
    before = {child.pid for child in psutil.Process().children()}

    def watch() -> None:
        while not done.wait(0.1):
            peak.size = max(peak.size, _resident(own, before))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _resident(own: bool, before: set[int]) -> int:
    me, total = psutil.Process(), 0
    watched = [me] if own else []
    for child in me.children():
        if child.pid not in before:
            with suppress(psutil.NoSuchProcess):
                watched += [child, *child.children(recursive=True)]
    for process in watched:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total
