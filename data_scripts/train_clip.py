"""Train the course's own CLIP on rendered faces of the four domains and captions in varied words.

    python data_scripts/train_clip.py                    # the quick profile's faces; about 45 minutes on one core
    python data_scripts/train_clip.py --profile full     # the full profile's, on a GPU
    python data_scripts/train_clip.py --epochs 1 --images 300 --out /tmp/clip.safetensors --dry   # a trial

Training never shows the combinations of factors in ``captions.HELD_OUT_COMBINATIONS`` nor the wordings in
``captions.HELD_OUT_WORDINGS``. Zero-shot accuracy is that on the domains' test people, whom training has not seen. The
weights go to gazecourse/models/clip.safetensors in half precision, the measurements to results/clip.json and into a
model card, docs/clip.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
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
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.models.clip import CLIP, load_course_clip
from gazecourse.paths import CLIP_MODEL, RESULTS
from gazecourse.profiles import PROFILES, profile
from gazecourse.training import OneCycle, Settings, make_fabric, train
from gazecourse.widgets.live_curve import LiveCurve

MODEL_CARD = RESULTS.parent / "docs" / "clip.md"
LARGEST_FILE = 4_000_000
"""Bytes that a shipped checkpoint may have."""


def faces(split: str, images: int | None, domains: Sequence[str] = tuple(DOMAINS)) -> CaptionedFaces:
    """The faces of some domains, of each the first ``images``."""
    sets = [FaceDataset(domain, split) for domain in domains]
    return CaptionedFaces([one.subset(range(min(images or len(one), len(one)))) for one in sets])


def optimizer(clip: CLIP, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW; as in CLIP, gains, biases and the temperature do not decay."""
    weights = [p for p in clip.parameters() if p.ndim > 1]
    others = [p for p in clip.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def mean_balanced_accuracy(clip: CLIP, test: CaptionedFaces) -> dict[str, float]:
    """Over all factors, for the line that is printed after each epoch."""
    report = zero_shot_report(clip, test)["factors"]
    return {"mean balanced accuracy": sum(one["balanced"] for one in report.values()) / len(report)}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, help="of the faces; default GAZECOURSE_PROFILE, or quick")
    parser.add_argument("--domains", nargs="+", choices=tuple(DOMAINS), default=list(DOMAINS), help="to learn from")
    parser.add_argument("--images", type=int, help="of each domain and split (default: all)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the faces (default: 20)")
    parser.add_argument("--batch-size", type=int, default=128, help="images and captions at once (default: 128)")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate (default: 0.001)")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay (default: 0.05)")
    parser.add_argument("--positives", choices=POSITIVES, default="true", help="captions that count as an image's")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--out", type=Path, default=CLIP_MODEL, help="the checkpoint (default: the shipped one)")
    parser.add_argument("--dry", action="store_true", help="print the measurements and leave results/ as it is")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, save, measure the saved weights, print the table; returns the exit code."""
    wanted = _arguments(argv)
    if wanted.profile:
        os.environ["GAZECOURSE_PROFILE"] = wanted.profile
    training = faces("train", wanted.images, wanted.domains).without_held_out()
    test = faces("test", wanted.images)
    seed_all(wanted.seed)
    clip = CLIP(tuple(training.images.shape[-2:]))
    watched = test.some(800)
    start = time.perf_counter()
    train(
        clip,
        clip_losses(positives=wanted.positives),
        training,
        optimizer(clip, wanted.rate, wanted.decay),
        Settings(wanted.epochs, wanted.batch_size, seed=wanted.seed),
        schedule=OneCycle(warmup=0.1),
        evaluate=lambda model: mean_balanced_accuracy(model, watched),
        observer=LiveCurve("CLIP"),
        fabric=make_fabric(),
    )
    minutes = (time.perf_counter() - start) / 60
    save_trained(wanted.out, clip.cpu())
    size = wanted.out.stat().st_size
    print(f"{wanted.out}: {size / 1e6:.2f} MB after {minutes:.1f} minutes")
    if size > LARGEST_FILE:
        print(f"error: a shipped checkpoint has at most {LARGEST_FILE / 1e6:.0f} MB", file=sys.stderr)
        return 1
    report = zero_shot_report(load_course_clip(wanted.out), test)
    print(report_table(report))
    if not wanted.dry:
        settings = {name: value for name, value in vars(wanted).items() if name not in ("out", "dry", "profile")}
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
