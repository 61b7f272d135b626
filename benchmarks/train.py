"""How fast Full-Face and GazeNet train: images per second of whole steps, and the memory that takes.

    python benchmarks/train.py                 on this machine's CPU, and on its GPU if there is one

A step is forward, L1 loss, backward and optimizer (Adam) on images that are in memory already. ``forward`` is
inference alone. On a GPU a step runs in bfloat16 mixed precision, as ``training.train`` does there. Memory on a CPU is
the growth of the process above what it held before the network was built; on a GPU, what PyTorch allocated.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from memory import GIB, peak_memory
from report import write
from torch import nn

from gazecourse.batches import seed_all
from gazecourse.losses import gaze_l1
from gazecourse.models import FullFace, GazeNet


@dataclass(frozen=True)
class Case:
    """One network at one size; smaller batches on a CPU, where they change nothing but the memory."""

    name: str
    build: Callable[[], nn.Module]
    size: int
    cpu_batch: int
    gpu_batch: int


CASES = (
    Case(
        "Full-Face, quarter width, stride 2",
        lambda: FullFace(112, form="two_tower", width=0.25, stride=2, weights_std=None),
        112,
        50,
        512,
    ),
    Case("GazeNet", lambda: GazeNet(112), 112, 50, 512),
    Case("Full-Face", lambda: FullFace(224), 224, 32, 256),
    Case("Full-Face", lambda: FullFace(448), 448, 8, 64),
)


def measured(case: Case, device: str, seconds: float) -> dict[str, object]:
    """Rates and memory of one case on one device."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with peak_memory() as peak:
        step, forward, parameters = _functions(case, device)
        training, inference = _rate(step, device, seconds), _rate(forward, device, seconds)
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else peak.size - before
    batch = case.gpu_batch if device == "cuda" else case.cpu_batch
    return {
        "network": case.name,
        "size": case.size,
        "device": device,
        "batch": batch,
        "parameters": parameters,
        "train_images_per_second": round(batch * training, 1),
        "forward_images_per_second": round(batch * inference, 1),
        "memory_gib": round(memory / GIB, 2),
    }


def _functions(case: Case, device: str) -> tuple[Callable[[], None], Callable[[], None], int]:
    """A training step, a forward pass, and the number of parameters."""
    seed_all(0)
    batch = case.gpu_batch if device == "cuda" else case.cpu_batch
    model = case.build().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    images = torch.rand(batch, 3, case.size, case.size, device=device).to(memory_format=torch.channels_last)
    gaze = torch.zeros(batch, 2, device=device)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            predicted = model(images)
        gaze_l1(predicted.float(), gaze).backward()
        optimizer.step()

    @torch.no_grad()
    def forward() -> None:
        model.eval()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            model(images)

    return step, forward, sum(p.numel() for p in model.parameters())


def _rate(work: Callable[[], None], device: str, seconds: float) -> float:
    """Repetitions per second, after two that do not count."""
    for _ in range(2):
        work()
    _wait(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or count < 3:
        work()
        _wait(device)
        count += 1
    return count / (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure, print and write ``results/train.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement (default: 8)")
    seconds = parser.parse_args().seconds
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    rows = []
    for device in devices:
        for case in CASES:
            rows.append(measured(case, device, seconds))
            print(rows[-1], flush=True)
    print(write("train", devices[-1], measurements=rows))


if __name__ == "__main__":
    main()
