"""How fast networks train: images per second of whole steps, the memory that takes, and what purification costs.

    python benchmarks/train.py                        # on this machine's CPU, and on its GPU if there is one
    python benchmarks/train.py --only purification    # one part: results/purification_step.json

A step is forward, L1 loss, backward and optimizer (Adam) on images that are in memory already. ``forward`` is
inference alone. On a GPU a step runs in bfloat16 mixed precision, as ``training.train`` does there. Memory on a CPU is
the growth of the process above what it held before the network was built; on a GPU, what PyTorch allocated.

PureGaze's self-adversarial step is measured beside its parts, in turns: the same backbone without an opponent, and the
decoder alone learning to draw from given features. ``backbone_share`` is (step − decoder) / plain: how many plain steps
the backbone's side of the game costs. It can not be 1: the adversarial loss sends its gradient once more through the
whole decoder, which is a third of the decoder's own work.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import psutil
import torch
from memory import GIB, peak_memory
from report import write
from torch import nn

from gazecourse.batches import seed_all
from gazecourse.losses import adversarial_loss, eye_attention, gaze_l1, reconstruction_loss
from gazecourse.models import FullFace, GazeNet, PureGaze
from gazecourse.purification import self_adversarial_backward, three_adams
from gazecourse.training import make_fabric


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


@dataclass(frozen=True)
class Game:
    """One PureGaze at one size, with its batch on a CPU and on a GPU."""

    name: str
    build: Callable[[], PureGaze]
    cpu_batch: int
    gpu_batch: int


GAMES = (
    Game(
        "PureGaze, ResNet-18, quarter width",
        lambda: PureGaze((96, 224), width=0.25, widths=(32, 16)),
        50,
        512,
    ),
    Game("PureGaze, ResNet-18", lambda: PureGaze(224), 8, 128),
    Game("PureGaze, ResNet-50", lambda: PureGaze(224, depth=50, hidden=None), 4, 64),
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


def game_measured(game: Game, device: str, seconds: float) -> dict[str, object]:
    """Seconds of a plain step, of the decoder's own, and of the self-adversarial step that holds both."""
    batch = game.gpu_batch if device == "cuda" else game.cpu_batch
    steps = _game_steps(game, device, batch)
    plain, decoder, both = _medians(steps, device, 3 * seconds)
    return {
        "network": game.name,
        "device": device,
        "batch": batch,
        "plain_seconds": round(plain, 4),
        "decoder_seconds": round(decoder, 4),
        "step_seconds": round(both, 4),
        "backbone_share": round((both - decoder) / plain, 2),
    }


def _game_steps(game: Game, device: str, batch: int) -> tuple[Callable[[], None], ...]:
    """The plain step, the decoder's, and the whole game's, on one network."""
    seed_all(0)
    fabric = make_fabric(several_optimizers=True)
    model = game.build().to(device, memory_format=torch.channels_last).train()
    optimizers = three_adams(model, 1e-4)
    faces, gaze = torch.rand(batch, 3, *model.size, device=device), torch.zeros(batch, 2, device=device)
    z = torch.rand(batch, *model.maps, device=device).to(memory_format=torch.channels_last)
    drawn = torch.rand_like(model.sa_module(z)).detach()
    rows, columns = drawn.shape[-2:]
    eyes = torch.tensor([[0.3, 0.4], [0.7, 0.4]], device=device) * torch.tensor([columns, rows], device=device)
    attention = eye_attention(eyes.expand(batch, 2, 2), (rows, columns), 0.1 * columns)

    def stepped(backward: Callable[[], None]) -> Callable[[], None]:
        def step() -> None:
            for optimizer in optimizers:
                optimizer.zero_grad()
            backward()
            for optimizer in optimizers:
                optimizer.step()

        return step

    def plain() -> None:
        with fabric.autocast():
            predicted = model(faces)
        fabric.backward(gaze_l1(predicted.float(), gaze))

    def decoder() -> None:
        with fabric.autocast():
            drawing = model.sa_module(z)
        fabric.backward(reconstruction_loss(drawing.float(), drawn))

    def both() -> None:
        with fabric.autocast():
            predicted, drawing = model(faces, reconstruct=True)
        loss = gaze_l1(predicted.float(), gaze) + adversarial_loss(drawing.float(), drawn, attention)
        losses = {"loss": loss, "reconstruction": reconstruction_loss(drawing.float(), drawn)}
        self_adversarial_backward(fabric, model, losses)

    return stepped(plain), stepped(decoder), stepped(both)


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


def _medians(works: Sequence[Callable[[], None]], device: str, seconds: float) -> list[float]:
    """Seconds that each work takes in the median: one after the other, so that a busy while slows all of them."""
    times: list[list[float]] = [[] for _ in works]
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times[-1]) < 7:
        for work, own in zip(works, times, strict=True):
            _wait(device)
            began = time.perf_counter()
            work()
            _wait(device)
            own.append(time.perf_counter() - began)
    return [median(own[2:]) for own in times]


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure, print and write ``results/train.json`` and ``results/purification_step.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement (default: 8)")
    parser.add_argument("--only", choices=("networks", "purification"), help="measure these; default both")
    options = parser.parse_args()
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    parts = (("networks", "train", CASES, measured), ("purification", "purification_step", GAMES, game_measured))
    for part, file, cases, measure in parts:
        if options.only in (None, part):
            rows = []
            for device in devices:
                for case in cases:
                    rows.append(measure(case, device, options.seconds))
                    print(rows[-1], flush=True)
            print(write(file, devices[-1], measurements=rows))


if __name__ == "__main__":
    main()
