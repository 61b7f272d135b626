"""How fast faces are rendered, and in how much memory.

    python benchmarks/render.py                     every size on this machine's CPU, and on its GPU if there is one
    python benchmarks/render.py --profile --sizes 128   where the time goes, one process

Measured is what ``python -m gazecourse data`` does, up to the file: factors are sampled, faces drawn and turned into
bytes; one thread per process. The processes' start is left out. Memory is the largest sum of the resident memory of
all processes (pages that they share count once for each). ``share_of_cores`` tells whether the processes had a core
each: well below 1, something else was running, and the machine can do more.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from memory import GIB, peak_memory
from report import write

from gazecourse.faces import rendering
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.renderer import Renderer
from gazecourse.faces.shards import FaceSet


def tasks(size: int, device: str) -> list[rendering.Task]:
    """The batches of 12,000 faces, the four domains in turn."""
    where = torch.device(device)
    sets = [FaceSet(domain, "train", size, 40, 3000) for domain in DOMAINS]
    queues = [[(faces, rows) for shard in faces.shards() for rows in rendering.batches(shard, where)] for faces in sets]
    return [task for together in zip(*queues, strict=True) for task in together]


def on_cpu(size: int, processes: int, seconds: float) -> dict[str, float]:
    """Rate and memory in ``processes`` processes, measured for about ``seconds`` once all of them draw."""
    work = tasks(size, "cpu")
    with peak_memory() as peak, rendering.drawn(work, torch.device("cpu"), processes) as results:
        for _ in range(4 * processes):
            next(results)
        before, start = _core_seconds(), time.perf_counter()
        rate = _rate(results, seconds)
        share = (_core_seconds() - before) / (time.perf_counter() - start) / processes
    measured = {**_rounded(rate, peak.size), "share_of_cores": round(share, 2)}
    return {"device": "cpu", "size": size, "processes": processes, **measured}


def _core_seconds() -> float:
    """Processor time that this process and its children have had so far."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def on_gpu(size: int, seconds: float) -> dict[str, float]:
    """Rate and memory on the GPU; besides, the renderer's own rate, with factors that are there already."""
    with rendering.drawn(tasks(size, "cuda"), torch.device("cuda"), 1) as results:
        next(results)
        torch.cuda.reset_peak_memory_stats()
        rate = _rate(results, seconds)
    measured = _rounded(rate, torch.cuda.max_memory_allocated())
    return {"device": "cuda", "size": size, **measured, "renderer_images_per_second": round(_renderer_alone(size), 1)}


def _rate(results: Iterator[rendering.Arrays], seconds: float) -> float:
    """Images per second, over some seconds or until there are no more."""
    start, images = time.perf_counter(), 0
    for arrays in results:
        images += len(arrays["images"])
        if time.perf_counter() - start >= seconds:
            break
    return images / (time.perf_counter() - start)


def _renderer_alone(size: int, repetitions: int = 20) -> float:
    faces, indices = tasks(size, "cuda")[0]
    renderer = Renderer(size, "cuda")
    sample = DOMAINS[faces.domain].sample
    factors = sample(indices, people=faces.people, seed=faces.seed, split=faces.split).to("cuda")
    renderer.render(factors)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repetitions):
        renderer.render(factors)
    torch.cuda.synchronize()
    return repetitions * len(indices) / (time.perf_counter() - start)


def _rounded(rate: float, memory: int) -> dict[str, float]:
    return {"images_per_second": round(rate, 1), "peak_memory_gib": round(memory / GIB, 2)}


def profile(size: int, device: str) -> None:
    """Print where the time of one process goes: the course's own functions, by time with all they call."""
    torch.set_num_threads(1)
    warm, *work = tasks(size, device)[:13]
    rendering.draw(device, warm)
    profiler = cProfile.Profile()
    for task in work:
        profiler.runcall(rendering.draw, device, task)
    images = sum(len(indices) for _, indices in work)
    stages = [
        (cumulative, own, f"{Path(file).stem}.{name}")
        for (file, _, name), (_, _, own, cumulative, _) in pstats.Stats(profiler).stats.items()
        if f"{Path('gazecourse', 'faces')}" in file
    ]
    print(f"\n{size} × {size} on {device}: milliseconds per image, with and without the functions called")
    for cumulative, own, name in sorted(stages, reverse=True)[:25]:
        print(f"{1000 * cumulative / images:8.2f} {1000 * own / images:8.2f}  {name}")


def main() -> None:
    """Measure, print and write ``results/render.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 128, 224])
    parser.add_argument("--processes", type=int, default=rendering.available_cores())
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default: 20)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes; writes no file")
    wanted = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    if wanted.profile:
        for size in wanted.sizes:
            profile(size, "cuda" if has_gpu else "cpu")
        return
    rows = []
    for size in wanted.sizes:
        rows.append(on_cpu(size, wanted.processes, wanted.seconds))
        print(rows[-1], flush=True)
        if has_gpu:
            rows.append(on_gpu(size, wanted.seconds))
            print(rows[-1], flush=True)
    print(write("render", "cuda" if has_gpu else "cpu", measurements=rows))


if __name__ == "__main__":
    main()
