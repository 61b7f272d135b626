"""Landmark losses, heads and label noise (Lin et al. 2021): which loss bears noise, and which head bears a cover?

    python benchmarks/landmarks.py --part main --processes 2     # the two comparisons of the paper's argument
    python benchmarks/landmarks.py --part grid --seeds 0 1 2 --processes 2 --into landmarks_grid
    python benchmarks/landmarks.py --part wings --processes 2 --into landmarks_wings
    python benchmarks/landmarks.py --part losses --levels 0 0.06 --processes 2 --into landmarks_losses
    python benchmarks/landmarks.py --part wings --losses wing "soft wing" --relative without --epochs 12 \\
        --seeds 0 1 2 --processes 2 --into landmarks_longer
    python benchmarks/landmarks.py --part heart --faces 400 --epochs 30 --unchanged --processes 2 \\
        --into landmarks_by_heart
    python benchmarks/landmarks.py --profile full                # everything with the paper's network, on a GPU
    python benchmarks/landmarks.py --estimate                    # only say what is missing, and what it costs
    python benchmarks/landmarks.py --losses wing "soft wing" --levels 0.06 --heads fc --seeds 7 --into again

Every network learns from faces of all domains whose labels have noise that grows with their hardness, and is tested on
other people against the truth. A cell is a loss, a noise level, a head, and whether the relative location loss is
there. Within a seed all cells share labels, order of the data and augmentation, and as many initial weights as their
heads allow; differences are taken seed by seed. Every number is a mean over seeds with Student's t interval.

A run that was cut off goes on where it stopped: what was measured of each network is kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import torch
from report import by_seed, write
from torch import nn

from gazecourse.alignment import (
    PENALTIES,
    PIXELS,
    SOURCES,
    UNCHANGED,
    AlignmentFaces,
    Augmentation,
    alignment,
    augmentation,
    covered_faces,
    landmarks_of,
    recipe,
    scale,
    scores,
    subsets,
    test_faces,
    training_faces,
)
from gazecourse.analysis.occlusion import influence
from gazecourse.comparison import Recipe, fit
from gazecourse.faces.dataset import face_set
from gazecourse.faces.rendering import render
from gazecourse.files import atomic_write
from gazecourse.landmark_noise import face_sizes, noise_learned
from gazecourse.losses import soft_wing
from gazecourse.metrics import cumulative_errors, landmark_errors, nme
from gazecourse.models.structure_coherent import HEADS
from gazecourse.paths import runs_dir
from gazecourse.profiles import profile
from gazecourse.training import make_fabric

LEVELS = (0.0, 0.03, 0.06)
"""Of the label noise: root mean square distance from the truth at hardness 1, in face sizes."""
LIMITS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2)
"""NMEs at which cumulative error curves are stored."""
LOOKED_AT = 1_500
"""Training faces whose predictions are compared with their labels."""
STUDIED = 200
"""Test faces of moderate pose, of all domains, on which regions are covered, one after another."""
OVERHEAD = 1.25
"""Time of a training with its tests, in times of its steps alone."""
TAIL = 19.5
"""Pixels at which soft wing's slope, ω₂/(ε + |x|), has fallen to 1."""


def tailed(residual: torch.Tensor) -> torch.Tensor:
    """Soft wing up to 19.5 pixels, L1 beyond: far errors never pull less than in L1, as in wing."""
    x = residual.abs()
    return torch.where(x < TAIL, soft_wing(x), x - TAIL + soft_wing(x.new_tensor(TAIL)))


TAILED = "soft wing, L1 beyond"
LOSSES = PENALTIES | {TAILED: tailed}


@dataclass(frozen=True, order=True)
class Cell:
    """One way to train.

    Attributes:
        loss: name in ``LOSSES``.
        level: of the label noise.
        head: "static", "dynamic" or "fc".
        relative: with the relative location loss.
    """

    loss: str
    level: float
    head: str
    relative: bool

    def __str__(self) -> str:
        return f"{self.loss}, noise {self.level:g}, {self.head}, {'with' if self.relative else 'without'} L_rel"


def product(
    losses: Iterable[str], levels: Iterable[float], heads: Iterable[str], relative: Iterable[bool]
) -> list[Cell]:
    """All combinations."""
    return [Cell(*values) for values in itertools.product(losses, levels, heads, relative)]


WINGS = ("wing", "soft wing")
PARTS = {
    "main": [
        *product(WINGS, (0.0, LEVELS[-1]), ("fc",), (False,)),
        Cell("soft wing", LEVELS[-1], "fc", True),
        Cell("soft wing", LEVELS[-1], "static", True),
        *product(("soft wing",), LEVELS[-1:], ("dynamic",), (False, True)),
    ],
    "losses": product(PENALTIES, LEVELS, ("fc",), (False,)),
    "heads": product(("soft wing",), LEVELS, HEADS, (False, True)),
    "wings": [
        *product((*WINGS, TAILED), (0.0, LEVELS[-1]), ("fc",), (False,)),
        *product(WINGS, LEVELS[-1:], ("fc",), (True,)),
    ],
    "heart": product(("L1", *WINGS), (0.02, LEVELS[-1]), ("fc",), (False,)),
    "all": product(PENALTIES, LEVELS, HEADS, (False, True)),
}
PARTS["grid"] = list(dict.fromkeys(PARTS["losses"] + PARTS["heads"]))
"""What can be asked for by name: the paper's two arguments; all losses; all heads; what outliers have to do with wing
and soft wing; what is learned by heart, where the noise lies below soft wing's logarithm and where it lies above;
everything; all losses with one head, and all heads with one loss."""


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        cells: in the order of training, within a seed.
        recipe: epochs, batch size, peak learning rate.
        faces: training faces; the first so many of each domain, in equal parts.
        precision: Fabric's name of it.
        changes: how training faces are changed.
    """

    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    faces: int
    precision: str = "auto"
    changes: Augmentation = field(default_factory=augmentation)

    def trainings(self) -> list[tuple[Cell, int]]:
        """Seed by seed: what is there when a run is cut off holds whole seeds."""
        return [(cell, seed) for seed in self.seeds for cell in self.cells]

    def settings(self) -> dict:
        """Everything that a training depends on, besides cell, seed and code, as JSON values."""
        return {
            "profile": profile(),
            "scale": asdict(scale()),
            "recipe": asdict(self.recipe),
            "faces": self.faces,
            "sources": {domain: face_set(domain, "train").parameters for domain in SOURCES},
            "augmentation": asdict(self.changes),
            "precision": self.precision,
        }

    def path(self, cell: Cell, seed: int) -> Path:
        """Where the measurements of a training are kept."""
        digest = hashlib.sha256(json.dumps(self.settings()).encode()).hexdigest()[:10]
        name = re.sub(r"[^a-z0-9.]+", "-", str(cell).lower())
        return runs_dir() / "landmarks" / digest / f"{name}-seed{seed}.json"

    def missing(self) -> list[tuple[Cell, int]]:
        """Trainings of which nothing is kept."""
        return [(cell, seed) for cell, seed in self.trainings() if not self.path(cell, seed).exists()]


# --- one training -------------------------------------------------------------------------------


@cache
def learned_from(count: int) -> AlignmentFaces:
    """Clean training faces: the first ones of each domain, in equal parts."""
    whole = training_faces()
    part = len(whole) // len(SOURCES)
    rows = torch.arange(len(whole)) % part < count // len(SOURCES)
    return whole.subset(rows)


@cache
def tested_on() -> AlignmentFaces:
    """Other people."""
    return test_faces()


Measured = dict


def measure(cell: Cell, seed: int, plan: Plan) -> Measured:
    """Train one network and measure it."""
    noisy = learned_from(plan.faces).with_noise(cell.level, seed)
    method = alignment(
        noisy.labels,
        noisy.side,
        cell.head,
        LOSSES[cell.loss],
        relative_location=cell.relative,
        settings=plan.changes,
    )
    began = time.perf_counter()
    model, _ = fit(method, noisy, plan.recipe, seed=seed, fabric=make_fabric(precision=plan.precision))
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 1),
        "tests": tests(model),
        "cover": under_a_cover(model),
        "influence": coupling(model),
        "training": against_labels(model, noisy),
    }


def tests(model: nn.Module) -> dict[str, Measured]:
    """Scores on every subset, with points of the cumulative error curve."""
    faces = tested_on()
    pred = landmarks_of(model, faces)
    errors = torch.from_numpy(nme(pred, faces.landmarks, 68))
    found = {name: asdict(result) for name, result in scores(pred, faces).items()}
    for name, rows in subsets(faces).items():
        if name in found:
            found[name]["curve"] = cumulative_errors(errors[rows], LIMITS)
    return found


def under_a_cover(model: nn.Module) -> Measured:
    """NME of the hidden and of the visible landmarks, with a rectangle before each test face and before it came.

    At moderate pose: in profile the eyes' distance, which errors are divided by, shrinks, and few faces would decide.
    """
    faces = tested_on()
    faces = faces.subset(subsets(faces)["moderate pose"])
    covered, hidden = covered_faces(faces)
    found: Measured = {}
    for when, seen in (("", covered), (" before", faces)):
        errors = torch.from_numpy(landmark_errors(landmarks_of(model, seen), faces.landmarks, 68))
        found |= {f"hidden{when}": errors[hidden].mean().item(), f"visible{when}": errors[~hidden].mean().item()}
    return found


def coupling(model: nn.Module) -> Measured:
    """How far landmarks move when a region is covered, below the cover and elsewhere, in face sizes."""
    faces = tested_on()
    bare = subsets(faces)["moderate pose"] & ~faces.occluded  # the cover of the study is to be the only one
    faces = faces.subset(bare).some(STUDIED)
    device, factor = next(model.parameters()).device, faces.side / PIXELS

    def predict(images: torch.Tensor) -> torch.Tensor:
        return model(images.to(device)).cpu() * factor

    found = influence(predict, faces.images.float() / 255, faces.landmarks)
    return {
        "under cover": found.under_cover.mean().item(),
        "elsewhere": found.elsewhere.mean().item(),
        "matrix": [[round(value, 5) for value in row] for row in found.matrix.tolist()],
    }


def against_labels(model: nn.Module, noisy: AlignmentFaces) -> Measured:
    """How far answers on training faces are from the truth and from the labels (by the box), and the noise learned."""
    some = noisy.some(LOOKED_AT)
    pred = landmarks_of(model, some)
    found = {
        "to the truth": nme(pred, some.landmarks, 68, "box").mean(),
        "to the labels": float((pred - some.labels).norm(dim=2).mean(1).div(face_sizes(some.landmarks)).mean()),
    }
    if bool((some.labels != some.landmarks).any()):
        found["noise learned"] = noise_learned(pred, some.landmarks, some.labels)
    return found


def kept(training: tuple[Cell, int], plan: Plan, threads: int | None) -> None:
    """``measure``, unless it was done before; in a process of its own."""
    if threads:
        torch.set_num_threads(threads)
    path = plan.path(*training)
    if path.exists():
        return
    found = measure(*training, plan)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(found))
    hard = found["tests"]["hard"]["nme"]
    print(f"{training[0]}, seed {training[1]}: {found['seconds']:.0f} s, NME of hard faces {hard:.2%}", flush=True)


# --- what it costs ------------------------------------------------------------------------------


def estimate(plan: Plan, processes: int) -> str:
    """How many trainings are missing and how long they take, from a few steps of each head."""
    missing = plan.missing()
    rates = {head: seconds_a_step(head, plan) for head in sorted({cell.head for cell, _ in missing})}
    steps = plan.recipe.epochs * (plan.faces // plan.recipe.batch_size)
    total = OVERHEAD * steps * sum(rates[cell.head] for cell, _ in missing)
    words = ", ".join(f"{head} {OVERHEAD * steps * rate:.0f} s" for head, rate in rates.items())
    return (
        f"{len(missing)} of {len(plan.trainings())} trainings are missing ({words or 'none'}): about "
        f"{total / 60:.0f} minutes of one process, {total / 60 / processes:.0f} minutes with {processes}."
    )


def seconds_a_step(head: str, plan: Plan) -> float:
    """Mean time of five steps after two that do not count, as one of several processes takes it."""
    faces = learned_from(plan.faces)
    faces = faces.subset(torch.arange(7 * plan.recipe.batch_size) % len(faces))
    method = alignment(faces.labels, faces.side, head, settings=plan.changes)
    times: list[float] = []

    def timed(model: nn.Module, batch: object) -> dict[str, torch.Tensor]:
        times.append(time.perf_counter())
        return method.losses(model, batch)

    fit(
        type(method)(method.name, method.build, method.forward, timed),
        faces,
        Recipe(1, plan.recipe.batch_size, plan.recipe.rate),
        fabric=make_fabric(precision=plan.precision),
    )
    return (times[-1] - times[1]) / (len(times) - 2)


# --- tables -------------------------------------------------------------------------------------

Results = dict[tuple[Cell, int], Measured]


def flat(found: Measured, before: str = "") -> dict[str, float]:
    """Numbers by the path to them, such as "tests/hard/nme"; lists are left out."""
    numbers: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            numbers |= flat(value, f"{before}{name}/")
        elif isinstance(value, (int, float)):
            numbers[before + name] = value
    return numbers


def row(cell: Cell, results: Results, seeds: tuple[int, ...]) -> dict:
    """Everything that was measured of a cell."""
    runs = [results[cell, seed] for seed in seeds]
    numbers = [flat(run) for run in runs]
    curves = {name: torch.tensor([run["tests"][name]["curve"] for run in runs]).mean(0) for name in ("all", "hard")}
    matrix = torch.tensor([run["influence"]["matrix"] for run in runs]).mean(0)
    return {
        **asdict(cell),
        "numbers": {name: by_seed([run[name] for run in numbers]) for name in numbers[0]},
        "curves": {name: [round(share, 4) for share in curve.tolist()] for name, curve in curves.items()},
        "influence": [[round(value, 5) for value in line] for line in matrix.tolist()],
    }


COMPARED = ("/nme", "/nme_box", "/failure_rate", "/auc", "cover/", "influence/", "/noise learned")
"""Parts of the names of numbers whose differences are stored."""


def difference(first: Cell, second: Cell, results: Results, seeds: tuple[int, ...]) -> dict:
    """First minus second, seed by seed, of the numbers that both have and that say how good a network is."""
    pairs = [(flat(results[first, seed]), flat(results[second, seed])) for seed in seeds]
    names = [name for name in pairs[0][0] if name in pairs[0][1] and any(part in name for part in COMPARED)]
    return {name: by_seed([one[name] - other[name] for one, other in pairs]) for name in names}


def contrasts(cells: Iterable[Cell]) -> dict[str, tuple[Cell, Cell]]:
    """Pairs of cells that differ in what an argument of the paper is about, by the name of the comparison."""
    cells = set(cells)
    pairs = {}
    for cell in sorted(cells):
        others = {
            "soft wing − wing": (cell.loss == "soft wing", Cell("wing", cell.level, cell.head, cell.relative)),
            "wing − L1": (cell.loss == "wing", Cell("L1", cell.level, cell.head, cell.relative)),
            "soft wing − L1": (cell.loss == "soft wing", Cell("L1", cell.level, cell.head, cell.relative)),
            "L1 beyond − soft wing": (cell.loss == TAILED, Cell("soft wing", cell.level, cell.head, cell.relative)),
            "L1 beyond − wing": (cell.loss == TAILED, Cell("wing", cell.level, cell.head, cell.relative)),
            "noise − none": (cell.level > 0, Cell(cell.loss, 0.0, cell.head, cell.relative)),
            "with − without L_rel": (cell.relative, Cell(cell.loss, cell.level, cell.head, False)),
            f"{cell.head} with L_rel − fc": (
                cell.head != "fc" and cell.relative,
                Cell(cell.loss, cell.level, "fc", False),
            ),
            f"{cell.head} − fc": (
                cell.head != "fc" and not cell.relative,
                Cell(cell.loss, cell.level, "fc", cell.relative),
            ),
            "dynamic − static": (cell.head == "dynamic", Cell(cell.loss, cell.level, "static", cell.relative)),
        }
        for name, (applies, other) in others.items():
            if applies and other in cells:
                pairs[f"{name}: {cell}"] = (cell, other)
    return pairs


def tables(plan: Plan) -> dict:
    """All cells, and all differences between them."""
    results = {(cell, seed): json.loads(plan.path(cell, seed).read_text()) for cell, seed in plan.trainings()}
    return {
        "limits": LIMITS,
        "cells": {str(cell): row(cell, results, plan.seeds) for cell in plan.cells},
        "differences": {
            name: difference(first, second, results, plan.seeds)
            for name, (first, second) in contrasts(plan.cells).items()
        },
    }


SHOWN = ("tests/all/nme", "tests/easy/nme", "tests/hard/nme", "cover/hidden", "training/noise learned")


def show(found: dict) -> None:
    """The table in short."""
    print(f"\n{'':48}" + "".join(f"{name.split('/', 1)[1]:>16}" for name in SHOWN))
    for name, cell in found["cells"].items():
        values = [cell["numbers"].get(number, {"mean": [float("nan")]})["mean"][0] for number in SHOWN]
        print(f"{name:48}" + "".join(f"{100 * value:15.2f}%" for value in values))
    show_differences(found, "tests/hard/nme")


def show_differences(found: dict, number: str) -> None:
    """All differences of one number, such as "tests/hard/nme", in points."""
    for name, numbers in found["differences"].items():
        mean, *interval = numbers[number]["mean"]
        words = f" [{100 * interval[0]:+.2f}, {100 * interval[1]:+.2f}]" if interval else ""
        print(f"{name}: {number} {100 * mean:+.2f}{words} points")


def _plan(options: argparse.Namespace) -> Plan:
    cells = [
        cell
        for cell in PARTS[options.part]
        if cell.loss in options.losses
        and cell.level in options.levels
        and cell.head in options.heads
        and options.relative in ("both", "with" if cell.relative else "without")
    ]
    usual = recipe()
    chosen = Recipe(options.epochs or usual.epochs, usual.batch_size, usual.rate)
    faces = options.faces or sum(face_set(domain, "train").images for domain in SOURCES)
    changes = UNCHANGED if options.unchanged else augmentation()
    return Plan(tuple(cells), tuple(options.seeds), chosen, faces, options.precision, changes)


def main() -> None:
    """Train everything that is not yet there, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=tuple(PARTS), default="all", help="which cells (default: all)")
    parser.add_argument("--losses", nargs="+", choices=tuple(LOSSES), default=list(LOSSES))
    levels = sorted({cell.level for part in PARTS.values() for cell in part})
    parser.add_argument("--levels", nargs="+", type=float, choices=levels, default=levels)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--relative", choices=("both", "with", "without"), default="both", help="L_rel")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, help="default: the profile's")
    parser.add_argument("--faces", type=int, help="training faces; default: all of the profile's")
    parser.add_argument("--unchanged", action="store_true", help="leave training faces as they are")
    parser.add_argument("--profile", choices=("quick", "full"), help="sizes; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side, on a CPU")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it")
    parser.add_argument("--estimate", action="store_true", help="say what is missing and what it costs, and end")
    parser.add_argument("--into", default="landmarks", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args()
    if options.profile:
        os.environ["GAZECOURSE_PROFILE"] = options.profile
    plan = _plan(options)
    if not plan.cells:
        parser.error("no cell is left of this part with these losses, levels and heads")
    render([face_set(domain, split) for domain in SOURCES for split in ("train", "test")])  # not in every process
    threads = None if options.processes == 1 else 1
    if threads:
        torch.set_num_threads(threads)
    print(estimate(plan, options.processes), flush=True)
    if options.estimate:
        return
    run(partial(kept, plan=plan, threads=threads), plan.missing(), options.processes)
    found = tables(plan)
    show(found)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(write(options.into, device, **plan.settings(), seeds=options.seeds, part=options.part, **found))


def run(work: Callable[[tuple[Cell, int]], None], trainings: list[tuple[Cell, int]], processes: int) -> None:
    """All trainings, one after the other or side by side."""
    if processes == 1:
        for training in trainings:
            work(training)
        return
    with get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(work, trainings):
            pass


if __name__ == "__main__":
    main()
