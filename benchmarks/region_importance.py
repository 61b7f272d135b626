"""Does a Full-Face network need the eyes less when gaze turns away? (Zhang et al. 2017, section 5)

    python benchmarks/region_importance.py

In each domain a network is trained on the training people, and a gray square is slid over the faces of the test
people. The share of the rise of the error that lies on squares touching the eyes is compared between the third of the
faces whose gaze is closest to the camera's axis and the third whose gaze is furthest from it. Intervals are bootstraps
over people, of the mean over seeds.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from report import write
from torch import Tensor

from gazecourse.analysis.region_importance import eye_region, region_importance, share_of_eyes
from gazecourse.angles import angular_error
from gazecourse.comparison import METHODS, Recipe, fit, from_face
from gazecourse.faces.dataset import FaceDataset
from gazecourse.metrics import bootstrap_ci, bootstrap_difference, gaze_error
from gazecourse.profiles import profile
from gazecourse.training import make_fabric, predict

DOMAINS = ("laptop", "studio")
PARTS = 7  # the square is a seventh of the face, and moves by half of itself


def shares(model: torch.nn.Module, faces: FaceDataset, batch: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Of each face: share of importance on the eyes, and share of the squares that touch them."""
    size = faces.images.shape[-1]
    mask, stride = size // PARTS, size // PARTS // 2
    device = next(model.parameters()).device
    found = []
    for rows in torch.arange(len(faces)).split(batch):
        gaze = faces.gaze[rows].to(device)

        def error(images: Tensor, gaze: Tensor = gaze) -> Tensor:
            return angular_error(model(images).float(), gaze)

        images = faces.images[rows].to(device).float() / 255
        found.append(region_importance(error, images, mask=mask, stride=stride).cpu())
    region = eye_region(faces.landmarks, size, mask=mask, stride=stride, margin=mask / 2)
    return share_of_eyes(torch.cat(found), region), region.double().mean((1, 2)).numpy()


def one_domain(domain: str, seeds: list[int], recipe: Recipe, every: int, precision: str) -> dict:
    """Shares in the frontal and in the extreme third, and their difference by person."""
    training, faces = FaceDataset(domain, "train"), FaceDataset(domain, "test")
    faces = faces.subset(torch.arange(0, len(faces), every))
    runs, errors = [], []
    for seed in seeds:
        model, _ = fit(METHODS["Full-Face"], training, recipe, seed=seed, fabric=make_fabric(precision=precision))
        errors.append(round(gaze_error(predict(model, faces, from_face), faces.gaze), 3))
        share, area = shares(model, faces)
        runs.append(share)
        print(f"{domain} seed {seed}: error {errors[-1]:.2f}°, eyes carry {100 * np.nanmean(share):.0f} %", flush=True)
    share = np.nanmean(np.stack(runs), axis=0)
    known = ~np.isnan(share)
    angle = angular_error(faces.gaze, torch.zeros_like(faces.gaze)).numpy()
    low, high = np.quantile(angle[known], [1 / 3, 2 / 3])
    thirds = {"frontal": known & (angle <= low), "extreme": known & (angle >= high)}
    person = faces.person.numpy()
    result: dict = {"error_by_seed": errors, "images": int(known.sum())}
    for name, rows in thirds.items():
        interval = bootstrap_ci(share[rows], clusters=person[rows])
        result[name] = {
            "share": [round(v, 4) for v in interval],
            "area": round(float(area[rows].mean()), 4),
            "angles": [round(float(angle[rows].min()), 1), round(float(angle[rows].max()), 1)],
        }
    both = [one for one in np.unique(person) if all((rows & (person == one)).any() for rows in thirds.values())]
    means = {name: np.array([share[rows & (person == one)].mean() for one in both]) for name, rows in thirds.items()}
    difference = bootstrap_difference(means["extreme"], means["frontal"])
    return result | {"extreme minus frontal": [round(v, 4) for v in difference]}


def main() -> None:
    """Train, slide, print and write ``results/region_importance.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--every", type=int, default=2, help="use every n-th test image (default: 2)")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    options = parser.parse_args()
    recipe = Recipe()
    rows = {d: one_domain(d, options.seeds, recipe, options.every, options.precision) for d in DOMAINS}
    settings = {"profile": profile(), "epochs": recipe.epochs, "seeds": options.seeds, "precision": options.precision}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(write("region_importance", device, **settings, domains=rows))


if __name__ == "__main__":
    main()
