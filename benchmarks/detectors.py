"""Which face detector serves `look`? Those whose weights come with an installable package, on real photographs.

    pip install "opencv-python-headless<5" scikit-image
    pip install --no-deps facenet-pytorch          # asks for another torch and numpy; runs with the course's, too
    python benchmarks/detectors.py

Two portraits in the public domain (NASA's of Eileen Collins in scikit-image, the US Navy's of Grace Hopper in
matplotlib) are placed into frames of 640 × 480 at many sizes, turned, darkened, blurred and with noise. A face is found
where the intersection of its box with the true one is at least 0.35 of their union; detectors differ in how much of the
forehead they take. Further: small faces and non-faces of "Labeled Faces in the Wild", as far as scikit-image has them,
and photographs without people. Time is that of one core. A detector that is not installed is left out.

Then the chosen detector looks at rendered faces, whose landmarks are known: where do they lie in its boxes? And the
landmark network is asked in a mirror, too, about boxes with faces and without.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageFilter
from report import write
from torch import Tensor

from gazecourse.alignment import landmarks_and_doubt
from gazecourse.detection import FaceDetector, union_share
from gazecourse.faces.dataset import FaceDataset
from gazecourse.images import read_image, to_tensor
from gazecourse.looking import finder
from gazecourse.models.structure_coherent import load_landmark_net

FRAME = (640, 480)
SIZES = (48, 72, 108, 162, 243)
"""Heights of faces in a frame, from the brows to the chin, pixels."""
ANGLES = (-30, -15, 0, 15, 30)
FOUND = 0.35
SMALLEST = 40
"""Side of the smallest faces that detectors are asked for, pixels."""

Boxes = list[tuple[float, float, float, float]]
Detector = Callable[[np.ndarray], Boxes]


# --- photographs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A frame, uint8 [480, 640, 3], RGB, the box of the face in it, if any, and what it is a case of."""

    picture: np.ndarray
    box: tuple[float, float, float, float] | None
    case: str


Portrait = tuple[np.ndarray, tuple[float, float, float, float]]
"""A photograph, and the box of its face from the brows to the chin and from ear to ear, set by eye."""


def hopper() -> Portrait:
    """Grace Hopper, from matplotlib."""
    return read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False))), (166, 168, 192, 158)


def collins() -> Portrait:
    """Eileen Collins, from scikit-image."""
    import skimage.data

    return skimage.data.astronaut(), (182, 88, 86, 88)


def framed(photo: np.ndarray, box: tuple[float, ...], size: float, angle: float) -> np.ndarray:
    """A frame with the face in its middle, ``size`` pixels high and turned by ``angle`` degrees."""
    zoom = size / box[3]
    whole = Image.fromarray(photo).resize([round(side * zoom) for side in photo.shape[1::-1]], Image.Resampling.LANCZOS)
    middle = (zoom * (box[0] + box[2] / 2), zoom * (box[1] + box[3] / 2))
    turned = whole.rotate(angle, Image.Resampling.BICUBIC, center=middle, fillcolor=(128, 128, 128))
    frame = Image.new("RGB", FRAME, (128, 128, 128))
    frame.paste(turned, (round(FRAME[0] / 2 - middle[0]), round(FRAME[1] / 2 - middle[1])))
    return np.asarray(frame)


def scenes() -> Iterator[Scene]:
    """All portraits in all ways, then the small faces, then what is no face."""
    generator = np.random.default_rng(0)
    for photo, box in (collins(), hopper()):
        for size in SIZES:
            wide = size * box[2] / box[3]
            true = (FRAME[0] / 2 - wide / 2, FRAME[1] / 2 - size / 2, wide, size)
            for angle in ANGLES:
                yield Scene(framed(photo, box, size, angle), true, "upright" if angle == 0 else f"turned {abs(angle)}°")
            upright = framed(photo, box, size, 0)
            yield Scene((upright * 0.2).astype(np.uint8), true, "dark")
            noise = generator.normal(0, 20, upright.shape)
            yield Scene((upright + noise).clip(0, 255).astype(np.uint8), true, "noise")
            yield Scene(np.asarray(Image.fromarray(upright).filter(ImageFilter.GaussianBlur(size / 24))), true, "blur")
    yield from _small_faces()
    yield from _without_people()


def _small_faces() -> Iterator[Scene]:
    """Pictures of 25², enlarged to 100²: 100 faces, and 100 parts of other photographs."""
    import skimage

    patches = np.load(Path(skimage.__file__).parent / "data" / "lfw_subset.npy")
    for number, patch in enumerate(patches):
        large = Image.fromarray((255 * patch).astype(np.uint8)).resize((100, 100), Image.Resampling.BICUBIC)
        frame = Image.new("L", FRAME, round(255 * float(patch.mean())))
        frame.paste(large, (270, 190))
        face = number < len(patches) // 2
        yield Scene(np.asarray(frame.convert("RGB")), (275, 200, 90, 85) if face else None, "LFW" if face else "nobody")


def _without_people() -> Iterator[Scene]:
    import skimage.data
    from sklearn.datasets import load_sample_images

    photos = [getattr(skimage.data, name)() for name in ("coffee", "chelsea", "rocket", "brick", "grass")]
    for photo in [*photos, *load_sample_images().images]:
        image = Image.fromarray(photo).convert("RGB").resize(FRAME, Image.Resampling.LANCZOS)
        yield Scene(np.asarray(image), None, "nobody")


# --- detectors ----------------------------------------------------------------------------------


def haar(name: str, votes: int = 4) -> Detector:
    """A cascade of OpenCV 4 on Haar features (Viola, Jones 2001), with so many windows that must agree."""
    import cv2

    cv2.setNumThreads(1)
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml")

    def find(picture: np.ndarray) -> Boxes:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found = cascade.detectMultiScale(gray, 1.1, votes, minSize=(SMALLEST, SMALLEST))
        return [tuple(map(float, box)) for box in found]

    return find


def lbp() -> Detector:
    """The cascade of scikit-image on local binary patterns."""
    import skimage.data
    from skimage.feature import Cascade

    cascade = Cascade(skimage.data.lbp_frontal_face_cascade_filename())

    def find(picture: np.ndarray) -> Boxes:
        found = cascade.detect_multi_scale(picture, 1.1, 1, (SMALLEST, SMALLEST), FRAME[::-1])
        return [(one["c"], one["r"], one["width"], one["height"]) for one in found]

    return find


def mtcnn() -> Detector:
    """Three small convolutional networks, one after another (Zhang et al. 2016)."""
    from facenet_pytorch import MTCNN
    from facenet_pytorch.models.utils import detect_face

    # torchvision's is compiled, for one version of torch.
    detect_face.batched_nms = suppressed
    network = MTCNN(keep_all=True, min_face_size=SMALLEST, device="cpu")

    def find(picture: np.ndarray) -> Boxes:
        found, _ = network.detect(picture)
        return [] if found is None else [(left, top, right - left, low - top) for left, top, right, low in found]

    return find


def suppressed(boxes: Tensor, scores: Tensor, groups: Tensor, most: float) -> Tensor:
    """Numbers of the boxes that overlap no better one of their group by more than ``most``."""
    kept: list[int] = []
    corners = boxes.double().numpy()
    for number in scores.argsort(descending=True).tolist():
        rivals = [other for other in kept if groups[other] == groups[number]]
        if all(union_share(_extent(corners[number]), _extent(corners[other])) <= most for other in rivals):
            kept.append(number)
    return torch.tensor(kept, dtype=torch.long)


def _extent(corners: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, low = corners
    return left, top, right - left, low - top


def course() -> Detector:
    """What `look` does: the detector's tries, and of these what the landmark network does not doubt."""
    find = finder()
    return lambda picture: [_extent(np.concatenate([p.min(0), p.max(0)])) for p in find(picture)]


CANDIDATES: dict[str, tuple[str, Callable[[], Detector]]] = {
    "the course's": ("opencv-python-headless", course),
    "the course's, unchecked": ("opencv-python-headless", FaceDetector),
    "Haar, default": ("opencv-python-headless", lambda: haar("default")),
    "Haar, alt": ("opencv-python-headless", lambda: haar("alt")),
    "Haar, alt2": ("opencv-python-headless", lambda: haar("alt2")),
    "LBP": ("scikit-image", lbp),
    "MTCNN": ("facenet-pytorch", mtcnn),
}
"""Package and maker of each detector."""


# --- measuring ----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What a detector did with the scenes of one case."""

    faces: int = 0
    found: int = 0
    false: int = 0
    frames: int = 0


@dataclass
class Result:
    """What a detector did with all scenes."""

    cases: dict[str, Tally] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)

    def add(self, scene: Scene, boxes: Boxes, milliseconds: float) -> None:
        """Count one scene: one box may be the face, all others are false."""
        tally = self.cases.setdefault(scene.case, Tally())
        hit = scene.box is not None and any(union_share(box, scene.box) >= FOUND for box in boxes)
        tally.frames += 1
        tally.faces += scene.box is not None
        tally.found += hit
        tally.false += len(boxes) - hit
        self.milliseconds.append(milliseconds)


def measure(detector: Detector, pictures: list[Scene]) -> Result:
    """Let a detector look at all scenes; the first one twice, for the first look is slow."""
    result = Result()
    detector(pictures[0].picture)
    for scene in pictures:
        began = time.thread_time()
        boxes = detector(scene.picture)
        result.add(scene, boxes, 1000 * (time.thread_time() - began))
    return result


def doubts(pictures: list[Scene]) -> dict[str, object]:
    """How far the landmark network's answers for a box and its mirror image are apart, on faces and on anything else.

    Boxes are those of all the detector's tries, and for more that are none, of the cascade "default" with one vote.
    Those that hold a part of a face are left out. Quantiles of 0, 5, 50, 95 and 100 %.
    """
    model, detector, many = load_landmark_net(), FaceDetector(), haar("default", votes=1)
    found: dict[str, list[float]] = {"faces": [], "blurred faces": [], "anything else": []}
    for scene in pictures:
        photo = to_tensor(scene.picture)
        for box in [box for boxes in detector.tries(scene.picture) for box in boxes] + many(scene.picture):
            share = 0.0 if scene.box is None else union_share(box, scene.box)
            if share >= FOUND:
                kind = "blurred faces" if scene.case == "blur" else "faces"
            elif share == 0:
                kind = "anything else"
            else:
                continue
            found[kind].append(landmarks_and_doubt(model, photo, box)[1])
    return {
        kind: {"boxes": len(own), "quantiles": np.quantile(own, (0, 0.05, 0.5, 0.95, 1)).round(3).tolist()}
        for kind, own in found.items()
    }


def places_in_boxes(count: int) -> dict[str, object]:
    """Where the box around the landmarks of rendered faces lies in the detector's: middle (x, y) and longer side.

    All in sides of the detector's box, from its middle; median with the 16th and 84th percentile.
    """
    detector, rows, seen = FaceDetector(raw=True), [], 0
    for domain in ("laptop", "lab", "studio"):
        faces = FaceDataset(domain, "test")
        for number in range(min(count, len(faces))):
            picture, points = faces.images[number].permute(1, 2, 0).numpy(), faces.landmarks[number].numpy()
            seen += 1
            for left, top, width, height in detector(np.ascontiguousarray(picture))[:1]:
                low, high = points.min(0), points.max(0)
                off = ((low + high) / 2 - (left + width / 2, top + height / 2)) / width
                rows.append([*off, (high - low).max() / width])
    quantiles = np.percentile(np.array(rows), (16, 50, 84), axis=0).round(3)
    named = dict(zip(("x", "y", "side"), quantiles.T.tolist(), strict=True))
    return {"rendered_faces": seen, "found": len(rows), **named}


def main() -> None:
    """Measure, print and write ``results/detectors.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(CANDIDATES), default=list(CANDIDATES), help="these alone")
    parser.add_argument("--rendered", type=int, default=200, help="rendered faces of each of three domains")
    parser.add_argument("--every", type=int, default=1, help="look at every so manieth scene (default: 1, all)")
    parser.add_argument("--dry", action="store_true", help="print the measurements and leave results/ as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures, rows = list(scenes())[:: options.every], []
    for name in options.only:
        package, make = CANDIDATES[name]
        try:
            detector = make()
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        result = measure(detector, pictures)
        faces = sum(tally.faces for tally in result.cases.values())
        row = {"detector": name, "package": package, "version": version(package), "faces": faces}
        row |= {key: sum(getattr(tally, key) for tally in result.cases.values()) for key in ("found", "false")}
        row |= {"milliseconds_per_frame": round(statistics.median(result.milliseconds), 1)}
        row |= {"cases": {case: vars(tally) for case, tally in result.cases.items()}}
        rows.append(row)
        print({key: value for key, value in row.items() if key != "cases"}, flush=True)
        for case, tally in result.cases.items():
            print(f"  {case:12} {tally.found:3} of {tally.faces:3}, {tally.false} false in {tally.frames} frames")
    boxes = places_in_boxes(options.rendered) if options.rendered else {}
    apart = doubts(pictures)
    print(boxes, apart, sep="\n")
    if not options.dry:
        print(
            write(
                "detectors",
                "cpu",
                frame=FRAME,
                smallest=SMALLEST,
                detectors=rows,
                landmarks_in_boxes=boxes,
                doubts=apart,
            )
        )


if __name__ == "__main__":
    main()
