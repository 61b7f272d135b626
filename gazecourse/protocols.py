"""Who trains on what and is tested on whom: the published protocols, for prepared real sets and for rendered domains.

- Two different sets, ``eth_xgaze`` → ``mpiifacegaze``: all labeled training faces of the one, the test faces of the
  other, which nobody looked at in between. The comparisons' four tasks are these (Cheng et al. 2022, table 1).
- The same set twice is its own protocol: MPIIFaceGaze leaves each person out once (15 parts), EYEDIAP a quarter of the
  people (4 parts), Gaze360 and the rendered domains have a training and a test split.
- ETH-XGaze keeps the labels of its test set: there one predicts, and its authors' server scores.

EYEDIAP's quarters are people in the order of their numbers. The papers do not say theirs, so a number measured here
is not one of their table to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch.utils.data import ConcatDataset, Dataset

from gazecourse import cross_domain
from gazecourse.datasets.releases import LANDMARK_SETS, SETS
from gazecourse.datasets.store import StoredFaces, find
from gazecourse.errors import CourseError
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS

PARTS = {"mpiifacegaze": None, "eyediap": 4}
"""Sets of which parts of the people are left out in turn, and how many parts there are; None for one a person."""
TRAIN = {"eth_xgaze": ["train"], "gaze360": ["train"]}
TEST = {"gaze360": ["test"], "eth_xgaze": ["test"]}
"""Splits of the sets that have any."""
RENDERED = "rendered"
"""All rendered domains together, to be trained on: the widest choice for a system that is to look at photographs."""
ONLY_A_SOURCE = f"{RENDERED} is to be trained on; test on one of {', '.join(DOMAINS)} or on a real set."
CROSS = (
    ("eth_xgaze", "mpiifacegaze"),
    ("eth_xgaze", "eyediap"),
    ("gaze360", "mpiifacegaze"),
    ("gaze360", "eyediap"),
)
"""The comparisons' tasks between the real sets; those between the rendered domains are ``cross_domain.TASKS``."""


@dataclass(frozen=True)
class Fold:
    """One training and the test that belongs to it; the faces are loaded when asked for.

    Attributes:
        name: "" where there is only one, else what is left out, such as "p03" or "part2".
        train, test: load the faces.
    """

    name: str
    train: Callable[[], Dataset]
    test: Callable[[], Dataset]


def base(name: str) -> str:
    """The data set or domain that a name stands for: "mpiifacegaze" for "mpiifacegaze-raw-224px".

    Raises:
        ValueError: there is no such set.
    """
    found = name.split("-")[0]
    if found not in (*DOMAINS, RENDERED, *SETS):
        raise ValueError(f"set must be one of {', '.join((*DOMAINS, RENDERED, *SETS))}; got {name!r}.")
    return found


def is_real(name: str) -> bool:
    """Whether a set was recorded, not rendered."""
    return base(name) in SETS


def faces(name: str, role: str, size: int) -> Dataset:
    """Training or test faces of a set.

    Where a real set's faces have no landmarks, the usual places of both eyes stand in for them.

    Args:
        name: a rendered domain, "rendered" for all of them, or a prepared set as in ``datasets.store.find``.
        role: "train" or "test".
        size: height and width of the faces in pixels; rendered ones have the profile's.
    Raises:
        ValueError, FileNotFoundError, CourseError: no such set, not prepared, damaged, or not for this role.
    """
    check_gaze(name)
    known = base(name)
    if known == RENDERED:
        if role == "test":
            raise CourseError(ONLY_A_SOURCE)
        return ConcatDataset([faces(domain, role, size) for domain in DOMAINS])
    if known in DOMAINS:
        if role == "test":
            return cross_domain.test_faces(known)
        return cross_domain.source_faces(known) if known in cross_domain.SOURCES else FaceDataset(known, "train")
    splits = (TRAIN if role == "train" else TEST).get(known)
    return stored_faces(name, role, splits, size, typical_eyes=True)


def stored_faces(
    name: str, role: str, splits: list[str] | None, size: int, *, typical_eyes: bool = False
) -> StoredFaces:
    """Faces of a prepared set; arguments as of ``StoredFaces``.

    Raises:
        FileNotFoundError, CourseError: not prepared, damaged, or the splits, which serve as ``role``, hold no face.
    """
    found = StoredFaces(find(name), splits, size=size, typical_eyes=typical_eyes)
    if not len(found):
        raise CourseError(f"{found.folder} holds no {role} faces; splits there: {found.manifest['splits']}.")
    return found


def check_gaze(name: str) -> None:
    """Refuse a set that has landmarks and no gaze.

    Raises:
        ValueError: there is no such set. CourseError: it is one for landmarks.
    """
    if base(name) in LANDMARK_SETS:
        raise CourseError(
            f"{base(name)} has landmarks and no gaze: train structure_coherent or another landmark system on it."
        )


def _require(*names: str) -> None:
    """Find out before a training that sets have gaze, and that real ones are prepared."""
    for name in names:
        check_gaze(name)
        if is_real(name):
            find(name)


def training(source: str, size: int) -> Fold:
    """All training faces of a set, without a test.

    Raises:
        ValueError, FileNotFoundError: see ``faces``.
    """
    _require(source)
    load = partial(faces, source, "train", size)
    return Fold("", load, load)


def folds(source: str, target: str, size: int) -> list[Fold]:
    """The trainings of a protocol, each with its test.

    Raises:
        ValueError, FileNotFoundError, CourseError: see ``faces``; or the target keeps its test labels, or has none.
    """
    first, second = base(source), base(target)
    if second == "eth_xgaze":
        raise CourseError(
            "ETH-XGaze keeps the labels of its test set, so there is nothing to evaluate: train without --target, then "
            "type python -m gazecourse predict RUN --on eth_xgaze and hand the file to its authors' server."
        )
    if second == RENDERED:  # now, and not after the training
        raise CourseError(ONLY_A_SOURCE)
    _require(source, target)
    if first != second or first not in PARTS:
        return [Fold("", partial(faces, source, "train", size), partial(faces, target, "test", size))]
    everybody = StoredFaces(find(source), size=size, typical_eyes=True)
    return [
        Fold(name, partial(_split, everybody, held_out, 0), partial(_split, everybody, held_out, 1))
        for name, held_out in held_out_people(first, everybody.people)
    ]


def held_out_people(name: str, people: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Who is left out in turn, with a name for each part.

    Raises:
        ValueError: fewer than two people.
    """
    if len(people) < 2:
        raise ValueError(f"people must be two or more, so that one can be left out; {name} holds {len(people)}.")
    parts = PARTS[name]
    if parts is None:
        yield from ((f"p{person:02d}", [person]) for person in people)
        return
    for number, part in enumerate(np.array_split(np.array(people), min(parts, len(people))), 1):
        yield f"part{number}", part.tolist()


def _split(everybody: StoredFaces, held_out: list[int], which: int) -> StoredFaces:
    return everybody.split_people(held_out)[which]
