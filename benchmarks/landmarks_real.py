"""Losses and heads on photographs (Lin et al. 2021): WFLW, 300W or COFW, whichever is on disk.

    python benchmarks/landmarks_real.py wflw FOLDER                          # the paper's network, on a GPU
    python benchmarks/landmarks_real.py 300w FOLDER --losses "soft wing" --heads static --seeds 0
    python benchmarks/landmarks_real.py cofw FOLDER --profile quick          # a small network on faces of 64²

Trained on the data set's training faces, tested on its test faces and on each of their subsets, as the paper has it:
NME by the distance of the outer eye corners, failure rate above 10 %, area under the cumulative error curve up to it.
What the rendered faces can tell beyond this, ``benchmarks/landmarks.py`` measures: here nobody knows the truth, for the
test labels come from the same annotators.

Training faces are balanced over pose, as in the paper; ``--bins 1`` leaves them as they are. The whole data set is held
in memory (WFLW: 2 GB at 256²).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from landmarks import Cell, contrasts, difference, flat, product, show_differences
from report import by_seed, write
from torch.utils.data import Dataset, Subset

from gazecourse.alignment import PENALTIES, alignment, augmentation, landmarks_of, recipe, score
from gazecourse.comparison import Recipe, fit
from gazecourse.datasets import COFW, WFLW, IBug300W
from gazecourse.datasets.face_photos import FacePhotos
from gazecourse.errors import CourseError
from gazecourse.landmark_systems import photo_subsets, real_scale
from gazecourse.models.structure_coherent import HEADS
from gazecourse.pose_balance import balanced_over_pose
from gazecourse.profiles import profile
from gazecourse.sample import Sample
from gazecourse.training import make_fabric

Reader = Callable[[Path, str, int], FacePhotos]
READERS: dict[str, Reader] = {
    "wflw": lambda root, split, size: WFLW(root, split, size=size),
    "300w": lambda root, split, size: IBug300W(root, {"test": "full"}.get(split, split), size=size),
    "cofw": lambda root, split, size: COFW(root, split, size=size),
}


class InMemory(Dataset):
    """Photographs that were read once.

    Args:
        photos: faces of a data set.
    Attributes:
        images: uint8 [N, 3, side, side]. landmarks: [N, P, 2] pixels of these. factors: as in the data set.
    """

    def __init__(self, photos: FacePhotos) -> None:
        self.images = torch.stack([photos[index].image for index in range(len(photos))])
        self.landmarks, self.factors, self.domain = photos.landmarks, photos.factors, photos.domain

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> Sample:
        rows = torch.as_tensor(indices)
        domain = [self.domain] * len(rows)
        return Sample(image=self.images[rows], landmarks=self.landmarks[rows], person=rows, domain=domain)


def measure(cell: Cell, seed: int, train: InMemory, test: InMemory, plan: Recipe, bins: int, precision: str) -> dict:
    """Train one network and test it on every subset."""
    sizes = real_scale()
    learned = Subset(train, balanced_over_pose(train.landmarks, bins, seed=seed).tolist())  # some several times
    method = alignment(
        train.landmarks,
        sizes.side,
        cell.head,
        PENALTIES[cell.loss],
        relative_location=cell.relative,
        settings=augmentation(),
        sizes=sizes,
    )
    began = time.perf_counter()
    model, _ = fit(method, learned, plan, seed=seed, fabric=make_fabric(precision=precision))
    pred = landmarks_of(model, test)
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "tests": {
            name: asdict(score(pred[rows], test.landmarks[rows]))
            for name, rows in photo_subsets(test).items()
            if bool(rows.any())
        },
    }


def tables(results: dict[tuple[Cell, int], dict], seeds: tuple[int, ...]) -> dict:
    """All cells, and the differences that the paper's arguments are about."""
    cells = list(dict.fromkeys(cell for cell, _ in results))
    rows = {}
    for cell in cells:
        runs = [flat(results[cell, seed]) for seed in seeds]
        rows[str(cell)] = {**asdict(cell), "numbers": {name: by_seed([run[name] for run in runs]) for name in runs[0]}}
    pairs = contrasts(cells).items()
    return {"cells": rows, "differences": {name: difference(*pair, results, seeds) for name, pair in pairs}}


def show(found: dict) -> None:
    """NME of every subset, and the differences."""
    for name, cell in found["cells"].items():
        numbers = cell["numbers"].items()
        errors = [f"{key.split('/')[1]} {100 * n['mean'][0]:.2f}%" for key, n in numbers if key.endswith("/nme")]
        print(f"{name}: " + ", ".join(errors))
    show_differences(found, "tests/all/nme")


def _cells(losses: Iterable[str], heads: Iterable[str], relative: str) -> list[Cell]:
    return product(losses, (0.0,), heads, {"both": (False, True), "with": (True,), "without": (False,)}[relative])


def main() -> None:
    """Read, train, test, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=tuple(READERS), help="which data set")
    parser.add_argument("folder", type=Path, help="where it is")
    parser.add_argument("--losses", nargs="+", choices=tuple(PENALTIES), default=["wing", "soft wing"])
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--relative", choices=("both", "with", "without"), default="both", help="L_rel")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, help="default: the profile's")
    parser.add_argument("--bins", type=int, default=9, help="of poses that are to be equally frequent (default: 9)")
    parser.add_argument("--profile", choices=("quick", "full"), default="full", help="sizes (default: full)")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it")
    parser.add_argument("--into", metavar="NAME", help="write results/NAME.json; default landmarks_DATA")
    options = parser.parse_args()
    os.environ["GAZECOURSE_PROFILE"] = options.profile
    usual = recipe()
    plan = Recipe(options.epochs or usual.epochs, usual.batch_size, usual.rate)
    read = partial(READERS[options.data], options.folder)
    try:
        train, test = (InMemory(read(split, real_scale().side)) for split in ("train", "test"))
    except (CourseError, FileNotFoundError) as error:
        parser.error(str(error))
    results = {}
    for seed in options.seeds:
        for cell in _cells(options.losses, options.heads, options.relative):
            results[cell, seed] = measure(cell, seed, train, test, plan, options.bins, options.precision)
            print(f"{cell}, seed {seed}: NME {results[cell, seed]['tests']['all']['nme']:.2%}", flush=True)
    found = tables(results, tuple(options.seeds))
    show(found)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {"profile": profile(), "data": options.data, "scale": asdict(real_scale()), "recipe": asdict(plan)}
    settings |= {"augmentation": asdict(augmentation()), "bins": options.bins, "seeds": options.seeds}
    sizes = {"training_faces": len(train), "test_faces": len(test)}
    print(write(options.into or f"landmarks_{options.data}", device, **settings, **sizes, **found))


if __name__ == "__main__":
    main()
