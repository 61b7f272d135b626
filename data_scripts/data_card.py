"""Write the data card of the rendered faces: what is in each domain, counted on the set that the profile holds.

    python data_scripts/data_card.py            # writes docs/faces.md; the quick profile's sets, rendered if need be

Everything in its tables is counted here, so that the card cannot say something else than the faces do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from gazecourse.angles import angular_error
from gazecourse.faces.attributes import NAMED, OCCLUDERS, SKIN_TONES
from gazecourse.faces.dataset import FaceDataset, face_set
from gazecourse.faces.domains import DOMAINS
from gazecourse.files import atomic_write
from gazecourse.landmark_noise import blur_sigma
from gazecourse.paths import RESULTS
from gazecourse.profiles import profile

CARD = RESULTS.parent / "docs" / "faces.md"
SPREAD = (0.05, 0.5, 0.95)

BEFORE = """\
# Data card: the rendered faces

**What.** Faces of people who do not exist, drawn from a morphable head in plain PyTorch (`gazecourse.faces`), in four
domains that mirror four data sets of the field. Every picture has exact labels: gaze from the face center to the
target, of both eyes together and of each; head pose; the point that is looked at, on a screen where there is one; 68
landmarks (iBUG) and which of them are hidden; and everything that it was drawn from, {factors} factors with words
among it.

**Where from.** The head is MakeHuman's and MPFB2's (CC0), cut out once by `data_scripts/build_head_model.py`. Skin,
hair, clothes, glasses, hats, rooms, light and cameras are drawn by formulas. No photograph of anybody was used, neither
for the head nor for its textures.

**What for.** To learn gaze estimation and face alignment, and to test claims that need a factor changed and nothing
else.

**Not for.** Products. A network that knows these faces alone has never seen a person. Words for sex, age and skin name
settings of the renderer and say nothing about people. The settings were chosen to be varied, not to be representative.

**Splits.** A person belongs to one split and one domain; training and test share nobody. The same seed gives the same
bytes on one kind of device, in one process or in many.

**Known limits.** Eyes look where their axes point: there is no angle between the axis of an eye and its line of sight,
as people have. Hair and beard are surfaces with drawn strands. Faces do not wrinkle, sweat or move.

**License.** The pictures: CC BY 4.0, as the course's text and figures. The head model: CC0.
"""


def spread(values: Tensor, form: str = ".0f", unit: str = "") -> str:
    """Median, and from the 5th to the 95th percentile."""
    low, middle, high = (format(float(value), form) for value in torch.quantile(values.float(), torch.tensor(SPREAD)))
    return f"{middle}{unit} ({low} … {high})"


def share(mask: Tensor) -> str:
    """Percent of the pictures."""
    return f"{100 * mask.float().mean():.0f} %"


def rows(faces: FaceDataset) -> dict[str, str]:
    """What the card says of a domain."""
    factors, degrees = faces.factors, torch.rad2deg
    classes = faces.classes
    between = angular_error(faces.gaze, faces.head)
    tones = [f"{100 * (classes['skin'] == number).float().mean():.0f}" for number in range(len(SKIN_TONES))]
    blur = 100 * blur_sigma(factors, faces.images.shape[-1])
    return {
        "people in training, pictures": f"{len(faces.people)}, {len(faces):,}",
        "gaze pitch": spread(degrees(faces.gaze[:, 0]), unit="°"),
        "gaze yaw": spread(degrees(faces.gaze[:, 1]), unit="°"),
        "head pitch": spread(degrees(faces.head[:, 0]), unit="°"),
        "head yaw": spread(degrees(faces.head[:, 1]), unit="°"),
        "between gaze and head": spread(between, unit="°"),
        "landmarks hidden": spread(100 * (~faces.visibility).float().mean(1), unit=" %"),
        "blur, % of the width": spread(blur, ".1f"),
        "glasses, of any kind": share(classes["glasses"] > 0),
        "hat": share(classes["hat"] > 0),
        "something before the face": share(factors.occluder != OCCLUDERS.index("none")),
        "men": share(factors.male > 0),
        f"skin: {', '.join(SKIN_TONES)}": f"{', '.join(tones)} %",
    }


def card(sets: dict[str, FaceDataset]) -> str:
    """The card, Markdown."""
    by_domain = {name: rows(faces) for name, faces in sets.items()}
    titles = list(next(iter(by_domain.values())))
    lines = [
        BEFORE.format(factors=len(NAMED)),
        "## What is in them",
        "",
        f"Of the training sets of the {profile()} profile; median (5th … 95th percentile). Angles are those",
        "of the normalized camera: pitch upward, yaw to the left of the picture (`python data_scripts/data_card.py`).",
        "",
        "| | " + " | ".join(f"**{name}**" for name in by_domain) + " |",
        "|:--|" + "--:|" * len(by_domain),
        "| after | ETH-XGaze | Gaze360 | MPIIFaceGaze | EyeDiap |",
        *("| " + " | ".join([title, *(found[title] for found in by_domain.values())]) + " |" for title in titles),
        "",
        f"Each domain has a test set of {face_set('studio', 'test').people} other people beside it.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CARD, help="the card (default: docs/faces.md)")
    out = parser.parse_args().out
    text = card({name: FaceDataset(name, "train") for name in DOMAINS})
    with atomic_write(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
