"""Are the rendered faces worth learning from? A small network, trained on one domain and tested on all four.

    python benchmarks/domain_gap.py

Trained on studio (40 people), tested on people it never saw, in every domain, and compared with the head-pose prior:
the head pose taken as gaze. Faces from which gaze can be learned let it beat the prior by far on its own domain;
domains that differ as real data sets do let it do clearly worse elsewhere. Nothing here was chosen by looking at
another domain's error.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from report import write
from torch import Tensor, nn

from gazecourse.angles import angular_error
from gazecourse.batches import seed_all
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.metrics import Interval, bootstrap_ci
from gazecourse.sample import Sample
from gazecourse.training import Settings, predict, train

SOURCE = "studio"
EPOCHS = 20
BATCH_SIZE = 50
PEAK_RATE = 2e-3


def small_network() -> nn.Module:
    """Five convolutions, each with half the resolution of the one before; then a linear layer on what is where."""
    layers: list[nn.Module] = []
    for inside, outside in ((3, 24), (24, 48), (48, 96), (96, 128), (128, 128)):
        layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 2))


def mirrored(batch: Sample) -> tuple[Tensor, Tensor]:
    """Images and gaze with half of the faces mirrored, which turns yaw around."""
    flip = torch.rand(len(batch.image)) < 0.5
    images = torch.where(flip.view(-1, 1, 1, 1), batch.float_image().flip(3), batch.float_image())
    sign = torch.stack([torch.ones(len(flip)), 1.0 - 2.0 * flip], dim=1)
    return images, batch.gaze * sign


def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
    """L1 between predicted and true (pitch, yaw)."""
    images, gaze = mirrored(batch)
    return {"loss": nn.functional.l1_loss(model(images), gaze)}


def trained(data: FaceDataset, seed: int) -> tuple[nn.Module, float]:
    """A network trained on ``data``, and the seconds that took."""
    seed_all(seed)
    model = small_network()
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK_RATE)
    start = time.perf_counter()
    train(model, losses, data, optimizer, Settings(EPOCHS, BATCH_SIZE, seed=seed))
    return model, time.perf_counter() - start


def errors(model: nn.Module, data: FaceDataset) -> np.ndarray:
    """Angular error of every image, degrees."""
    predicted = predict(model, data, lambda network, batch: network(batch.float_image()))
    return angular_error(predicted, data.gaze).numpy()


def main() -> None:
    """Train with each seed, print the table and write ``results/domain_gap.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    tests = {domain: FaceDataset(domain, "test", "quick") for domain in DOMAINS}
    runs = {domain: [] for domain in DOMAINS}
    times = []
    for seed in seeds:
        model, seconds = trained(FaceDataset(SOURCE, "train", "quick"), seed)
        times.append(round(seconds, 1))
        for domain, data in tests.items():
            runs[domain].append(errors(model, data))
        print(f"seed {seed}: {seconds:.0f} s, {SOURCE} {runs[SOURCE][-1].mean():.2f}°", flush=True)
    rows = {domain: _row(data, np.stack(runs[domain])) for domain, data in tests.items()}
    print(f"\n{'tested on':10} {'error':>22} {'head-pose prior':>22}  prior / error")
    for domain, row in rows.items():
        error, prior = Interval(*row["error"]), Interval(*row["prior"])
        print(f"{domain:10} {error!s:>22} {prior!s:>22}  {row['ratio']:.2f}")
    settings = {"source": SOURCE, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "peak_rate": PEAK_RATE, "seeds": seeds}
    print(write("domain_gap", "cpu", **settings, training_seconds=times, domains=rows))


def _row(data: FaceDataset, runs: np.ndarray) -> dict:
    """Mean error over images and seeds, and the prior's, with intervals over people; degrees."""
    error = bootstrap_ci(runs.mean(0), clusters=data.person)
    prior = bootstrap_ci(angular_error(data.head, data.gaze), clusters=data.person)
    return {
        "error": [round(value, 3) for value in error],
        "error_by_seed": [round(float(run.mean()), 3) for run in runs],
        "prior": [round(value, 3) for value in prior],
        "ratio": round(prior.mean / error.mean, 2),
        "images": len(data),
        "people": len(data.people),
    }


if __name__ == "__main__":
    main()
