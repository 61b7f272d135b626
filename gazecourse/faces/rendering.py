"""From a list of sets to files: what is missing is drawn, in several processes or on a GPU, and put on disk.

The same set has the same bytes however the work is divided. Every batch of a shard has the same images each time,
every process computes with one thread, and shards are shared out whole. The bytes are those of one kind of processor
and one version of PyTorch: another, or a GPU, may round a color the other way, and the labels in their last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

import numpy as np
import torch
from tqdm import tqdm

from gazecourse.errors import CourseError
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.renderer import Renderer
from gazecourse.faces.shards import FaceSet, Shard
from gazecourse.files import require_room
from gazecourse.processes import available_cores, worked
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
    needed = sum(len(shard.indices) * 3 * shard.faces.size**2 for shard in shards)
    for folder in dict.fromkeys(shard.faces.folder for shard in shards):
        require_room(folder, needed)


@contextmanager
def drawn(tasks: list[Task], device: torch.device, processes: int) -> Iterator[Iterator[Arrays]]:
    """An iterator over the results of ``draw`` for all tasks, in order. On a GPU, ``processes`` does not matter."""
    processes = processes if device.type == "cpu" else 1
    again = "Render again in fewer processes; finished shards are kept."
    with worked(partial(draw, str(device)), tasks, processes, again) as results:
        yield results
