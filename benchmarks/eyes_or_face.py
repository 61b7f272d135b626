"""Why two eyes can beat the whole face here: what the crops give away.

    python benchmarks/eyes_or_face.py

Eye crops enlarge the eyes, and exact landmarks say where they are. Full-Face gets neither: in a face of 112 pixels an
eye crop's window is 30 pixels wide, and the network must find it. Each gift is taken away or handed over by itself:
the landmarks err by more and more, and the first convolution moves by one pixel instead of two, which gives Full-Face
maps of twice the resolution. Trained on the training people of laptop, tested on its test people; intervals over
people, of the mean over seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from report import write

from gazecourse.angles import angular_error
from gazecourse.comparison import METHODS, Recipe, Size, fit, size_of_profile
from gazecourse.faces.dataset import FaceDataset
from gazecourse.metrics import bootstrap_ci
from gazecourse.profiles import profile
from gazecourse.training import make_fabric, predict

DOMAIN = "laptop"
LANDMARK_ERRORS = (0.0, 3.0, 6.0)
"""Standard deviation of each coordinate, in pixels of a face of 112, for training and test people alike."""


def displaced(data: FaceDataset, pixels: float, seed: int) -> FaceDataset:
    """The same faces with all landmarks of a face moved together by N(0, ``pixels``)."""
    generator = torch.Generator().manual_seed(seed)
    moved = data.subset(torch.arange(len(data)))
    scale = data.images.shape[-1] / 112
    moved.labels["landmarks"] = data.landmarks + scale * pixels * torch.randn(len(data), 1, 2, generator=generator)
    return moved


def cases(size: Size) -> dict[str, tuple[str, float, Size]]:
    """Name → method, landmark error, size."""
    eyes = {f"two eyes, landmarks ± {error:g} px": ("two eyes", error, size) for error in LANDMARK_ERRORS}
    finer = replace(size, stride=size.stride // 2)
    return eyes | {
        "Full-Face": ("Full-Face", 0.0, size),
        "Full-Face, maps of twice the resolution": ("Full-Face", 0.0, finer),
    }


def main() -> None:
    """Train every case with every seed, print and write ``results/eyes_or_face.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="auto", help="Fabric's name of it, such as bf16-mixed")
    options = parser.parse_args()
    training, test = FaceDataset(DOMAIN, "train"), FaceDataset(DOMAIN, "test")
    recipe, rows = Recipe(), {}
    for name, (method, error, size) in cases(size_of_profile()).items():
        runs = []
        for seed in options.seeds:
            fabric = make_fabric(precision=options.precision)
            model, _ = fit(
                METHODS[method], displaced(training, error, seed), recipe, size=size, seed=seed, fabric=fabric
            )
            predicted = predict(model, displaced(test, error, 1000 + seed), METHODS[method].forward)
            runs.append(angular_error(predicted, test.gaze).numpy())
        interval = bootstrap_ci(np.stack(runs).mean(0), clusters=test.person)
        by_seed = [round(float(run.mean()), 3) for run in runs]
        rows[name] = {"error": [round(v, 3) for v in interval], "error_by_seed": by_seed}
        print(f"{name:42} {interval}", flush=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {"profile": profile(), "epochs": recipe.epochs, "seeds": options.seeds, "precision": options.precision}
    print(write("eyes_or_face", device, **settings, cases=rows))


if __name__ == "__main__":
    main()
