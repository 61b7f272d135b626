"""From a list of sets to files: what is missing is drawn, in several processes or on a GPU, and put on disk.

The same set has the same bytes however the work is divided. Every batch of a shard has the same images each time,
every process computes with one thread, and shards are shared out whole. The bytes are those of one kind of processor
and one version of PyTorch: another, or a GPU, may round a color the other way, and the labels in their last bit.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from types import ModuleType

import numpy as np
import torch
from tqdm import tqdm

from gazecourse.errors import CourseError
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.renderer import Renderer
from gazecourse.faces.shards import FaceSet, Shard
from gazecourse.validation import check_whole

CPU_PIXELS = 2**18
"""Pixels drawn at once by a process on a CPU: 20 images of 112 × 112, in half a gigabyte. A change changes bytes."""
GPU_PIXELS = 2**22
"""Pixels drawn at once on a GPU: 83 images of 224 × 224, in about 4 GB."""

Task = tuple[FaceSet, range]
Arrays = dict[str, np.ndarray]


def render(
    sets: Iterable[FaceSet],
    *,
    device: str | None = None,
    processes: int | None = None,
    part: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> int:
    """Render what is missing of some sets, and what is damaged or out of date.

    An interrupt ends it after the batches at hand; finished shards stay, and the next call goes on from them.

    Args:
        sets: the sets, in the order in which they are rendered.
        device: "cpu", "cuda", "cuda:1" and so on; default the GPU if there is one, else the CPU.
        processes: how many render side by side on a CPU; default one per core. A GPU is served by one.
        part: (i, n) renders every n-th shard, beginning with number i, so that n machines can share the work.
        progress: show a bar with images per second and the time left.
    Returns:
        The number of images rendered.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        CourseError: no such device here, a file could not be written, or a process died.
    """
    index, count = part
    check_whole("the number of parts", count, 1)
    check_whole("the number of the part", index, 0, count - 1)
    where = _device(device)
    if processes is not None:
        check_whole("processes", processes, 1)
    shards = [shard for faces in sets for shard in faces.shards()[index::count] if not shard.is_whole()]
    if not shards:
        return 0
    _prepare_folders(shards)
    tasks = [(shard.faces, images) for shard in shards for images in batches(shard, where)]
    total = sum(len(shard.indices) for shard in shards)
    bar = tqdm(total=total, unit=" images", desc="Rendering", disable=not progress, file=sys.stderr, smoothing=0.1)
    with bar, drawn(tasks, where, processes or available_cores()) as results:
        for shard in shards:
            arrays = []
            for images in batches(shard, where):
                bar.set_description(f"Rendering {shard.faces.domain} {shard.faces.split}", refresh=False)
                arrays.append(next(results))
                bar.update(len(images))
            shard.save({name: np.concatenate([rows[name] for rows in arrays]) for name in arrays[0]})
    return total


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def draw(device: torch.device | str, task: Task) -> Arrays:
    """Images, labels and factors of some images of a set, as they are stored.

    Args:
        device: the device to render on.
        task: the set, and the numbers of the images in it.
    Returns:
        ``images`` uint8 [n, 3, size, size], ``labels.…`` and ``factors.…`` by name, all with n rows.
    """
    faces, indices = task
    sample = DOMAINS[faces.domain].sample
    factors = sample(torch.tensor(indices), people=faces.people, seed=faces.seed, split=faces.split)
    images, labels = _renderer(faces.size, str(device)).render(factors.to(device))
    tensors = {"images": (images * 255.0).round().clamp(0, 255).to(torch.uint8)}
    tensors |= {f"labels.{name}": value for name, value in labels.items()}
    tensors |= {f"factors.{name}": value for name, value in factors.items()}
    return {name: value.cpu().contiguous().numpy() for name, value in tensors.items()}


@lru_cache(maxsize=2)
def _renderer(size: int, device: str) -> Renderer:
    return Renderer(size, device)


def batches(shard: Shard, device: torch.device) -> list[range]:
    """The images of a shard in pieces that are drawn at once: always the same pieces on one kind of device."""
    pixels = CPU_PIXELS if device.type == "cpu" else GPU_PIXELS
    count = max(1, pixels // shard.faces.size**2)
    return [shard.indices[start : start + count] for start in range(0, len(shard.indices), count)]


def _device(name: str | None) -> torch.device:
    """The device of that name, if it is there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CourseError(f"device {name} cannot be used here: {reason}.") from error
    return device


def _prepare_folders(shards: list[Shard]) -> None:
    """Find out before minutes of rendering, not after, that a folder cannot be written or holds too little."""
    for folder in dict.fromkeys(shard.faces.folder for shard in shards):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"The folder {folder} cannot be made: {error.strerror}.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CourseError(f"The folder {folder} cannot be written to: no permission.")
    needed = sum(len(shard.indices) * 3 * shard.faces.size**2 for shard in shards)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CourseError(
            f"The images need {needed / 1e9:.1f} GB in {folder.parent}, where {free / 1e9:.1f} GB are free."
        )


@contextmanager
def drawn(tasks: list[Task], device: torch.device, processes: int) -> Iterator[Iterator[Arrays]]:
    """An iterator over the results of ``draw`` for all tasks, in order. On a GPU, ``processes`` does not matter."""
    processes = min(processes, len(tasks)) if device.type == "cpu" else 1
    work = partial(draw, str(device))
    if processes == 1:
        with _one_thread():
            yield map(work, tasks)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        with _starting_processes():
            results = pool.map(work, tasks)
        yield results
    except BrokenProcessPool as error:
        raise CourseError(
            "A rendering process was ended from outside, most likely for lack of memory. Render again in fewer "
            "processes; finished shards are kept."
        ) from error
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
