"""Full-Face's comparison (Zhang et al. 2017, tables 1 and 2) on people whom no network has seen.

    python benchmarks/full_face.py                     # the quick profile, on two CPU cores
    python benchmarks/full_face.py --profile full      # the paper's sizes, on a GPU
    python benchmarks/full_face.py --mpiifacegaze DIR  # on the real data: p00.mat to p14.mat in DIR

Leave-one-group-of-people-out on the domain that mirrors MPIIFaceGaze, laptop (on the real data: leave-one-person-out).
The people are dealt into groups, each group is tested once with a network trained on all others, and every seed deals
anew and starts from other weights. The error of a method is the mean over people of their mean angular error; its
interval is a bootstrap over people, and so is that of the difference between two methods. Nothing was chosen by looking
at these errors: recipe and sizes come from the domain's test people, who are not among those here.

A run that was cut off goes on where it stopped: each trained network's predictions are kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from report import write

from gazecourse.angles import angular_error
from gazecourse.comparison import (
    METHODS,
    Method,
    Recipe,
    Size,
    fit,
    groups_of_people,
    regress_head_pose,
    size_of_profile,
)
from gazecourse.datasets import MPIIFaceGaze
from gazecourse.faces.dataset import FaceDataset
from gazecourse.files import atomic_write
from gazecourse.losses import gaze_l1
from gazecourse.metrics import bootstrap_ci, bootstrap_difference
from gazecourse.models import FullFace
from gazecourse.paths import runs_dir
from gazecourse.profiles import profile
from gazecourse.sample import Sample
from gazecourse.training import make_fabric, predict

DOMAIN = "laptop"
PRIORS = ("head pose", "linear regression")


def on_screen(model: torch.nn.Module, batch: Sample) -> torch.Tensor:
    """The point on the screen [B, 2], mm."""
    return model(batch.float_image())


def screen_losses(model: torch.nn.Module, batch: Sample) -> dict[str, torch.Tensor]:
    """L1 of the point, in decimeters. Faces are not mirrored, for the mirrored screen is another one."""
    return {"loss": gaze_l1(on_screen(model, batch).float(), batch.screen) / 100.0}


def screen_network(size: Size) -> torch.nn.Module:
    """Full-Face for the 2D task."""
    return FullFace(size.face, "2d", form="two_tower", width=size.width, stride=size.stride, weights_std=None)


SCREEN = Method("Full-Face, screen point", screen_network, on_screen, screen_losses)
TRAINED = {**METHODS, SCREEN.name: SCREEN}

Measure = Callable[[torch.Tensor, torch.Tensor], np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """On what and how the methods are compared.

    Attributes:
        groups: of people, each left out once.
        recipe, size: see ``gazecourse.comparison``.
        real: folder of MPIIFaceGaze; None for rendered faces.
        precision: Fabric's name of it.
    """

    groups: int
    recipe: Recipe
    size: Size
    real: Path | None = None
    precision: str = "auto"

    @property
    def name(self) -> str:
        """Of the data."""
        return DOMAIN if self.real is None else "mpiifacegaze"

    @property
    def methods(self) -> list[str]:
        """Names of what is trained. The normalized real data do not tell where the face and the screen were."""
        return list(TRAINED) if self.real is None else [name for name in METHODS if name != "iTracker"]

    def load(self) -> FaceDataset | MPIIFaceGaze:
        """All images of all people."""
        return FaceDataset(DOMAIN, "train") if self.real is None else MPIIFaceGaze(self.real, size=self.size.face)

    def path(self, method: str, seed: int, group: int) -> Path:
        """Where the predictions of one run are kept."""
        return folder() / f"{self.name}-{self.digest}-{method.replace(' ', '_')}-seed{seed}-group{group}.pt"

    @property
    def digest(self) -> str:
        """Of everything that a training depends on, besides its method, its seed and its code."""
        protocol = [profile(), self.groups, asdict(self.recipe), asdict(self.size), self.precision]
        return hashlib.sha256(json.dumps(protocol).encode()).hexdigest()[:10]


def folder() -> Path:
    """Where predictions of finished runs are kept."""
    return runs_dir() / "full_face"


def one_run(job: tuple[str, int, int], protocol: Protocol, threads: int | None) -> str:
    """Train one method without one group of people; keep its predictions for that group."""
    name, seed, group = job
    path = protocol.path(name, seed, group)
    if path.exists():
        return f"{path.stem}: kept"
    if threads:
        torch.set_num_threads(threads)
    data = protocol.load()
    held_out = groups_of_people(data.people, protocol.groups, seed)[group]
    rows = torch.isin(data.person, torch.tensor(held_out))
    training, test = data.split_people(held_out)
    recipe, size = protocol.recipe, protocol.size
    fabric = make_fabric(precision=protocol.precision)
    start = time.perf_counter()
    model, _ = fit(TRAINED[name], training, recipe, size=size, seed=seed, fabric=fabric)
    seconds = time.perf_counter() - start
    predicted = predict(model, test, TRAINED[name].forward)
    with atomic_write(path) as temporary:
        torch.save({"rows": rows.nonzero().squeeze(1), "predicted": predicted, "seconds": seconds}, temporary)
    return f"{path.stem}: {seconds:.0f} s"


def gathered(
    name: str, seeds: list[int], protocol: Protocol, truth: torch.Tensor, measure: Measure
) -> tuple[np.ndarray, list[float]]:
    """Error of every image [seeds, N] and the seconds of every run."""
    errors, seconds = np.full((len(seeds), len(truth)), np.nan), []
    for number, seed in enumerate(seeds):
        for group in range(protocol.groups):
            kept = torch.load(protocol.path(name, seed, group), weights_only=True)
            rows = kept["rows"].numpy()
            errors[number, rows] = measure(kept["predicted"], truth[kept["rows"]])
            seconds.append(kept["seconds"])
    return errors, seconds


def angle(predicted: torch.Tensor, true: torch.Tensor) -> np.ndarray:
    """Angular error [N], degrees."""
    return angular_error(predicted, true).numpy()


def distance(predicted: torch.Tensor, true: torch.Tensor) -> np.ndarray:
    """Distance [N] on the screen, mm."""
    return (predicted - true).norm(dim=1).numpy()


def by_person(errors: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Mean error of each person [people], over images and seeds."""
    return np.array([errors[..., person == one].mean() for one in np.unique(person)])


def row(errors: np.ndarray, person: np.ndarray, **extra: object) -> dict:
    """Mean over people with its interval, and the mean of each seed."""
    interval = bootstrap_ci(by_person(errors, person))
    seeds = [round(float(by_person(one[None], person).mean()), 3) for one in np.atleast_2d(errors)]
    return {"error": [round(v, 3) for v in interval], "error_by_seed": seeds, **extra}


def prior_errors(data: FaceDataset | MPIIFaceGaze, seeds: list[int], groups: int) -> dict[str, np.ndarray]:
    """Errors of what needs no network: head pose as gaze, and least squares on the others' head poses."""
    head = angle(data.head, data.gaze)
    linear = np.full((len(seeds), len(data)), np.nan)
    for number, seed in enumerate(seeds):
        for held_out in groups_of_people(data.people, groups, seed):
            test = torch.isin(data.person, torch.tensor(held_out))
            model = regress_head_pose(data.head[~test], data.gaze[~test])
            linear[number, test.numpy()] = angle(model(data.head[test]), data.gaze[test])
    return {"head pose": head[None], "linear regression": linear}


def screen_errors(data: FaceDataset, seeds: list[int], protocol: Protocol, person: np.ndarray) -> dict:
    """The 2D task: Euclidean error on the screen in mm, beside that of always saying the others' mean point."""
    errors, _ = gathered(SCREEN.name, seeds, protocol, data.screen, distance)
    middle = np.full((len(seeds), len(data)), np.nan)
    for number, seed in enumerate(seeds):
        for held_out in groups_of_people(data.people, protocol.groups, seed):
            test = torch.isin(data.person, torch.tensor(held_out))
            middle[number, test.numpy()] = distance(data.screen[test], data.screen[~test].mean(0))
    return {SCREEN.name: row(errors, person), "mean point": row(middle, person)}


def summary(data: FaceDataset | MPIIFaceGaze, seeds: list[int], protocol: Protocol) -> dict:
    """All tables of the benchmark."""
    person = data.person.numpy()
    errors = prior_errors(data, seeds, protocol.groups)
    rows = {name: row(errors[name], person) for name in PRIORS}
    for name in [name for name in protocol.methods if name in METHODS]:
        errors[name], seconds = gathered(name, seeds, protocol, data.gaze, angle)
        rows[name] = row(errors[name], person, seconds_of_training=round(float(np.mean(seconds)), 1))
    people = {name: by_person(values, person) for name, values in errors.items()}
    differences = {
        f"{other} − Full-Face": [round(v, 3) for v in bootstrap_difference(people[other], people["Full-Face"])]
        for other in rows
        if other != "Full-Face"
    }
    screen = screen_errors(data, seeds, protocol, person) if SCREEN.name in protocol.methods else {}
    return {"methods": rows, "differences": differences, "screen": screen}


def main() -> None:
    """Train everything that is not yet there, print the table and write ``results/full_face.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", choices=("quick", "full"), help="sizes; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--mpiifacegaze", type=Path, metavar="DIR", help="folder of the normalized real data")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side, on a CPU")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    options = parser.parse_args()
    if options.profile:
        os.environ["GAZECOURSE_PROFILE"] = options.profile
    real = options.mpiifacegaze
    groups = 4 if real is None else len(MPIIFaceGaze(real).people)
    protocol = Protocol(groups, Recipe(), size_of_profile(), real, options.precision)
    data = protocol.load()
    jobs = [(n, seed, group) for seed in options.seeds for group in range(groups) for n in protocol.methods]
    work = partial(one_run, protocol=protocol, threads=None if options.processes == 1 else 1)
    if options.processes == 1:
        for job in jobs:
            print(work(job), flush=True)
    else:
        with get_context("spawn").Pool(options.processes, maxtasksperchild=4) as pool:
            for line in pool.imap_unordered(work, jobs):
                print(line, flush=True)
    tables = summary(data, options.seeds, protocol)
    for name, entry in {**tables["methods"], **tables["screen"]}.items():
        print(f"{name:28} {entry['error'][0]:6.2f} [{entry['error'][1]:.2f}, {entry['error'][2]:.2f}]")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {"profile": profile(), "domain": protocol.name, "people": len(data.people), "images": len(data)}
    settings |= {"groups": groups, "seeds": options.seeds, "recipe": asdict(protocol.recipe)}
    settings |= {"size": asdict(protocol.size), "precision": options.precision, "processes": options.processes}
    name = "full_face" if real is None else "full_face_mpiifacegaze"
    print(write(name, device, **settings, **tables))


if __name__ == "__main__":
    main()
