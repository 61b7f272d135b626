"""Train the landmark network that `look` finds faces' landmarks with, on rendered faces of all four domains.

    python data_scripts/train_landmarks.py                    # the quick profile's faces, on a CPU
    python data_scripts/train_landmarks.py --people 200 --images 4000 --epochs 15    # more people, rendered for it
    python data_scripts/train_landmarks.py --estimate         # only say how long that takes here
    python data_scripts/train_landmarks.py --profile full     # the full profile's, on a GPU
    python data_scripts/train_landmarks.py --epochs 1 --images 100 --people 10 --out /tmp/landmarks.safetensors --dry

Every face is cut to the square around its landmarks, as it is in photographs, and turned, moved, scaled and covered
at random, for a detector's box is not that of the landmarks. The weights go to gazecourse/models/landmarks.safetensors
in half precision, what they are and can do into a model card, docs/landmarks.md, the measurements to
results/landmark_net.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from report import write

from gazecourse.alignment import (
    DETECTED,
    SOURCES,
    AlignmentFaces,
    Scale,
    Score,
    alignment,
    augmented,
    landmarks_of,
    scores,
)
from gazecourse.batches import seed_all
from gazecourse.checkpoint import save_trained
from gazecourse.comparison import Recipe, fit
from gazecourse.faces.dataset import FaceDataset
from gazecourse.files import atomic_write
from gazecourse.models.structure_coherent import HEADS, load_landmark_net
from gazecourse.paths import LANDMARK_MODEL, RESULTS
from gazecourse.profiles import PROFILES, profile
from gazecourse.training import make_fabric
from gazecourse.widgets.live_curve import LiveCurve

MODEL_CARD = RESULTS.parent / "docs" / "landmarks.md"
CARD = """\
# Model card: the course's landmark network

Finds the 68 landmarks (iBUG scheme) of a face in a square: `StructureCoherentNet` after Lin et al. 2021 with the {head}
graph head, soft wing and the relative location loss; {parameters:,} parameters, images of {side}². In half precision at
`gazecourse/models/landmarks.safetensors`.

**Data.** {training_images:,} rendered faces of {training_people} people from the domains {domains}, cut to the square
around their landmarks. No photograph of a person.

**Training.** `python {command}`:
{epochs} epochs, batches of {batch_size}, {minutes} minutes, seed {seed}; turned, moved, scaled and partly covered at
random.

**Use.** `python -m gazecourse look`; `gazecourse.models.structure_coherent.load_landmark_net()`.

**Limits.** Rendered faces are not photographs; `benchmarks/real_photos.py` tells what it makes of seven of these. It
answers for anything that it is shown, also where there is no face; `alignment.landmarks_and_doubt` asks it about the
mirror image, too, and returns how far the two answers are apart. Not for identifying, grading or watching people.

**License.** MIT, as the code.

**Test.** {test_images:,} rendered faces of {test_people} other people. NME by the inter-ocular distance; failures are
faces with an NME above 10 %. "A detector's boxes" are turned, moved and scaled at random, as detectors' are.

| boxes | faces | number | NME | failures |
|:--|:--|--:|--:|--:|
"""
LARGEST_FILE = 4_000_000
"""Bytes that a shipped checkpoint may have."""
NOT_RECORDED = ("out", "dry", "estimate", "profile")
SHAKEN = replace(DETECTED, rotation=10.0, translation=0.06, scale=(0.9, 1.1), mirror=0.0, occluded=0.0)
"""Boxes as far off as a detector's, to be tested with."""


def faces(split: str, side: int, **sizes: int | None) -> AlignmentFaces:
    """The faces of all domains, cut as photographs are; ``images`` and ``people`` of each, other than the profile's."""
    changes = {name: value for name, value in sizes.items() if value is not None}
    return AlignmentFaces([FaceDataset(domain, split, **changes) for domain in SOURCES], side, boxed=True)


def shaken(test: AlignmentFaces) -> AlignmentFaces:
    """The same faces in boxes as far off as a detector's."""
    seed_all(0)
    result = test.subset(range(len(test)))
    moved = augmented(test.__getitems__(range(len(test))), SHAKEN)
    result.images, result.landmarks = moved.image, moved.landmarks
    return result


def measured(path: Path, test: AlignmentFaces) -> dict[str, dict[str, Score]]:
    """Scores of a saved network on true boxes and on shaken ones, by subset."""
    model = load_landmark_net(path)
    sets = {"true boxes": test, "a detector's boxes": shaken(test)}
    return {name: scores(landmarks_of(model, own), own) for name, own in sets.items()}


def card(found: dict[str, dict[str, Score]], described: dict) -> str:
    """The model card, Markdown."""
    rows = [
        f"| {boxes} | {subset} | {score.faces:,} | {100 * score.nme:.2f} % | {100 * score.failure_rate:.1f} % |"
        for boxes, own in found.items()
        for subset, score in own.items()
    ]
    return CARD.format(**described, domains=", ".join(SOURCES)) + "\n".join([*rows, ""])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, help="of the faces; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--images", type=int, help="to train on, of each domain (default: the profile's)")
    parser.add_argument("--people", type=int, help="to train on, of each domain (default: the profile's)")
    parser.add_argument("--side", type=int, default=112, help="of the images, pixels (default: 112)")
    parser.add_argument("--head", choices=HEADS, default="static", help="of the network (default: static)")
    parser.add_argument("--graph-width", type=int, default=64, help="features of a node (default: 64)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the faces (default: 20)")
    parser.add_argument("--batch-size", type=int, default=32, help="faces at once (default: 32)")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate (default: 0.003)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--out", type=Path, default=LANDMARK_MODEL, help="the checkpoint (default: the shipped one)")
    parser.add_argument("--estimate", action="store_true", help="only say how long it takes")
    parser.add_argument("--dry", action="store_true", help="print the measurements and leave results/ as it is")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, save, measure the saved weights, write the card; returns the exit code."""
    wanted = _arguments(argv)
    if wanted.profile:
        os.environ["GAZECOURSE_PROFILE"] = wanted.profile
    training = faces("train", wanted.side, images=wanted.images, people=wanted.people)
    sizes = Scale(wanted.side, "small", wanted.graph_width)
    method = alignment(training.labels, wanted.side, wanted.head, settings=DETECTED, sizes=sizes)
    if wanted.estimate:
        part = training.subset(range(0, len(training), max(1, len(training) // (8 * wanted.batch_size))))
        began = time.perf_counter()
        fit(method, part, Recipe(1, wanted.batch_size, wanted.rate))
        minutes = (time.perf_counter() - began) / 60 * wanted.epochs * len(training) / len(part)
        print(f"About {minutes:.0f} minutes for {wanted.epochs} epochs of {len(training):,} faces.")
        return 0
    began = time.perf_counter()
    recipe = Recipe(wanted.epochs, wanted.batch_size, wanted.rate)
    curve = LiveCurve("landmarks")
    model, _ = fit(method, training, recipe, seed=wanted.seed, observer=curve, fabric=make_fabric())
    minutes = (time.perf_counter() - began) / 60
    save_trained(wanted.out, model.cpu())
    size = wanted.out.stat().st_size
    print(f"{wanted.out}: {size / 1e6:.2f} MB after {minutes:.1f} minutes")
    if size > LARGEST_FILE:
        print(f"error: a shipped checkpoint has at most {LARGEST_FILE / 1e6:.0f} MB", file=sys.stderr)
        return 1
    test = faces("test", wanted.side)
    found = measured(wanted.out, test)
    settings = {name: value for name, value in vars(wanted).items() if name not in NOT_RECORDED}
    described = {"training_images": len(training), "test_images": len(test), "bytes": size, **settings}
    described |= {"training_people": len(training.people), "test_people": len(test.people)}
    described |= {"parameters": sum(p.numel() for p in model.parameters()), "minutes": round(minutes, 1)}
    text = card(found, {**described, "command": " ".join(["data_scripts/train_landmarks.py", *sys.argv[1:]])})
    print(text)
    if not wanted.dry:
        with atomic_write(MODEL_CARD) as temporary:
            temporary.write_text(text, encoding="utf-8")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        table = {boxes: {name: asdict(score) for name, score in own.items()} for boxes, own in found.items()}
        print(write("landmark_net", device, profile=profile(), **described, scores=table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
