"""How long CLIP-Gaze's rank loss takes, forward and backward: all triplets of a batch, some of them, and RankSim's.

    python benchmarks/rank_loss.py                 on this machine's CPU, and on its GPU if there is one
    python benchmarks/rank_loss.py --threads 2     with so many threads on the CPU

All triplets (anchor, j, k) are B³/2 terms. ``rank_loss`` counts them in O(B² log B) steps; "held in memory" is the
plain way, which compares them one by one. Times are medians over repetitions.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from report import write
from torch import Tensor

from gazecourse.losses import rank_loss, rank_similarity_loss, unit_features
from gazecourse.losses.vision_language import gaze_closeness

DIM = 128
SAMPLES = 65_536
LARGEST_CUBE = 256
"""Batches beyond it are not held in memory triplet by triplet."""


def held_in_memory(features: Tensor, gaze: Tensor) -> Tensor:
    """The rank loss with B³ numbers."""
    normed = unit_features(features)
    likeness, closeness = normed @ normed.T, gaze_closeness(gaze)
    apart = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    ordered = (closeness.unsqueeze(2) > closeness.unsqueeze(1)) & apart.unsqueeze(2) & apart.unsqueeze(1)
    hinge = (likeness.unsqueeze(1) - likeness.unsqueeze(2)).clamp(min=0)
    return (hinge * ordered).sum() / ordered.sum().clamp(min=1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "all triplets": rank_loss,
    "all triplets, held in memory": held_in_memory,
    "all pairs of pairs": partial(rank_loss, pairs="any"),
    f"{SAMPLES:,} random triplets": partial(rank_loss, samples=SAMPLES),
    "RankSim": rank_similarity_loss,
}


def milliseconds(loss: Callable[[Tensor, Tensor], Tensor], batch: int, device: str, seconds: float) -> float:
    """Median time of one forward and backward pass."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(batch, DIM, generator=generator).to(device).requires_grad_()
    gaze = (0.3 * torch.randn(batch, 2, generator=generator)).to(device)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        features.grad = None
        start = time.perf_counter()
        loss(features, gaze).backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def main() -> None:
    """Measure, print and write ``results/rank_loss.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024], help="faces (default: 256 1024)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default: 3)")
    parser.add_argument("--threads", type=int, help="on the CPU (default: PyTorch's)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    rows = []
    for device in devices:
        for batch in options.batches:
            for name, loss in LOSSES.items():
                if loss is held_in_memory and batch > LARGEST_CUBE:
                    continue
                measured = round(milliseconds(loss, batch, device, options.seconds), 2)
                rows.append({"loss": name, "batch": batch, "device": device, "milliseconds": measured})
                print(rows[-1], flush=True)
    print(write("rank_loss", devices[-1], dim=DIM, measurements=rows))


if __name__ == "__main__":
    main()
