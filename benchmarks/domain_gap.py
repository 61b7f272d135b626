"""Are the rendered faces worth learning from? A small network, trained on one domain and tested on all four.

    python benchmarks/domain_gap.py

The network is the classic of appearance-based gaze estimation: eye patches and the head pose go in, as in Zhang et
al. (CVPR 2015, "Appearance-based gaze estimation in the wild"), here with both eyes and five convolutions. Trained on
studio (40 people), it is tested on people it never saw, in every domain, and compared with the head-pose prior: the
head pose taken as gaze. Faces from which gaze can be learned let it beat the prior by far on its own domain; domains
that differ as real data sets do let it do clearly worse elsewhere. Nothing here was chosen by looking at another
domain's error.
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
EPOCHS = 25
BATCH_SIZE = 50
PEAK_RATE = 2e-3
WINDOW = (30.0, 18.0)
"""Width and height of what an eye patch shows, in pixels of the 112-pixel face."""
PATCH = (36, 60)
LEFT_EYE, RIGHT_EYE = slice(42, 48), slice(36, 42)


def eye_patches(images: Tensor, landmarks: Tensor) -> Tensor:
    """Right and left eye [B, 6, 36, 60] of faces [B, 3, H, W], enlarged about the middle of their landmarks."""
    size = images.shape[-1]
    x = torch.linspace(-WINDOW[0] / 2, WINDOW[0] / 2, PATCH[1])
    y = torch.linspace(-WINDOW[1] / 2, WINDOW[1] / 2, PATCH[0])
    offsets = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    patches = []
    for eye in (RIGHT_EYE, LEFT_EYE):
        place = landmarks[:, eye].mean(1).view(-1, 1, 1, 2) + offsets
        patches.append(
            nn.functional.grid_sample(images, place * (2 / size) - 1, padding_mode="border", align_corners=False)
        )
    return torch.cat(patches, dim=1)


class EyeNetwork(nn.Module):
    """Five convolutions on both eye patches, then two layers that also see the head pose."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside, stride in ((6, 32, 1), (32, 48, 2), (48, 64, 2), (64, 96, 2), (96, 128, 1)):
            convolution = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outside), nn.ReLU()]
        self.eyes = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.4), nn.Linear(128 * 5 * 8, 128), nn.ReLU())
        self.gaze = nn.Sequential(nn.Linear(128 + 2, 128), nn.ReLU(), nn.Linear(128, 2))

    def forward(self, patches: Tensor, head: Tensor) -> Tensor:
        """Gaze [B, 2] from patches [B, 6, 36, 60] in [0, 1] and head pose [B, 2], radians."""
        centered = patches - patches.mean((1, 2, 3), keepdim=True)
        even = centered / (patches.std((1, 2, 3), keepdim=True) + 0.05)
        return head + self.gaze(torch.cat([self.eyes(even), head], dim=1))


def mirror(patches: Tensor) -> Tensor:
    """Both eyes as in a mirror: each patch flipped, and the two swapped."""
    return torch.cat([patches[:, 3:], patches[:, :3]], dim=1).flip(3)


def mirrored(patches: Tensor, head: Tensor, gaze: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same with half of the faces mirrored, which turns yaw around."""
    flip = torch.rand(len(patches)) < 0.5
    sign = torch.stack([torch.ones(len(flip)), 1.0 - 2.0 * flip], dim=1)
    return torch.where(flip.view(-1, 1, 1, 1), mirror(patches), patches), head * sign, gaze * sign


def predicted_gaze(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze [B, 2]: the mean of what the network says to the faces and to their mirror images."""
    patches, turned = eye_patches(batch.float_image(), batch.landmarks), torch.tensor([1.0, -1.0])
    return (model(patches, batch.head) + turned * model(mirror(patches), turned * batch.head)) / 2


def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
    """L1 between predicted and true (pitch, yaw); the landmarks err by a pixel or so, as a detector's do."""
    shaken = batch.landmarks + torch.randn(len(batch.image), 1, 2)
    patches, head, gaze = mirrored(eye_patches(batch.float_image(), shaken), batch.head, batch.gaze)
    return {"loss": nn.functional.l1_loss(model(patches, head), gaze)}


def trained(data: FaceDataset, seed: int) -> tuple[nn.Module, float]:
    """A network trained on ``data``, and the seconds that took."""
    seed_all(seed)
    model = EyeNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK_RATE)
    start = time.perf_counter()
    train(model, losses, data, optimizer, Settings(EPOCHS, BATCH_SIZE, seed=seed))
    return model, time.perf_counter() - start


def errors(model: nn.Module, data: FaceDataset) -> np.ndarray:
    """Angular error of every image, degrees."""
    predicted = predict(model, data, predicted_gaze)
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
