"""Train the course's own CLIP on rendered faces of the four domains and captions in varied words.

    python data_scripts/train_clip.py
    python data_scripts/train_clip.py --epochs 1 --people 40 --images 3000 --out /tmp/clip.safetensors --dry   # a trial

The first renders 24,000 faces of 1,000 people if they are not there yet. Training has two parts. In the second, one of
the captions speaks of the side that the light comes from, and of nothing else. After the first the towers did not tell
left from right: as long as the sentences for both are alike, images gain nothing by telling them apart, and the other
way around. Both parts are kept in the cache; a run that was cut off goes on from there.

Training never shows the combinations of factors in ``captions.HELD_OUT_COMBINATIONS`` nor the wordings in
``captions.HELD_OUT_WORDINGS``. Zero-shot accuracy is that on the people on whom the cross-domain tasks are tested, whom
training has not seen. The weights go to gazecourse/models/clip.safetensors in half precision, the measurements to
results/clip.json and into a model card, docs/clip.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from report import write

from gazecourse.batches import seed_all
from gazecourse.checkpoint import save_trained
from gazecourse.contrastive import (
    POSITIVES,
    CaptionedFaces,
    clip_losses,
    model_card,
    report_table,
    zero_shot_report,
)
from gazecourse.cross_domain import test_faces
from gazecourse.faces.captions import mention_weights
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.models.clip import CLIP, load_course_clip
from gazecourse.paths import CLIP_MODEL, RESULTS, runs_dir
from gazecourse.profiles import profile
from gazecourse.training import OneCycle, Settings, make_fabric, train
from gazecourse.widgets.live_curve import LiveCurve

MODEL_CARD = RESULTS.parent / "docs" / "clip.md"
SIDES = ("light from",)
"""Factors with words for left and right, of which one caption speaks alone in the second part."""
SECOND, UNASKED = ("more_epochs", "more_rate"), ("out", "dry")
"""Options on which only the second part depends, and those on which neither does."""
LARGEST_FILE = 4_000_000
"""Bytes that a shipped checkpoint may have."""


def training_faces(domains: Sequence[str], people: int, images: int) -> CaptionedFaces:
    """Of each domain; no face shows a combination that is held out."""
    return CaptionedFaces(
        [FaceDataset(one, "train", people=people, images=images) for one in domains]
    ).without_held_out()


def optimizer(clip: CLIP, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW; as in CLIP, gains, biases and the temperature do not decay."""
    weights = [p for p in clip.parameters() if p.ndim > 1]
    others = [p for p in clip.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", choices=tuple(DOMAINS), default=list(DOMAINS), help="to learn from")
    parser.add_argument("--people", type=int, default=250, help="in each domain (default: 250)")
    parser.add_argument("--images", type=int, default=6_000, help="of each domain (default: 6000)")
    parser.add_argument("--epochs", type=int, default=18, help="passes over the faces in the first part (default: 18)")
    parser.add_argument("--more-epochs", type=int, default=10, help="passes in the second part (default: 10)")
    parser.add_argument("--batch-size", type=int, default=128, help="images and captions at once (default: 128)")
    parser.add_argument(
        "--rate", type=float, default=3e-3, help="peak learning rate of the first part (default: 0.003)"
    )
    parser.add_argument("--more-rate", type=float, default=2e-3, help="of the second (default: 0.002)")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay (default: 0.05)")
    parser.add_argument("--texts", type=int, default=4, help="captions for each image at a step (default: 4)")
    parser.add_argument("--positives", choices=POSITIVES, default="own", help="captions that count as an image's")
    parser.add_argument("--precision", default="auto", help="Fabric's name of it; bf16-mixed on a CPU that has it")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--out", type=Path, default=CLIP_MODEL, help="the checkpoint (default: the shipped one)")
    parser.add_argument("--dry", action="store_true", help="print the measurements and leave results/ as it is")
    return parser.parse_args(argv)


def learn(
    clip: CLIP,
    faces: CaptionedFaces,
    wanted: argparse.Namespace,
    folder: Path,
    epochs: int,
    rate: float,
    alone: Sequence[str] = (),
) -> float:
    """One part of the training, or what is missing of it; returns the minutes that the whole part took."""
    weights = mention_weights(faces.facts)
    history = train(
        clip,
        clip_losses(texts=wanted.texts, positives=wanted.positives, weights=weights, alone=alone),
        faces,
        optimizer(clip, rate, wanted.decay),
        Settings(epochs, wanted.batch_size, seed=wanted.seed),
        schedule=OneCycle(warmup=0.1),
        observer=LiveCurve("CLIP"),
        folder=folder,
        resume=True,
        fabric=make_fabric(precision=wanted.precision),
    )
    return history.records[-1]["seconds"] / 60


def part_folder(wanted: argparse.Namespace, later: Sequence[str]) -> Path:
    """Where a part of the training is kept, by the options that it depends on: all but some."""
    settings = {name: value for name, value in vars(wanted).items() if name not in later}
    return runs_dir() / "clip" / hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:10]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, save, measure the saved weights, print the table; returns the exit code."""
    wanted = _arguments(argv)
    training = training_faces(wanted.domains, wanted.people, wanted.images)
    test = CaptionedFaces([test_faces(domain) for domain in DOMAINS])
    seed_all(wanted.seed)
    clip = CLIP(tuple(training.images.shape[-2:]))
    first, second = part_folder(wanted, (*UNASKED, *SECOND)), part_folder(wanted, UNASKED)
    minutes = learn(clip, training, wanted, first, wanted.epochs, wanted.rate)
    minutes += learn(clip, training, wanted, second, wanted.more_epochs, wanted.more_rate, alone=SIDES)
    save_trained(wanted.out, clip.cpu())
    size = wanted.out.stat().st_size
    print(f"{wanted.out}: {size / 1e6:.2f} MB after {minutes:.1f} minutes")
    if size > LARGEST_FILE:
        print(f"error: a shipped checkpoint has at most {LARGEST_FILE / 1e6:.0f} MB", file=sys.stderr)
        return 1
    report = zero_shot_report(load_course_clip(wanted.out), test)
    print(report_table(report))
    if not wanted.dry:
        settings = {name: value for name, value in vars(wanted).items() if name not in ("out", "dry")}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        sizes = {"training_images": len(training), "test_images": len(test), "bytes": size}
        sizes |= {"training_people": len(training.people), "test_people": len(test.people)}
        sizes |= {"parameters": sum(p.numel() for p in clip.parameters()), "minutes": round(minutes, 1)}
        written = write("clip", device, profile=profile(), **settings, **sizes, **report)
        MODEL_CARD.write_text(model_card(json.loads(written.read_text())), encoding="utf-8")
        print(f"{written}\n{MODEL_CARD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
