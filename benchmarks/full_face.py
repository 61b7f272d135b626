"""Full-Face's comparison (Zhang et al. 2017, tables 1 and 2) on people whom no network has seen.

    python benchmarks/full_face.py                     # the quick profile, on two CPU cores
    python benchmarks/full_face.py --profile full      # the paper's sizes, on a GPU

Leave-one-group-of-people-out on the domain that mirrors MPIIFaceGaze, laptop: the people are dealt into groups, each
group is tested once with a network trained on all others, and every seed deals anew and starts from other weights.
The error of a method is the mean over people of their mean angular error; its interval is a bootstrap over people, and
so is that of the difference between two methods. Nothing was chosen by looking at these errors: recipe and sizes come
from the domain's test people, who are not among those here.

A run that was cut off goes on where it stopped: each trained network's predictions are kept in the cache.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from report import write

from gazecourse.angles import angular_error
from gazecourse.batches import seed_all
from gazecourse.comparison import METHODS, Recipe, Size, fit, groups_of_people, regress_head_pose, size_of_profile
from gazecourse.faces.dataset import FaceDataset
from gazecourse.files import atomic_write
from gazecourse.losses import gaze_l1
from gazecourse.metrics import bootstrap_ci, bootstrap_difference
from gazecourse.models import FullFace
from gazecourse.paths import runs_dir
from gazecourse.profiles import profile
from gazecourse.sample import Sample
from gazecourse.training import Settings, make_fabric, predict, train

DOMAIN = "laptop"
GROUPS = 4
SCREEN = "Full-Face, screen point"
PRIORS = ("head pose", "linear regression")

Measure = Callable[[torch.Tensor, torch.Tensor], np.ndarray]


def folder() -> Path:
    """Where predictions of finished runs are kept."""
    return runs_dir() / "full_face"


def one_run(job: tuple[str, int, int], recipe: Recipe, size: Size, threads: int | None, precision: str) -> str:
    """Train one method without one group of people; keep its predictions for that group."""
    name, seed, group = job
    path = folder() / f"{profile()}-{recipe.epochs}epochs-{name.replace(' ', '_')}-seed{seed}-group{group}.pt"
    if path.exists():
        return f"{path.stem}: kept"
    if threads:
        torch.set_num_threads(threads)
    data = FaceDataset(DOMAIN, "train", render=False)
    held_out = groups_of_people(data.people, GROUPS, seed)[group]
    rows = torch.isin(data.person, torch.tensor(held_out))
    training, test = data.split_people(held_out)
    fabric = make_fabric(precision=precision)
    start = time.perf_counter()
    model = _screen_model(training, recipe, size, seed, fabric) if name == SCREEN else None
    forward = _screen_point if name == SCREEN else METHODS[name].forward
    if model is None:
        model, _ = fit(METHODS[name], training, recipe, size=size, seed=seed, fabric=fabric)
    seconds = time.perf_counter() - start
    predicted = predict(model, test, forward)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        torch.save({"rows": rows.nonzero().squeeze(1), "predicted": predicted, "seconds": seconds}, temporary)
    return f"{path.stem}: {seconds:.0f} s"


def _screen_point(model: torch.nn.Module, batch: Sample) -> torch.Tensor:
    return model(batch.float_image())


def _screen_model(training: FaceDataset, recipe: Recipe, size: Size, seed: int, fabric: object) -> torch.nn.Module:
    """The 2D task: the point on the screen. Faces are not mirrored, for the mirrored screen is another one."""
    seed_all(seed)
    model = FullFace(size.face, "2d", form="two_tower", width=size.width, stride=size.stride, weights_std=None)

    def losses(network: torch.nn.Module, batch: Sample) -> dict[str, torch.Tensor]:
        return {"loss": gaze_l1(network(batch.float_image()).float(), batch.screen) / 100.0}

    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    train(model, losses, training, optimizer, Settings(recipe.epochs, recipe.batch_size, seed=seed), fabric=fabric)
    return model


def gathered(
    name: str, seeds: list[int], recipe: Recipe, truth: torch.Tensor, measure
) -> tuple[np.ndarray, list[float]]:
    """Error of every image [seeds, N] and the seconds of every run."""
    errors, seconds = np.full((len(seeds), len(truth)), np.nan), []
    for number, seed in enumerate(seeds):
        for group in range(GROUPS):
            stem = f"{profile()}-{recipe.epochs}epochs-{name.replace(' ', '_')}-seed{seed}-group{group}.pt"
            kept = torch.load(folder() / stem, weights_only=True)
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


def prior_errors(data: FaceDataset, seeds: list[int]) -> dict[str, np.ndarray]:
    """Errors of what needs no network: head pose as gaze, and least squares on the others' head poses."""
    head = angle(data.head, data.gaze)
    linear = np.full((len(seeds), len(data)), np.nan)
    for number, seed in enumerate(seeds):
        for held_out in groups_of_people(data.people, GROUPS, seed):
            test = torch.isin(data.person, torch.tensor(held_out))
            model = regress_head_pose(data.head[~test], data.gaze[~test])
            linear[number, test.numpy()] = angle(model(data.head[test]), data.gaze[test])
    return {"head pose": head[None], "linear regression": linear}


def screen_errors(data: FaceDataset, seeds: list[int], recipe: Recipe, person: np.ndarray) -> dict:
    """The 2D task: Euclidean error on the screen in mm, beside that of always saying the others' mean point."""
    errors, _ = gathered(SCREEN, seeds, recipe, data.screen, distance)
    middle = np.full((len(seeds), len(data)), np.nan)
    for number, seed in enumerate(seeds):
        for held_out in groups_of_people(data.people, GROUPS, seed):
            test = torch.isin(data.person, torch.tensor(held_out))
            middle[number, test.numpy()] = distance(data.screen[test], data.screen[~test].mean(0))
    return {SCREEN: row(errors, person), "mean point": row(middle, person)}


def summary(data: FaceDataset, seeds: list[int], recipe: Recipe) -> dict:
    """All tables of the benchmark."""
    person = data.person.numpy()
    errors = prior_errors(data, seeds)
    rows = {name: row(errors[name], person) for name in PRIORS}
    for name in METHODS:
        errors[name], seconds = gathered(name, seeds, recipe, data.gaze, angle)
        rows[name] = row(errors[name], person, seconds_of_training=round(float(np.mean(seconds)), 1))
    people = {name: by_person(values, person) for name, values in errors.items()}
    differences = {
        f"{other} − Full-Face": [round(v, 3) for v in bootstrap_difference(people[other], people["Full-Face"])]
        for other in rows
        if other != "Full-Face"
    }
    return {"methods": rows, "differences": differences, "screen": screen_errors(data, seeds, recipe, person)}


def main() -> None:
    """Train everything that is not yet there, print the table and write ``results/full_face.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", choices=("quick", "full"), help="sizes; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side, on a CPU")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    options = parser.parse_args()
    if options.profile:
        os.environ["GAZECOURSE_PROFILE"] = options.profile
    recipe, size = Recipe(), size_of_profile()
    data = FaceDataset(DOMAIN, "train")
    names = [*METHODS, SCREEN]
    jobs = [(name, seed, group) for seed in options.seeds for group in range(GROUPS) for name in names]
    threads = None if options.processes == 1 else 1
    work = partial(one_run, recipe=recipe, size=size, threads=threads, precision=options.precision)
    if options.processes == 1:
        for job in jobs:
            print(work(job), flush=True)
    else:
        with get_context("spawn").Pool(options.processes, maxtasksperchild=4) as pool:
            for line in pool.imap_unordered(work, jobs):
                print(line, flush=True)
    tables = summary(data, options.seeds, recipe)
    for name, entry in {**tables["methods"], **tables["screen"]}.items():
        print(f"{name:28} {entry['error'][0]:6.2f} [{entry['error'][1]:.2f}, {entry['error'][2]:.2f}]")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {"profile": profile(), "domain": DOMAIN, "people": len(data.people), "images": len(data)}
    settings |= {"groups": GROUPS, "seeds": options.seeds, "recipe": asdict(recipe), "size": asdict(size)}
    settings |= {"precision": options.precision, "processes": options.processes}
    print(write("full_face", device, **settings, **tables))


if __name__ == "__main__":
    main()
