"""Work shared out to processes: results in order, interrupts dealt with once, no process left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from types import ModuleType
from typing import TypeVar

import torch

from gazecourse.errors import CourseError

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worked(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int, remedy: str
) -> Iterator[Iterator[Result]]:
    """An iterator over ``work(task)`` for all tasks, in order, computed with one thread in each of some processes.

    Args:
        work: a function that can be pickled, as everything must be that it is called with and returns.
        tasks: what it is called with.
        processes: how many work side by side; with 1, this one does.
        remedy: what to do where a process was ended from outside, for the message.
    Raises:
        CourseError: a process was ended from outside.
    """
    processes = min(processes, len(tasks))
    if processes <= 1:
        with _one_thread():
            yield map(work, tasks)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        with _starting_processes():
            results = pool.map(work, tasks)
        yield results
    except BrokenProcessPool as error:
        raise CourseError(f"A process was ended from outside, most likely for lack of memory. {remedy}") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread, as in worker processes: sums in another order would be other bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers; they must not wait for it forever."""
    parent_process().join()
    os._exit(1)


@contextmanager
def _starting_processes() -> Iterator[None]:
    """What new processes see while they start: no main module and no interrupts.

    They would import the caller's script otherwise, and so run it once more; and Ctrl-C, which reaches every process
    of a terminal, is the main process's to deal with.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
