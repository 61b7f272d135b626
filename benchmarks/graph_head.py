"""How much of the time the graph head takes: forward passes of ResNet-34 on faces of 256², 98 landmarks.

    python benchmarks/graph_head.py                 on this machine's CPU, and on its GPU if there is one

The backbone and the whole network are timed in turns, so that a machine that slows down slows both; the share is the
median over the turns of 1 − backbone / whole. Multiply-adds are counted, too: they do not depend on the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from report import write
from torch.utils.flop_counter import FlopCounterMode

from gazecourse.batches import seed_all
from gazecourse.models import StructureCoherentNet
from gazecourse.models.structure_coherent import HEADS

POINTS, SIZE = 98, 256
GRAPH = sum(torch.eye(POINTS).roll(step, 0) for step in range(4)).bool()
"""Four entries a row, as k = 3 gives."""
MOST = 0.1
"""Share of the forward time that the graph head may take."""


@torch.no_grad()
def measured(head: str, device: str, batch: int, turns: int) -> dict[str, object]:
    """Share of the head in time and in multiply-adds, and milliseconds per face."""
    seed_all(0)
    model = StructureCoherentNet(POINTS, GRAPH, "resnet34", head, SIZE).eval()
    model = model.to(device, memory_format=torch.channels_last)
    images = torch.rand(batch, 3, SIZE, SIZE, device=device).to(memory_format=torch.channels_last)
    pairs = []
    for turn in range(turns + 1):
        pair = seconds(lambda: model.features(images), device), seconds(lambda: model(images), device)
        if turn:  # the first does not count
            pairs.append(pair)
    backbone, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
    operations = flops(lambda: model.features(images)), flops(lambda: model(images))
    return {
        "head": head,
        "device": device,
        "batch": batch,
        "parameters": sum(p.numel() for p in model.head.parameters()),
        "milliseconds_per_face": round(1000 * whole / batch, 3),
        "backbone_milliseconds_per_face": round(1000 * backbone / batch, 3),
        "share_of_time": round(statistics.median(1 - one / both for one, both in pairs), 4),
        "share_of_multiply_adds": round(1 - operations[0] / operations[1], 4),
    }


def seconds(work: Callable[[], object], device: str) -> float:
    """Time of one call."""
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def main() -> None:
    """Measure, print and write ``results/graph_head.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15, help="how often each is timed (default: 15)")
    options = parser.parse_args()
    rows = []
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    for device in devices:
        for head in HEADS:
            rows.append(measured(head, device, 64 if device == "cuda" else 4, options.turns))
            print(rows[-1], flush=True)
    within = all(row["share_of_time"] <= MOST for row in rows if row["head"] != "fc")
    print(f"The graph heads take {'at most' if within else 'more than'} {MOST:.0%} of the forward time.")
    print(write("graph_head", devices[-1], points=POINTS, size=SIZE, most=MOST, measurements=rows))


if __name__ == "__main__":
    main()
