"""What the releases have in common: records in a fixed order, each of which becomes a sample or a plain reason why not.

A release on disk is a ``Source``. Making one reads the labels, checks that the right thing was downloaded, and touches
no image. Images are read part by part, in as many processes as there are cores; a part is a source too, with only its
own records, so that it is quickly sent to another process.
"""

from __future__ import annotations

import copy
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from gazecourse.errors import CourseError
from gazecourse.sample import Sample
from gazecourse.validation import describe

SHARD = 256
"""Records of a shard: 39 MB of images of 224 × 224."""
FOCAL, DISTANCE = 960 / 224, 600.0
"""The camera that raw photographs are normalized for: focal length in widths of the image, and mm to the face."""


@dataclass(frozen=True)
class Release:
    """Where a data set comes from.

    Attributes:
        name: of the data set, as the command line and ``Sample.domain`` call it.
        kind: of the release, where a data set has several: "normalized", "raw" or "gazehub".
        title: as its authors write it.
        holder: who gives it away. page: where. agreement: what one agrees to.
        download: what to download, and what the folder holds that is passed then.
    """

    name: str
    kind: str
    title: str
    holder: str
    page: str
    agreement: str
    download: str

    @property
    def key(self) -> str:
        """Name and kind in one word: "mpiifacegaze-raw"."""
        return f"{self.name}-{self.kind}"

    @property
    def how_to_get(self) -> str:
        """A few sentences for somebody who does not have it."""
        return (
            f"The course neither ships nor downloads {self.title}: get it from {self.holder}, {self.page}. "
            f"Terms: {self.agreement}. {self.download}"
        )


@dataclass(frozen=True)
class Skipped:
    """A record that became no sample.

    Attributes:
        where: the file, and the place in it.
        reason: one sentence.
    """

    where: str
    reason: str


class Source(ABC):
    """The records of one release in one folder.

    Args:
        root: the folder.
    Attributes:
        split: int8 [N], for each record the number of its split in ``splits``.
        person: int64 [N] identity.
        fingerprint: SHA-256 of the labels, and of what else decides the samples.
        left_out: how many records the protocol does not use, by reason.
        warnings: what looks wrong and does not keep the data from being used.
    Raises:
        TypeError, FileNotFoundError, CourseError: the folder does not hold the release; the message says what is
            missing, where it may be, and how to get it.
    """

    release: ClassVar[Release]
    splits: ClassVar[tuple[str, ...]] = ("all",)
    holds: ClassVar[tuple[str, ...]] = ("gaze",)
    """Labels that samples have, or some of them have; names of ``Sample``."""
    landmarks: ClassVar[int] = 0
    """How many of them a sample has, where it has any."""
    typical_eyes: ClassVar[tuple[tuple[float, float], tuple[float, float]] | None] = None
    """Where the person's right and left eye usually are, (x, y) in widths of the image, where no sample says."""
    factors: ClassVar[dict[str, tuple[int, ...]]] = {}
    """Which yes-or-no factors every sample has besides, with their shapes."""
    default_size: ClassVar[int] = 224
    """Height and width in pixels of the images that a store holds unless another size is asked for."""
    knows_people: ClassVar[bool] = True
    """Whether it is known who is who; else every record counts as a person."""
    columns: ClassVar[tuple[str, ...]] = ("split", "person", "problem")
    """Attributes with one entry for each record."""

    split: np.ndarray
    person: np.ndarray
    problem: list[str]
    """For each record why it cannot be used, known from the labels alone; "" where nothing is wrong."""
    fingerprint: str

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = folder_of(root, self.release.how_to_get)
        self.left_out: dict[str, int] = {}
        self.warnings: list[str] = []

    def __len__(self) -> int:
        return len(self.person)

    def part(self, rows: range) -> Self:
        """The same source with some consecutive records only."""
        part = copy.copy(self)
        for name in self.columns:
            setattr(part, name, getattr(self, name)[rows.start : rows.stop])
        return part

    def shards(self) -> list[range]:
        """The records in pieces that are read at once."""
        return [range(start, min(start + SHARD, len(self))) for start in range(0, len(self), SHARD)]

    @abstractmethod
    def where(self, row: int) -> str:
        """The file of a record and its place in it, for people to find it."""

    @abstractmethod
    def face(self, row: int, size: int) -> Sample:
        """One record as a sample with an image of ``size`` × ``size`` pixels.

        Raises:
            CourseError, OSError, ValueError: it cannot be used; the message says why.
        """

    def faces(self, size: int) -> Iterator[Sample | Skipped]:
        """All records, in order: a sample each, or why there is none."""
        for row in range(len(self)):
            yield self.face_or_reason(row, size)

    def face_or_reason(self, row: int, size: int, *opened: object) -> Sample | Skipped:
        """``face``, or why there is none. ``opened`` is what a source passes to its ``face`` besides."""
        try:
            if self.problem[row]:
                raise CourseError(self.problem[row])
            return self.face(row, size, *opened)
        except (CourseError, OSError, ValueError) as error:
            return Skipped(self.where(row), str(error))

    def require(self, *names: str) -> None:
        """Refuse a folder that lacks one of these files or folders; name the folder that has them, if it is near.

        Raises:
            FileNotFoundError: something is missing.
        """
        missing = [name for name in names if not (self.root / name).exists()]
        if not missing:
            return
        for near in [*sorted(path for path in self.root.iterdir() if path.is_dir()), self.root.parent]:
            if all((near / name).exists() for name in names):
                raise FileNotFoundError(
                    f"{self.root} does not hold {listed(missing)}, but {near} does: pass that folder."
                )
        raise FileNotFoundError(f"{self.root} does not hold {listed(missing)}. {self.release.how_to_get}")


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names with commas, and an ellipsis after the first few."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def folder_of(root: str | os.PathLike[str], how_to_get: str) -> Path:
    """The folder of a data set.

    Raises:
        TypeError: no path. FileNotFoundError: there is no such folder; the message says how to get the data.
    """
    if not isinstance(root, (str, os.PathLike)):
        raise TypeError(f"root must be the folder of the data; got {describe(root)}.")
    path = Path(root).expanduser().absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}. {how_to_get}")
    return path


def read_text(path: Path, how_to_get: str) -> str:
    """A text file of a release.

    Raises:
        FileNotFoundError, CourseError: it is missing, empty, or no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing. {how_to_get}") from error
    except UnicodeDecodeError as error:
        raise CourseError(f"{path} is no text file. Unpack it again. {how_to_get}") from error
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not text.strip():
        raise CourseError(f"{path} is empty: its download or unpacking was cut off. Unpack it again. {how_to_get}")
    return text


def digest(*contents: bytes | str) -> str:
    """SHA-256 of several pieces; where one ends and the next begins counts."""
    whole = hashlib.sha256()
    for content in contents:
        piece = content.encode() if isinstance(content, str) else content
        whole.update(len(piece).to_bytes(8, "little") + piece)
    return whole.hexdigest()


def numbers(fields: Iterable[str], what: str) -> np.ndarray:
    """Fields of a text file as float64.

    Raises:
        ValueError: one of them is no finite number; ``what`` says whose it is.
    """
    fields = list(fields)
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field))
        raise ValueError(f"{what} must be numbers; got {wrong[:40]!r}.") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{what} must be finite; got NaN or infinity.")
    return values


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
